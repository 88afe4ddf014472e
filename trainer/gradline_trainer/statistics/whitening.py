"""Transform rows to whitened coordinates, in which the leverage is h = w·‖q‖² with q = U·x.

UᵀU = (XᵀWX + ridge)⁻¹, X the features and, with a bias, a column of ones; h is the hat matrix's
diagonal (Belsley, Kuh and Welsch, Regression Diagnostics, 1980, ch. 2). Rows are centred on the
features' means, so that an offset costs no digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.explain import MOST_FEATURES
from gradline_trainer.descent.coordinates import inverse_root
from gradline_trainer.descent.problem import FEW_FEATURES, Problem, state_problem
from gradline_trainer.exact.solution import ExactSolution
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.rows import Rows

if TYPE_CHECKING:
    from gradline_trainer.result import Fit

Array = NDArray[np.float64]
FEW = 1 << 21  # multiplications for the largest leverage: a fraction of a millisecond
ALIKE = 1e13  # from this condition number on, float64 hardly separates the features


@dataclass(frozen=True)
class Whitening:
    """The transform of rows to whitened coordinates."""

    active: list[int]  # the places of the r estimated features
    centre: Array  # their means, (r,); 0 without a bias
    rest: Array  # the means' rounding errors
    root: Array  # U, (p, p); with a bias p = r + 1 and the bias is last, else p = r
    bias: bool

    @classmethod
    def of(cls, moments: Moments, problem: Problem, exact: ExactSolution | None) -> Whitening:
        """Build a fit's whitening transform, to nearly every digit after exact arithmetic."""
        if exact is not None and exact.normal is not None:
            active, root = exact.normal.active, exact.normal.root
        else:
            active, scale = problem.active.tolist(), problem.scale.numpy()
            factor = _inverse(problem)
            centre = factor @ (problem.centre.numpy() / scale) if problem.bias else None
            root = inverse_root(factor, centre, scale, moments.weight)
        centre, rest = (part[active] * problem.bias for part in (moments.mean, moments.mean_rest))
        return cls(active, centre, rest, root, problem.bias)

    @property
    def factor(self) -> Array:
        """U without the bias, shape (r, r)."""
        r = len(self.active)
        return self.root[:r, :r]

    def triangular_factor(self, features: int) -> Array:
        """Make the factor upper triangular, (d, d); 0 for features that are not active."""
        factor = np.zeros((features, features))
        factor[np.ix_(self.active, self.active)] = np.linalg.qr(self.factor, mode="r")
        return factor

    def record(self, features: int) -> dict[str, Any]:
        """Record from what a host computes a row's leverage: the triangle's rows."""
        factor = self.triangular_factor(features)
        return {"least": self.least, "factor": [factor[j, j:].tolist() for j in range(features)]}

    @property
    def least(self) -> float:
        """The leverage at the centre: 1/Σw with a bias, else 0."""
        return float(self.root[-1, -1] ** 2) if self.bias else 0.0

    def centred(self, features: NDArray[Any]) -> Array:
        """Subtract the means from the active features: (n, d) gives (n, r)."""
        steps: Array = (features[:, self.active] - self.centre) - self.rest
        return steps


def _inverse(problem: Problem) -> Array:
    """Invert the problem's factor."""
    r = len(problem.scale)
    if r > FEW_FEATURES:
        inverse: Array = problem.inverse_factor.numpy()
        return inverse
    return np.linalg.solve(problem.factor.numpy(), np.eye(r))


@dataclass(frozen=True)
class Leverage:
    """How far the training rows are from their centre."""

    whitening: Whitening
    largest: float | None  # of a row, each at weight 1; None for many rows


def measure_leverage(
    rows: Iterable[Rows] | None,
    moments: Moments,
    problem: Problem,
    exact: ExactSolution | None = None,
) -> Leverage | None:
    """Measure how far the training rows are from their centre; None above MOST_FEATURES.

    The exact solution is slow, so it is used only for features that float64 can't separate.
    """
    if len(problem.active) > MOST_FEATURES:
        return None
    whitening = Whitening.of(moments, problem, exact if problem.condition > ALIKE else None)
    if rows is None or moments.rows * len(whitening.active) ** 2 > FEW:
        return Leverage(whitening, None)
    largest = 0.0
    for block in rows:
        # Few digits are enough, so centre after the product, which has fewer columns.
        sides = np.zeros((block.split, len(whitening.active)))
        sides[whitening.active] = whitening.factor.T
        white = block.features @ sides
        white -= whitening.factor @ whitening.centre
        squares = np.einsum("ij,ij->i", white, white)
        largest = max(largest, float(squares.max(initial=0.0)))
    return Leverage(whitening, largest + whitening.least)


def whitening_of(fit: Fit) -> Whitening:
    """Build the whitening transform of a fit with co-moments."""
    assert isinstance(fit.moments, Moments)  # noqa: S101 - callers refuse wide tables
    return Whitening.of(fit.moments, problem_of(fit, fit.moments), fit.exact)


def problem_of(fit: Fit, moments: Moments) -> Problem:
    """Take a fit's problem, or state it again from its moments."""
    return fit.problem or state_problem(moments, len(fit.features), fit.options)
