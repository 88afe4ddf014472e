"""Freeze a model, prove it and publish it as the next version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradline.errors import InputError, RefusedError
from gradline.tracebacks import short_tracebacks, warn_caller
from gradline_export.elsewhere.packaging import package_coefficients
from gradline_export.freeze.freezing import freeze
from gradline_export.publish.publishing import check_name, publish
from gradline_trainer.result import Fit

__all__ = ["export_package", "package_coefficients"]


@short_tracebacks
def export_package(
    model: Any,
    root: str | Path = "artifacts",
    name: str = "model",
    *,
    targets: str | Sequence[str] | None = None,
    dtype: str = "auto",
    torch_export: bool = False,
    intervals: bool = False,
    report: bool = True,
    fingerprint: bool = True,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Publish a model as a package and return the path of its new version directory.

    Args:
        model: A fit from `gradline_trainer.fit`, a fitted `LinearRegression`, or a linear model
            that was learned elsewhere: of scikit-learn LinearRegression, Ridge, Lasso, ElasticNet
            (also those with CV), LinearSVR, SGDRegressor, and a Pipeline that ends in one; of
            statsmodels the results of OLS, WLS and GLS, and of GLM with the identity link. Such a
            package lacks what only training can know; see `package_coefficients`.
        root: The folder of packages.
        name: The package's name.
        targets: The names of the outputs of a model that was learned elsewhere. By default those
            that statsmodels knows, else y, or y0, y1, ….
        dtype: Type of the graph of a model that was learned elsewhere; see `package_coefficients`.
        torch_export: Whether to add model.pt2.
        intervals: Whether to add intervals.onnx.
        report: Whether to add report.html. A model that was learned elsewhere has none.
        fingerprint: Whether to record the SHA-256 of the input files.
        notes: Recorded unchanged: author, purpose, commit.

    Raises:
        InputError: If no package can have this name, or the model is not one of these, or was never
            fitted.
        RefusedError: If the requested float32 is not accurate enough, a frozen graph or the model's
            own predictions are outside the rounding bound, or the model can have no intervals;
            nothing is published.
        OutputError: If the folder can't be written.
    """
    check_name(name)
    own: dict[str, Any] = {"intervals": intervals, "report": report, "fingerprint": fingerprint}
    both: dict[str, Any] = {"torch_export": torch_export, "notes": notes}
    if not _is_ours(model):
        return _export_elsewhere(model, root, name, targets, dtype, intervals, both)
    if targets is not None or dtype != "auto":
        option = "dtype" if targets is None else "targets"
        raise InputError(
            f"{option} belongs to fit: the model was learned with it",
            code="bad-option",
            hint=f"give {option} to fit, or leave it out here",
        )
    if not isinstance(model, Fit):
        path: Path = model.export(root, name=name, **own, **both)
        return path
    return publish(freeze(model, name, **own, **both).files, root, name)


def _is_ours(model: Any) -> bool:
    return isinstance(model, Fit) or any(
        kind.__module__.startswith("gradline_trainer.") and hasattr(model, "export")
        for kind in type(model).__mro__
    )


def _export_elsewhere(
    model: Any,
    root: str | Path,
    name: str,
    targets: str | Sequence[str] | None,
    dtype: str,
    intervals: bool,
    options: dict[str, Any],
) -> Path:
    from gradline_export.elsewhere.foreign import learned_by
    from gradline_export.elsewhere.packaging import freeze_learned

    learned = learned_by(model, targets)
    if intervals:
        raise RefusedError(
            "no intervals: the model was learned elsewhere, so its residuals are unknown",
            code="no-intervals",
            hint="leave --intervals out",
        )
    files, told = freeze_learned(learned, name, dtype, **options)
    warn_caller(told)
    return publish(files, root, name)
