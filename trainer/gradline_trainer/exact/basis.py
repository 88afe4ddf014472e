"""Which features are linearly independent, decided without rounding.

Features are taken in order, in float64 as long as its digits suffice. If float64 can't tell a
feature from a combination of the earlier ones, its float64 projection on them is subtracted
exactly, again and again (iterated Gram-Schmidt; Rump, Inversion of extremely ill-conditioned
matrices in floating-point, 2009). There are two outcomes. If float64 can resolve the scaled
remainder, the feature is independent, and the remainder represents it. If the remainder is smaller
than any independent feature of whole numbers can leave, the feature is dependent: the square of the
remainder is a quotient of two determinants (the Schur complement), so at least 1 over the lower
one, which Hadamard's inequality bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.descent.problem import cholesky
from gradline_trainer.exact.integers import Integers, ratio, to_float

Array = NDArray[np.float64]
SEEN = 1e-10  # least share of a squared norm that float64 resolves, for all features at once
APART = 1e-6  # the same for one feature, beside vectors with at least this independent share
LEFT = 1 / 16  # if a projection leaves a larger share, the next one removes hardly anything
STEP_BITS = 40  # fractional bits of a projection: few, so simple numbers are found exactly
MOST_BITS = 1 << 13  # fractional bits of a feature's vector; beyond them it is undecided


@dataclass(frozen=True)
class Basis:
    """Vectors U·x / 2^bits for r independent features x, such that float64 can separate them.

    Attributes:
        kept: The features' places, ascending.
        undecided: Places of features that count as dependent without proof.
        rows: U, shape (r, r), lower triangular; None if the vectors are the features themselves.
        bits: Fractional bits of U.
        factor: The lower Cholesky factor of the vectors' second moments, shape (r, r).
    """

    kept: list[int]
    undecided: list[int]
    rows: Integers | None
    bits: int
    factor: Tensor

    @cached_property
    def transform(self) -> Array:
        """U / 2^bits in float64."""
        return np.eye(len(self.kept)) if self.rows is None else to_float(self.rows, self.bits)

    def vector_values(self, values: Integers) -> Integers:
        """Convert the features' values to the vectors', 2^bits times as large."""
        return values if self.rows is None else self.rows.dot(values)

    def feature_unknowns(self, unknowns: Integers) -> Integers:
        """Convert the vectors' unknowns to the features', 2^bits times as large."""
        return unknowns if self.rows is None else self.rows.T.dot(unknowns)

    def feature_radius(self, radius: Integers) -> Integers:
        """Bound the errors of `feature_unknowns` by those of the vectors' unknowns."""
        return radius if self.rows is None else np.abs(self.rows).T.dot(radius)

    def feature_factor(self) -> Tensor:
        """Compute the features' own Cholesky factor, shape (r, r)."""
        if self.rows is None:
            return self.factor
        transform = torch.from_numpy(self.transform)
        found: Tensor = torch.linalg.solve_triangular(transform, self.factor, upper=False)
        return found


def independent_basis(matrix: Integers, places: int, rank: int) -> Basis:
    """Find the features that are independent of earlier ones, and vectors to represent them.

    Args:
        matrix: The features' second moments A in units of 2^(−2·places), shape (p, p), with a
            diagonal between 1/4 and 1.
        places: The exponent in the units.
        rank: The most features that can be independent.
    """
    p = len(matrix)
    rounded = to_float(matrix, 2 * places)
    if rank == p:
        factor = cholesky(rounded)
        if factor is not None and (factor.numpy().diagonal() ** 2 > SEEN).all():
            return Basis(list(range(p)), [], None, 0, factor)
    search = _Search(matrix, places, rounded)
    for j in range(p):
        if len(search.kept) < rank:
            search.take(j)
    return search.basis()


@dataclass(frozen=True)
class _Vector:
    """The vector for a feature: Σ numbers·x / 2^bits; `bits` may be negative."""

    numbers: Integers
    bits: int


