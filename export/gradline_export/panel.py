"""The report's live panel: the model's own formula, computed in the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gradline.errors import needs_extra
from gradline_trainer.fitting import Fit

__all__ = ["panel"]

LEVEL = 0.95  # of the intervals


def panel(
    manifest: Mapping[str, Any],
    fit: Fit,
    weights: NDArray[Any],
    bias: NDArray[Any],
    importance: Sequence[int],
) -> Markup:
    """Return the panel with the model in it.

    A prediction is off by no more than a host's may be, and rounded once more where it is shown.

    Args:
        manifest: All but its list of files.
        fit: Which the model was frozen from.
        weights: W as frozen, shape (k, d).
        bias: b as frozen, shape (k,).
        importance: The features' places, the most important first.
    """
    places: dict[int, None] = {}
    owner = [c for c, column in enumerate(fit.columns.inputs) for _ in column.features]
    for feature in importance:
        places.setdefault(owner[feature])
    data = {
        "columns": [_column(column, manifest["columns"]) for column in fit.columns.inputs],
        "order": list(places),
        "targets": fit.targets,
        "float32": weights.dtype == np.float32,
        "weights": weights.astype(np.float64).tolist(),
        "bias": bias.astype(np.float64).tolist(),
        "interval": _interval(manifest, fit),
    }
    component = files("gradline").joinpath("panel.html").read_text(encoding="utf-8")
    script = files("gradline_export").joinpath("panel.js").read_text(encoding="utf-8")
    # No name can end the element that holds it, or begin a comment in it.
    text = json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    return Markup(  # noqa: S704 - the names stand in JSON, without a <
        f"<gradline-panel></gradline-panel>\n{component}"
        f'<script type="application/json" id="model">{text}</script>\n<script>\n{script}</script>'
    )


def _column(column: Any, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the panel shows of one of the table's columns."""
    if column.kind == "category":
        levels = list(column.levels)
        return {"name": column.name, "levels": levels, "reference": column.reference}
    known = {name: figures[column.name][name] for name in ("mean", "minimum", "maximum")}
    return {"name": column.name, **known} | ({} if column.fill is None else {"fill": column.fill})


def _interval(manifest: Mapping[str, Any], fit: Fit) -> dict[str, Any] | None:
    """Return what a prediction interval follows from, s·t·√(1 + leverage); None without one."""
    statistics, leverage = manifest.get("statistics"), manifest.get("leverage")
    if not statistics or not leverage or statistics.get("robust"):
        return None
    dof = statistics["residual_dof"]
    deviations = [found["residual_sd"] for found in statistics["targets"].values()]
    if dof <= 0 or None in deviations:
        return None
    with needs_extra():
        from scipy.special import stdtrit
    quantile = float(stdtrit(dof, (1 + LEVEL) / 2))
    d = len(fit.features)
    centre = fit.moments.mean[:d].tolist() if fit.options.bias else [0.0] * d
    return {
        "least": leverage["least"],
        "factor": leverage["factor"],
        "centre": centre,
        "deviations": [quantile * deviation for deviation in deviations],
    }
