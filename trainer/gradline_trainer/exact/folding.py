"""Minimum norm without rounding: weights of independent features shared with dependent ones.

Every dependent feature is z = C·x + c, with x the independent ones. Weights v of x and u of z give
the same predictions as the weights v + Cᵀu of x alone. Among all v and u with v + Cᵀu = w, the sum
of squares is least for u = C·v. Iterative refinement in whole numbers solves these equations. The
error bound needs no further inverse: the minimum-norm solution is a projection, so the residuals of
v + Cᵀu = w and u = C·v move it by at most their own norms.

If an entry of C is large, its dependent feature is exchanged for its independent one (as in
Gauss-Jordan elimination with complete pivoting), until no entry is large. Then float64 has enough
digits for the refinement, and no error has grown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.descent.dependence import Dependence
from gradline_trainer.exact.coefficients import Unknowns
from gradline_trainer.exact.integers import Integers, nearest

__all__ = ["Folding"]

Array = NDArray[np.float64]
LARGE = 4  # an entry of C


@dataclass(frozen=True)
class Exchange:
    """An exchange of a dependent feature for an independent one, with a large entry in C.

    Attributes:
        place: The independent feature's place among the r independent ones.
        row: The dependent feature's row of C before, in the folding's units, shape (r,).
        radius: A bound on the error of C's entries before.
    """

    place: int
    row: Integers
    radius: int

    def of_weights(
        self, weights: Integers, radius: Integers, one: int
    ) -> tuple[Integers, Integers]:
        """Compute weights (r, k) of the independent features after the exchange, and their radius.

        Args:
            weights: The weights before it.
            radius: A bound on the error of each, also before it.
            one: 1 in the units of the row.
        """
        i, pivot = self.place, int(self.row[self.place])
        size, taken = abs(pivot), weights[i]
        moved = weights - np.multiply.outer(self.row, taken) // pivot
        share = np.abs(self.row)[:, None] * radius[i] // size
        off = radius + share + 4 * np.abs(taken) * self.radius // size + 2
        moved[i] = taken * one // pivot
        off[i] = radius[i] * one // size + 4 * np.abs(taken) * self.radius * one // size**2 + 2
        return moved, off


@dataclass(frozen=True)
class Folding:
    """How the dependent features follow from the independent ones, all in raw units.

    Attributes:
        of_features: The coefficients of the dependent features in terms of the independent ones.
        dependent: The dependent features' places among the system's features.
        exchanges: Exchanges of dependent for independent features, in order.
        order: The features' numbers after those: r independent ones, then q dependent ones.
        combination: C after them in units of 2^-bits, shape (q, r).
        radius: A bound on the error of each entry; None if there is no bound.
        bits: C's fractional bits.
        factor: R with RᵀR = I + CᵀC in float64.
    """

    of_features: Unknowns
    dependent: list[int]
    exchanges: list[Exchange]
    order: list[int]
    combination: Integers
    radius: int | None
    bits: int
    factor: Array

    @classmethod
    def of(cls, of_features: Unknowns, dependent: list[int]) -> Folding:
        """Build the folding from the coefficients of features as targets."""
        own = np.array(of_features.system.target_exponents)
        shifts = own[:, None] - np.array(of_features.exponents)[None, :]
        least = min(int(shifts.min(initial=0)), 0)
        grow = np.array([1 << int(s - least) for s in shifts.ravel()], object).reshape(shifts.shape)
        combination, bits = of_features.centres.T * grow, of_features.fraction - least
        radius = None
        if of_features.radius is not None:
            radius = int((of_features.radius.T * grow).max(initial=0))
        order = list(range(sum(combination.shape)))
        combination, exchanges, radius = _exchanged(combination, radius, 1 << bits, order)
        rounded = (combination / (1 << bits)).astype(np.float64)
        _, factor = np.linalg.qr(np.vstack([np.eye(rounded.shape[1]), rounded]))
        return cls(of_features, dependent, exchanges, order, combination, radius, bits, factor)

    def rounded(self) -> Dependence:
        """Round the combinations to float64; entries that are certainly 0 become 0."""
        combination = np.array([[c.value for c in row] for row in self.of_features.weights()])
        offsets = np.array([c.value for c in self.of_features.biases()])
        offset = offsets if self.of_features.system.bias else np.zeros(len(combination))
        return Dependence(combination, offset, (combination != 0).any(axis=0), offset != 0)

    def fold(self, known: Unknowns) -> Unknowns:
        """Compute the minimum-norm weights from weights of only the independent features."""
        exponents = [known.system.feature_exponents[j] for j in (*known.places, *self.dependent)]
        top = max(exponents)
        grow = np.array([1 << (top - e) for e in known.exponents], object)[:, None]
        wanted = known.centres * grow
        off = wanted * 0 if known.radius is None else known.radius * grow
        for exchange in self.exchanges:
            wanted, off = exchange.of_weights(wanted, off, 1 << self.bits)
        own, others = self._solve(wanted, known.fraction)
        radius = None
        if known.radius is not None and self.radius is not None:
            bounds = self._bounds(wanted, off, own, others)
            radius = np.array([bounds] * len(exponents), object)
        centres = np.concatenate([own, others])
        return replace(
            known,
            places=[*known.places, *self.dependent],
            centres=centres[np.argsort(self.order)],
            radius=radius,
            exponents=[top] * len(exponents),
        )

    def _solve(self, wanted: Integers, fraction: int) -> tuple[Integers, Integers]:
        """Find v and u with v + Cᵀu = `wanted` and, nearly, u = C·v."""
        solution, one = wanted, 1 << fraction
        before: int | None = None
        while True:
            others = self._times(self.combination, solution)
            own = wanted - self._times(self.combination.T, others)
            left = int(np.abs(own - solution).max(initial=0))
            if left == 0 or (before is not None and 2 * left >= before):
                return own, others
            rest = ((own - solution) / one).astype(np.float64)
            step = np.linalg.solve(self.factor, np.linalg.solve(self.factor.T, rest))
            solution, before = solution + nearest(step, fraction), left

    def _bounds(
        self, wanted: Integers, off: Integers, own: Integers, others: Integers
    ) -> list[int]:
        """Bound the error of each target's minimum-norm weights."""
        assert self.radius is not None  # noqa: S101 - see the caller
        missed = np.abs(own + self._times(self.combination.T, others) - wanted) + off + 2
        missed = missed + self._rounded_up(others)
        gap = np.abs(self._times(self.combination, own) - others) + self._rounded_up(own) + 2
        return [_norm(missed[:, t]) + _norm(gap[:, t]) for t in range(own.shape[1])]

    def _rounded_up(self, values: Integers) -> Integers:
        """Bound what C's radius may add to a product with `values`, shape (k,)."""
        product: Integers = np.abs(values).sum(axis=0) * (self.radius or 0)
        return (product >> self.bits) + 1

    def _times(self, matrix: Integers, values: Integers) -> Integers:
        """Return matrix @ values, rounded down."""
        product: Integers = matrix.dot(values)
        return product >> self.bits