class _Search:
    """The vectors of the features kept so far, and the inverse of their Cholesky factor."""

    def __init__(self, matrix: Integers, places: int, rounded: Array) -> None:
        p = len(matrix)
        self.matrix, self.places = matrix, places
        self.kept: list[int] = []
        self.undecided: list[int] = []
        self._vectors: list[_Vector] = []
        self._products = np.zeros((p, p))  # vectors times features, in float64
        self._rounded = rounded
        self._factor, self._inverse = np.zeros((2, p, p))
        self._moved = False

    @cached_property
    def _divisors(self) -> tuple[list[int], list[int]]:
        """Exponents a, b such that 2^(aᵢ + bⱼ) divides each entry; the diagonal has no 0."""
        powers = np.array([[_twos(int(v)) for v in row] for row in self.matrix])
        rows = powers.min(axis=1)
        return rows.tolist(), (powers - rows[:, None]).min(axis=0).tolist()

    def take(self, j: int) -> None:
        """Keep feature j if it is independent of the kept ones."""
        r = len(self.kept)
        if self._accept(self._products[:r, j], self._rounded[j, j], APART):
            vector, products = _Vector(self._unit(j), 0), self._rounded[j]
        elif (resolved := self._resolve(j)) is not None:
            self._moved, vector = True, resolved
            image = self.matrix.dot(vector.numbers)
            shift = -vector.bits - 2 * self.places
            products = np.array([ratio(int(v), 1, shift) for v in image])
        else:
            return
        self._products[r] = products
        self.kept.append(j)
        self._vectors.append(vector)

    def basis(self) -> Basis:
        """Build the basis from the kept vectors."""
        r = len(self.kept)
        bits = max([vector.bits for vector in self._vectors], default=0)
        rows: Integers = np.zeros((r, r), object)
        for i, vector in enumerate(self._vectors):
            rows[i] = vector.numbers[self.kept] * (1 << (bits - vector.bits))
        factor = torch.from_numpy(self._factor[:r, :r].copy())
        return Basis(self.kept, self.undecided, rows if self._moved else None, bits, factor)

    def _unit(self, j: int) -> Integers:
        numbers: Integers = np.zeros(len(self.matrix), object)
        numbers[j] = 1
        return numbers

    def _accept(self, products: Array, square: float, least: float) -> bool:
        """Extend the factor by a vector if its independent share is above `least`."""
        r = len(products)
        row = self._inverse[:r, :r] @ products
        left = square - float(row @ row)
        if not left > least * square:
            return False
        pivot = left**0.5
        self._factor[r, :r], self._factor[r, r] = row, pivot
        self._inverse[r, :r] = -(row @ self._inverse[:r, :r]) / pivot
        self._inverse[r, r] = 1 / pivot
        return True

    def _resolve(self, j: int) -> _Vector | None:
        """Compute feature j's scaled remainder after the earlier ones; None if nothing is left."""
        numbers, bits = self._unit(j), 0
        least = self._least_square(j)
        before: int | None = None
        while True:
            image = self.matrix.dot(numbers)
            square = int(numbers.dot(image))  # in units of 2^(−2·bits − 2·places)
            if square == 0 or square.bit_length() - 2 * bits < least:
                return None
            size = square.bit_length() - 2 * bits - 2 * self.places
            if bits > MOST_BITS or (before is not None and size >= before):
                self.undecided.append(j)
                return None
            up = -(size // 2)  # 2^up times it has a square between 1/4 and 1, or 1 and 2
            shift = up - bits - 2 * self.places
            products = np.array(
                [ratio(int(v.numbers.dot(image)), 1, shift - v.bits) for v in self._vectors]
            )
            if self._accept(products, ratio(square, 1, 2 * (up - bits - self.places)), LEFT):
                return _Vector(numbers, bits - up)
            numbers, bits, before = *self._less_projection(numbers, bits, products, up), size

    def _less_projection(
        self, numbers: Integers, bits: int, products: Array, up: int
    ) -> tuple[Integers, int]:
        """Subtract a vector's float64 projection on the kept ones; return numbers and bits."""
        r = len(products)
        inverse = self._inverse[:r, :r]
        coefficients = inverse.T @ (inverse @ products)
        own = [STEP_BITS + up + vector.bits for vector in self._vectors]
        finest = max([bits, *own])
        numbers = numbers * (1 << (finest - bits))
        for vector, coefficient, unit in zip(self._vectors, coefficients, own, strict=True):
            step = round(float(np.ldexp(coefficient, STEP_BITS)))
            numbers = numbers - vector.numbers * (step << (finest - unit))
        return numbers, finest

    def _least_square(self, j: int) -> int:
        """Bound the squared remainder of an independent feature from below by 2^e; return e."""
        rows, columns = self._divisors
        divisor = sum(rows[i] + columns[i] for i in (*self.kept, j))
        lower: int = divisor - sum(int(self.matrix[i, i]).bit_length() for i in self.kept)
        return lower


def _twos(value: int) -> int:
    """Count how many times 2 divides a number; a large count for 0."""
    return (value & -value).bit_length() - 1 if value else 1 << 40
