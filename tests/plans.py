"""Plans made by hand, their raw rows, and fits and packages of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.columns.targets import TargetFunction
from gradline_trainer import Fit, fit

Array = NDArray[np.float64]


def fit_of(
    plan: Plan,
    values: Array,
    y: Array,
    functions: Sequence[TargetFunction | None] = (),
    **options: object,
) -> Fit:
    """Fit y (n, k), already logged where a target is, to the plan's terms of values (n, m)."""
    terms = plan.compute(values)
    known = ~np.isnan(terms).any(axis=1)
    targets = [f"t{j}" for j in range(y.shape[1])]
    names = {"targets": targets, "features": plan.features}
    learned = fit((terms[known], y[known]), **names, **options)  # type: ignore[arg-type]
    columns = replace(learned.columns)
    object.__setattr__(columns, "plan", plan)
    residuals = {part: replace(kept, places=()) for part, kept in learned.residuals.items()}
    found = replace(learned, columns=columns, residuals=residuals)
    object.__setattr__(found, "target_functions", list(functions) or [None] * len(targets))
    return found