def _exchanged(
    combination: Integers, radius: int | None, one: int, order: list[int]
) -> tuple[Integers, list[Exchange], int | None]:
    """Remove C's large entries by exchanges; return C, the exchanges and C's radius.

    No quotient by the largest entry is above 1, so each exchange adds only a few radii.

    Args:
        combination: C in units of 1 / one, shape (q, r).
        radius: A bound on the error of each entry; None if there is no bound.
        one: 1 in the units of `combination`.
        order: The features' numbers, exchanged in place.
    """
    q, r = combination.shape
    exchanges: list[Exchange] = []
    while q and r:
        j, i = divmod(int(np.abs(combination).argmax()), r)
        row, column = combination[j].copy(), combination[:, i].copy()
        pivot = int(row[i])
        if abs(pivot) <= LARGE * one or (radius is not None and radius > one):
            break
        exchanges.append(Exchange(i, row, radius or 0))
        combination = combination - np.multiply.outer(column, row) // pivot
        combination[:, i] = column * one // pivot
        combination[j] = -row * one // pivot
        combination[j, i] = one * one // pivot
        order[i], order[r + j] = order[r + j], order[i]
        radius = None if radius is None else 5 * radius + 2
    return combination, exchanges, radius


def _norm(values: Integers) -> int:
    return math.isqrt(int((values * values).sum())) + 1
