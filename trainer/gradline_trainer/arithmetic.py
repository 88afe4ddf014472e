"""Which arithmetic a run takes, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradline_trainer.moments import Moments
from gradline_trainer.options import Options
from gradline_trainer.problem import Problem

__all__ = ["Arithmetic", "choose_arithmetic"]

SMALL = 1_000_000  # values in a table that "auto" computes exactly
ILL_CONDITIONED = 1e6


@dataclass(frozen=True)
class Arithmetic:
    """How a run computes.

    Attributes:
        used: "fast" is float64; "exact" gives the correctly rounded least-squares solution.
        reason: Why, in words.
        condition: Estimate of the condition number of the features, centred where there is a bias
            and scaled to unit deviation; None where it was not needed.
    """

    used: Literal["fast", "exact"]
    reason: str
    condition: float | None


def choose_arithmetic(options: Options, problem: Problem, moments: Moments) -> Arithmetic:
    """Return the arithmetic that the options mean for a table of these moments."""
    if options.preconditioning != "whiten" or options.gradient_source != "moments":
        return Arithmetic("fast", "exact arithmetic concerns the whitened descent", None)
    condition = problem.condition
    if options.arithmetic != "auto":
        return Arithmetic(options.arithmetic, "asked for", condition)
    cells = moments.rows * len(moments.mean)
    if cells <= SMALL:
        return Arithmetic("exact", f"a small table, {cells} values", condition)
    if problem.dependent:
        return Arithmetic("exact", "features look linearly dependent in float64", condition)
    if condition > ILL_CONDITIONED:
        return Arithmetic("exact", f"ill-conditioned, about {condition:.1e}", condition)
    return Arithmetic("fast", "a large table, well-conditioned", condition)
