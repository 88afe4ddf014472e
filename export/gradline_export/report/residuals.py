"""Plot the residuals that a fit kept: over predictions, over columns, and as a Q-Q plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import TargetFunction, learned_name
from gradline_export.report.effects import Effect
from gradline_export.report.plots import (
    POINTS,
    column_plot,
    normal_plot,
    prediction_plot,
    residual_plot,
)
from gradline_trainer.result import Fit

Array = NDArray[np.float64]
MOST_PLOTS = 6  # of residuals over columns, for all targets together
LEAST_PLOTS = 1  # for each target


def clouds_of(fit: Fit, shown: Sequence[int], effects: Sequence[Effect]) -> dict[str, Any]:
    """Plot the kept rows: held-out rows if there are any, else training rows.

    A residual here is actual − predicted, for a logged target of the logarithms. `effects` are
    sorted, the strongest first.
    """
    which = "held_out" if fit.residuals["held_out"].rows else "training"
    kept = fit.residuals[which]
    more = len(shown) < len(fit.targets)
    worst = (
        f" Shown: {len(shown)} of {len(fit.targets)} targets, those predicted worst."
        if more
        else ""
    )
    found: dict[str, Any] = {"predicted": [], "residuals": [], "boxes": False, "worst_said": worst}
    if not kept.rows:
        return found
    counted = len(kept.targets) > POINTS
    found["rows_said"] = ("Held-out" if which == "held_out" else "Training") + " rows"
    if kept.step > 1:
        found["rows_said"] += f", one in {kept.step} of {kept.rows:,}"
    if counted:
        found["rows_said"] += ". The stronger the colour, the more rows"
    columns = fit.columns.plan.columns
    names = [effect.name for effect in effects]
    most = max(MOST_PLOTS // len(shown), LEAST_PLOTS)
    places = [i for i, place in enumerate(kept.places) if columns[place].name in names]
    places.sort(key=lambda i: names.index(columns[kept.places[i]].name))
    found["boxes"] = counted and any(
        columns[kept.places[i]].kind == "category" for i in places[:most]
    )
    for k in shown:
        actual, predicted = kept.targets[:, k], kept.targets[:, k] + kept.residuals[:, k]
        if not (np.isfinite(actual).all() and np.isfinite(predicted).all()):
            continue
        function = fit.target_functions[k] if fit.target_functions else None
        plot = prediction_plot(
            f"predicted-{k}", fit.targets[k], actual, predicted, logarithmic=function is not None
        )
        found["predicted"].append(plot)
        target, actual, predicted = _learned(fit.targets[k], function, actual, predicted)
        residuals = actual - predicted
        found["residuals"] += [
            residual_plot(f"residual-{k}", target, predicted, residuals),
            normal_plot(f"normal-{k}", target, residuals),
        ]
        over_columns = (
            column_plot(
                f"residual-{k}-{i}", target, columns[kept.places[i]], kept.columns[:, i], residuals
            )
            for i in places[:most]
        )
        found["residuals"] += [plot for plot in over_columns if plot is not None]
    return found


def _learned(
    target: str, function: TargetFunction | None, actual: Array, predicted: Array
) -> tuple[str, Array, Array]:
    """Turn the values of a logged target into logarithms, if all are positive."""
    if function is None:
        return target, actual, predicted
    of_actual, of_predicted = actual + function.offset, predicted + function.offset
    if not ((of_actual > 0).all() and (of_predicted > 0).all()):
        return target, actual, predicted
    name = learned_name(target, function.function)
    return name, np.log(of_actual), np.log(of_predicted) - math.log(function.scale)
