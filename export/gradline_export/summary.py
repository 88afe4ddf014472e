"""What `train-and-export` says at its end: to a person, and as JSON."""

from __future__ import annotations

import math
import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradline.errors import PackageError
from gradline.versions import locate
from gradline.wording import (
    aligned,
    categories,
    chosen_ridge,
    count,
    equations,
    float32_error,
    label,
    number,
)
from gradline_export.packaging import Frozen
from gradline_trainer.fitting import Fit

__all__ = ["summary", "summary_record"]


def summary(fit: Fit, frozen: Frozen, path: Path) -> list[str]:
    """Return the closing summary's lines."""
    return [
        f"{frozen.name}: {count(fit.moments.rows, 'row')}, {count(len(fit.features), 'feature')}, "
        f"{count(len(fit.targets), 'target')}",
        "",
        *(
            f"  {line}"
            for line in equations(frozen.weights, frozen.bias, fit.features, fit.targets)
        ),
        "",
        *_metrics(fit),
        *categories(fit.columns.inputs),
        *([f"  ridge    {chosen_ridge(asdict(fit.ridge_path))}"] if fit.ridge_path else []),
        f"  descent  {_descent(fit)}",
        *_exactness(fit),
        f"  parity   {_parity(frozen)}",
        f"  dtype    {_dtype(frozen)}",
        f"  package  {path}",
        *_pin(path.parent),
        "",
        *_how_to_predict(fit, path),
    ]


def summary_record(fit: Fit, frozen: Frozen, path: Path) -> dict[str, Any]:
    """Return the summary as a JSON object."""
    return {
        "name": frozen.name,
        "version": int(path.name),
        "path": str(path),
        "features": fit.features,
        "targets": fit.targets,
        "weights": frozen.weights.tolist(),
        "bias": frozen.bias.tolist(),
        "dtype": str(frozen.dtype),
        "rows": {
            "read": fit.rows_read,
            "dropped": fit.rows_dropped,
            "held_out": fit.rows_held_out,
            "trained": fit.moments.rows,
        },
        "arithmetic": fit.arithmetic.used,
        "epochs": len(fit.history),
        "last_epoch_rmse": math.sqrt(fit.history[-1]),
        "ridge": fit.options.ridge,
        "ridge_path": fit.ridge_path and asdict(fit.ridge_path),
        "learning_rate": fit.learning_rate,
        "largest_stable_rate": fit.largest_stable_rate,
        "converged": fit.converged,
        "optimality": asdict(fit.optimality),
        "metrics": {
            which: found and {target: asdict(m) for target, m in found.items()}
            for which, found in fit.metrics.items()
        },
        "parity": [asdict(host) for host in frozen.parity],
        "warnings": fit.warnings,
    }


def _metrics(fit: Fit) -> list[str]:
    lines = []
    for which, found in fit.metrics.items():
        if found:
            title = "training rows" if which == "training" else "held-out rows"
            rows = [
                [
                    label(target),
                    number(m.rmse),
                    number(m.mae),
                    "–" if m.r2 is None else f"{m.r2:.6f}",
                ]
                for target, m in found.items()
            ]
            lines += [*aligned([[title, "RMSE", "MAE", "R²"], *rows]), ""]
    return lines


def _descent(fit: Fit) -> str:
    epochs = count(len(fit.history), "epoch")
    coordinates = f"{fit.options.preconditioning}, {fit.options.gradient_source}"
    where = "the optimum" if fit.converged else "not yet the optimum"
    return (
        f"{epochs} with {coordinates}, learning rate {number(fit.learning_rate)}; RMSE of the "
        f"last epoch {math.sqrt(fit.history[-1]):.4f}, {where}"
    )


def _exactness(fit: Fit) -> list[str]:
    if fit.exact is None:
        return []
    total = fit.weights.numel() + fit.options.bias * len(fit.targets)
    certified = total - len(fit.exact.uncertified)
    said = "every coefficient" if certified == total else f"{certified} of {total} coefficients"
    zeros = f", {len(fit.exact.zeros)} of them 0" if fit.exact.zeros else ""
    return [f"  exact    {said} certified as the correctly rounded optimum{zeros}"]


def _parity(frozen: Frozen) -> str:
    hosts = [host.host for host in frozen.parity]
    share = max(host.share for host in frozen.parity)
    return (
        f"{', '.join(hosts[:-1])} and {hosts[-1]} each within the rounding bound of the exact "
        f"value on {frozen.parity[0].rows} rows (at most {share:.0%} of it)"
    )


def _dtype(frozen: Frozen) -> str:
    c = frozen.certificate
    said = float32_error(c.error, c.target, c.limit, c.column)
    if frozen.dtype.itemsize == 4:
        return f"float32, which {said}"
    if c.verdict == "fails":
        return f"float64, since float32 fails: {said}"
    return f"float64, as asked; float32 {said}"


def _pin(folder: Path) -> list[str]:
    """Return what `load` does with a pin: publishing never moves one."""
    if not os.path.lexists(folder / "pinned"):
        return []
    try:
        version = locate(folder).version
    except PackageError as error:
        return [f"           {error}"]
    return [f"           pinned to version {version}: `load` keeps using it"]


def _how_to_predict(fit: Fit, path: Path) -> list[str]:
    package = str(path.parent)
    means = [f"{mean:.4g}" for mean in fit.moments.mean[: len(fit.features)]]
    if fit.features == [column.name for column in fit.columns.inputs]:
        row = f"[[{', '.join(means[:8])}{', …' * (len(means) > 8)}]]"
    else:
        shown = dict(zip(fit.features, means, strict=True))
        pairs = [
            f"{column.name!r}: [{repr(column.levels[0]) if column.levels else shown[column.name]}]"
            for column in fit.columns.inputs
        ]
        row = f"{{{', '.join(pairs[:8])}{', …' * (len(pairs) > 8)}}}"
    table = str(fit.paths[0]) if fit.paths else "new.csv"
    return [
        "  to predict, from a table:  "
        f"gradline predict {shlex.quote(package)} {shlex.quote(table)}",
        f"             from Python:  gradline.load({package!r}).predict({row})",
    ]
