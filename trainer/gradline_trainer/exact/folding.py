"""Minimum norm without rounding: share the weights of independent features with dependent ones.

Every dependent feature is z = C·x + c, with x the independent ones. Weights v of x and u of z give
the same predictions as the weights v + Cᵀu of x alone. Among all v and u with v + Cᵀu = w, the sum
of squares is least for u = C·v. So (I + CᵀC)·v = w, or (I + C·Cᵀ)·u = C·w: the smaller system is
solved once, for all w, by elimination in fixed-point numbers. No pivot is below 1.

The error bounds need no inverse: the minimum-norm solution is a projection, so the residuals of
v + Cᵀu = w and u = C·v move it by at most their own norms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from gradline_trainer.descent.dependence import Dependence
from gradline_trainer.exact.coefficients import Unknowns
from gradline_trainer.exact.integers import Integers, align

ROOM = 64  # bits by which the projection is finer than C
LARGE = 4  # an entry of C from which on sharing a weight makes its error much smaller


@dataclass(frozen=True)
class Folding:
    """How the dependent features follow from the independent ones, all in raw units.

    Attributes:
        of_features: The coefficients of the dependent features in terms of the independent ones.
        dependent: The dependent features' places among the system's features.
        projection: The minimum-norm weights v, then u, of each w in units of 2^-bits, shape
            (r + q, r).
        errors: A bound on the norm of each column's error, shape (r,).
        bits: The projection's fractional bits.
        unequal: Whether C has entries above LARGE.
    """

    of_features: Unknowns
    dependent: list[int]
    projection: Integers
    errors: Integers
    bits: int
    unequal: bool

    @classmethod
    def of(cls, of_features: Unknowns, dependent: list[int]) -> Folding:
        """Build the folding from the coefficients of features as targets."""
        own = np.array(of_features.system.target_exponents)
        shifts = own[:, None] - np.array(of_features.exponents)[None, :]
        least = min(int(shifts.min(initial=0)), 0)
        bits = of_features.fraction - least
        combination = align(of_features.centres.T, shifts - least)
        radius = int(align(of_features.radius.T, shifts - least).max(initial=0))
        largest = int(np.abs(combination).max(initial=0))
        finer = 4 * max(largest.bit_length() - bits, 0) + ROOM  # rounding errors are multiplied
        combination, radius, bits = combination << finer, radius << finer, bits + finer
        projection, errors = _project(combination, radius, bits)
        unequal = largest << finer > LARGE << bits
        return cls(of_features, dependent, projection, errors, bits, unequal)

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
        grow = top - np.array(known.exponents)[:, None]
        wanted, off = align(known.centres, grow), align(known.radius, grow)
        from_projection = (self.errors.dot(np.abs(wanted) + off) >> self.bits) + 2
        if self.unequal:
            off = (np.abs(self.projection).dot(off) >> self.bits) + 1
        bounds = [_norm(column) + more for column, more in zip(off.T, from_projection, strict=True)]
        return replace(
            known,
            places=[*known.places, *self.dependent],
            centres=self.projection.dot(wanted) >> self.bits,
            radius=np.array([bounds] * len(exponents), object),
            exponents=[top] * len(exponents),
        )


def _project(combination: Integers, radius: int, bits: int) -> tuple[Integers, Integers]:
    """Compute the minimum-norm weights of each independent feature alone, and error bounds.

    Args:
        combination: C in units of 2^-bits, shape (q, r).
        radius: A bound on the error of each entry.
        bits: The fractional bits of both, and of the result.
    """
    q, r = combination.shape
    identity = _identity(r, bits)
    if r <= q:
        own = _eliminate(_identity(r, 2 * bits) + combination.T.dot(combination), identity, bits)
        others = combination.dot(own) >> bits
    else:
        square = _identity(q, 2 * bits) + combination.dot(combination.T)
        others = _eliminate(square, combination, bits)
        own = identity - (combination.T.dot(others) >> bits)
    missed = np.abs(own + (combination.T.dot(others) >> bits) - identity)
    missed = missed + (np.abs(others).sum(axis=0) * radius >> bits) + 2
    gap = np.abs((combination.dot(own) >> bits) - others)
    gap = gap + (np.abs(own).sum(axis=0) * radius >> bits) + 2
    errors = np.array([_norm(m) + _norm(g) for m, g in zip(missed.T, gap.T, strict=True)], object)
    return np.concatenate([own, others]), errors


def _eliminate(matrix: Integers, right: Integers, bits: int) -> Integers:
    """Solve matrix·x = right by Gaussian elimination; the matrix is in units of 2^(−2·bits)."""
    n = len(matrix)
    rows = np.hstack([matrix, right])
    for i in range(n - 1):
        below = rows[i + 1 :, i].copy()
        rows[i + 1 :, i:] -= np.multiply.outer(below, rows[i, i:]) // rows[i, i]
    solution: Integers = np.zeros(right.shape, object)
    for i in reversed(range(n)):
        known = rows[i, i + 1 : n].dot(solution[i + 1 :])
        solution[i] = ((rows[i, n:] << (2 * bits)) - known) // rows[i, i]
    return solution


def _identity(n: int, bits: int) -> Integers:
    identity: Integers = np.eye(n, dtype=np.int64).astype(object) << bits
    return identity


def _norm(values: Integers) -> int:
    return math.isqrt(int((values * values).sum())) + 1
