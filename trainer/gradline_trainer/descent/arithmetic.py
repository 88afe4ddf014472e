"""Choose between fast and exact arithmetic, and say why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradline_trainer.descent.problem import Problem
from gradline_trainer.moments.gathering import too_small
from gradline_trainer.moments.moments import Moments
from gradline_trainer.options import Options

# Limits of `exact_cost`, in nanoseconds on the machine that fitted it (docs/numerics.md).
SMALL = 35_000_000  # "auto" is exact up to here
LARGE = 5_000_000_000  # "auto" is exact up to here if float64 may have too few digits
ILL_CONDITIONED = 1e6
LEAST_NORMAL = 2.0**-1022  # smaller squares lose digits


@dataclass(frozen=True)
class Arithmetic:
    """How a run computes.

    Attributes:
        used: "fast" is float64; "exact" gives the correctly rounded least-squares solution.
        reason: Why, in words.
        condition: An estimate of the features' condition number, centred if there is a bias and
            scaled to unit deviation; None if it was not needed.
    """

    used: Literal["fast", "exact"]
    reason: str
    condition: float | None


def choose_arithmetic(
    options: Options, problem: Problem, moments: Moments, features: int
) -> Arithmetic:
    """Choose the arithmetic for a table of these moments."""
    if options.preconditioning != "whiten" or options.gradient_source != "moments":
        return Arithmetic("fast", "exact arithmetic concerns the whitened descent", None)
    condition = problem.condition
    if options.arithmetic != "auto":
        return Arithmetic(options.arithmetic, "asked for", condition)
    cells = moments.rows * len(moments.mean)
    cost = exact_cost(moments.rows, features, len(moments.mean) - features)
    if cost <= SMALL:
        return Arithmetic("exact", f"a small table, {cells} values", condition)
    doubt = _doubt(problem, moments)
    if doubt is None:
        return Arithmetic("fast", "a large table, well-conditioned", condition)
    if cost <= LARGE:
        return Arithmetic("exact", doubt, condition)
    return Arithmetic("fast", f"{doubt}, but too large for exact arithmetic", condition)


def exact_cost(rows: int, features: int, targets: int) -> int:
    """Estimate the cost of exact arithmetic from the shape alone, equal on every machine.

    The terms are: slicing and multiplying n·p values; the p² whole numbers of the moments; the
    d²·k products of a few epochs; the enclosures of d·k coefficients; and, with fewer rows than
    coefficients, eliminating q features by r others.
    """
    n, d, k = rows, features, targets
    p, r = d + k, min(d, n - 1)
    moments = n * p * (80 + p // 8) + 3_000 * p * p
    descent = 800 * d * d * k + 35_000 * d * k
    return moments + descent + (d - r) * r * (4_500 * (r + k) + 40_000)


def _doubt(problem: Problem, moments: Moments) -> str | None:
    """Say why float64 may have too few digits for the features; None if it has enough."""
    if problem.dependent and len(problem.active) < moments.rows - problem.bias:
        return "features look linearly dependent in float64"
    if problem.condition > ILL_CONDITIONED:
        return f"ill-conditioned, about {problem.condition:.1e}"
    return None


def refuse_underflow(moments: Moments, problem: Problem, features: list[str]) -> None:
    """Raise for a feature whose squares are so small that they lose digits in float64."""
    least = moments.rows * LEAST_NORMAL
    squares = moments.weight * problem.normal.diagonal().numpy()
    for j, square in zip(problem.active.tolist(), squares.tolist(), strict=True):
        if square < least:
            raise too_small("feature", features[j], moments, j, least)
