"""Minimum norm without rounding: weights of independent features shared with dependent ones.

Every dependent feature is z = C·x + c of the independent ones x, so the weights v of x and u of z
predict as the weights v + Cᵀu of x alone. Of all v and u with v + Cᵀu = w the sum of squares is
least for u = C·v. That is solved by iterative refinement in whole numbers. The error is bounded
without a further inverse: the least-norm solution is a projection, so what v + Cᵀu misses of w and
what u misses of C·v move it by no more than their own norms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.dependence import Dependence
from gradline_trainer.exact.coefficients import Unknowns
from gradline_trainer.exact.integers import Integers, whole

__all__ = ["Folding"]

Array = NDArray[np.float64]
MOST_STEPS = 20


@dataclass(frozen=True)
class Folding:
    """How the dependent features follow from the independent ones, all in raw units.

    Attributes:
        of_features: The coefficients of the dependent features by the independent ones.
        dependent: The former's places among the system's features.
        combination: C in units of 2^unit, shape (q, r).
        radius: How far off each entry may be; None where nothing is known.
        unit: A power of 2.
        factor: R with RᵀR = I + CᵀC in float64.
    """

    of_features: Unknowns
    dependent: list[int]
    combination: Integers
    radius: Integers | None
    unit: int
    factor: Array

    @classmethod
    def of(cls, of_features: Unknowns, dependent: list[int]) -> Folding:
        """Return the folding for the coefficients of features as targets."""
        own = np.array(of_features.system.target_exponents)
        shifts = own[:, None] - np.array(of_features.exponents)[None, :]
        least = int(shifts.min(initial=0))
        grow = np.array([[1 << int(s - least) for s in row] for row in shifts], object)
        radius = of_features.radius
        rounded = np.array([[c.value for c in row] for row in of_features.weights()])
        stacked = np.vstack([np.eye(rounded.shape[1]), rounded])
        return cls(
            of_features,
            dependent,
            of_features.centres.T * grow,
            None if radius is None else radius.T * grow,
            least - of_features.fraction,
            np.linalg.qr(stacked)[1],
        )

    def rounded(self) -> Dependence:
        """Return the combinations in float64; what is certainly 0 is."""
        combination = np.array([[c.value for c in row] for row in self.of_features.weights()])
        offsets = np.array([c.value for c in self.of_features.biases()])
        offset = offsets if self.of_features.system.bias else np.zeros(len(combination))
        return Dependence(combination, offset, (combination != 0).any(axis=0), offset != 0)

    def fold(self, known: Unknowns) -> Unknowns:
        """Return the weights of least norm for weights of the independent features alone."""
        exponents = [known.system.feature_exponents[j] for j in (*known.places, *self.dependent)]
        top = max(exponents)
        grow = np.array([1 << (top - e) for e in known.exponents], object)[:, None]
        wanted = known.centres * grow
        own, others = self._solve(wanted, known.fraction)
        radius = None
        if known.radius is not None and self.radius is not None:
            off = self._off(wanted, own, others) + known.radius * grow
            gap = np.abs(self._times(self.combination, own) - others) + 2
            gap = gap + self._times(self.radius, np.abs(own))
            bounds = [_norm(off[:, t]) + _norm(gap[:, t]) for t in range(off.shape[1])]
            radius = np.array([bounds] * len(exponents), object)
        return replace(
            known,
            places=[*known.places, *self.dependent],
            centres=np.concatenate([own, others]),
            radius=radius,
            exponents=[top] * len(exponents),
        )

    def _solve(self, wanted: Integers, fraction: int) -> tuple[Integers, Integers]:
        """Return v and u with v + Cᵀu = `wanted`, and nearly u = C·v."""
        solution, one = wanted, 1 << fraction
        for _ in range(MOST_STEPS):
            others = self._times(self.combination, solution)
            own = wanted - self._times(self.combination.T, others)
            rest = ((own - solution) / one).astype(np.float64)
            step = np.linalg.solve(self.factor, np.linalg.solve(self.factor.T, rest))
            moved = whole(step, fraction)
            if not np.abs(moved).max(initial=0) >> 2:
                break
            solution = solution + moved
        return own, others

    def _off(self, wanted: Integers, own: Integers, others: Integers) -> Integers:
        """Return a bound on |v + Cᵀu − wanted|."""
        assert self.radius is not None  # noqa: S101 - see the caller
        missed = np.abs(own + self._times(self.combination.T, others) - wanted) + 2
        found: Integers = missed + self._times(self.radius.T, np.abs(others))
        return found

    def _times(self, matrix: Integers, values: Integers) -> Integers:
        """Return matrix @ values · 2^unit, rounded down."""
        product: Integers = matrix.dot(values)
        return product >> -self.unit if self.unit < 0 else product << self.unit


def _norm(values: Integers) -> int:
    return math.isqrt(int((values * values).sum())) + 1
