"""Exact sums of products: integer matrices multiplied by float64 matrix products.

Numbers are cut into slices of 20 bits (Ozaki, Ogita, Oishi and Rump, 2012). A product of two slices
is an integer below 2^40, and a sum of up to `SUMMED` products is below 2^53. So a float64 matrix
product of slices is exact, whatever the order of its sums, the threads or fused operations. Large
integers are Python's own, in arrays of objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradline.errors import RefusedError

Array = NDArray[np.float64]
Integers = NDArray[Any]  # of Python's int
BITS = 20
SUMMED = 8192  # products that one float64 sum holds exactly: 2^19 · 2^20 · 2^13 < 2^53
MOST_SLICES = 40
MOST_EXPONENT = 1000  # of powers of 2 that are float64s, and so are their inverses


def cut(values: Array, exponents: NDArray[np.int64]) -> list[Array]:
    """Cut values into slices s with values = Σ s[i]·2^(exponents − 20·(i + 1)), |s| ≤ 2^19.

    Args:
        values: Shape (p, n), finite, |values| ≤ 2^(exponents − 1); a row for each column.
        exponents: Each column's exponent, shape (p,).

    Raises:
        RefusedError: If a column's values span more than 800 bits.
    """
    up = exponents[:, None]
    if (np.abs(exponents) < MOST_EXPONENT).all():  # powers of 2, whose products are fast
        power = np.ldexp(1.0, up)
        rest = values / power
        exact = (rest * power == values).all()
    else:
        rest = np.ldexp(values, -up)
        exact = (np.ldexp(rest, up) == values).all()
    slices: list[Array] = []
    while len(slices) < MOST_SLICES and (rest.any() or not slices):
        rest *= 2.0**BITS
        slices.append(np.rint(rest))
        rest -= slices[-1]
    if rest.any() or not exact:
        raise RefusedError(
            "the values of a column span more than 800 bits, too many for exact arithmetic",
            code="not-exact",
            hint="--arithmetic fast",
        )
    return slices


class SliceSums:
    """Exact sums of products of slices; level m counts in units of 2^(−20·(m + 2))."""

    def __init__(self, p: int, q: int, device: str = "cpu") -> None:
        self.shape = p, q
        self.device = device
        self.levels: list[NDArray[np.int64]] = []

    def add(self, left: list[Array], right: list[Array]) -> None:
        """Add left @ rightᵀ, for slices of at most SUMMED columns; faster if left is right."""
        a = np.concatenate(left)
        b = a if left is right else np.concatenate(right)
        products = self._product(a, b).astype(np.int64)
        products = products.reshape(len(left), self.shape[0], len(right), self.shape[1])
        for _ in range(len(self.levels), len(left) + len(right) - 1):
            self.levels.append(np.zeros(self.shape, np.int64))
        for i in range(len(left)):
            for j in range(len(right)):
                self.levels[i + j] += products[i, :, j]

    def _product(self, a: Array, b: Array) -> Array:
        """Compute a @ bᵀ; NumPy multiplies half of it if a is b."""
        found: Array
        if self.device == "cpu":
            found = np.dot(a, b.T)
        else:
            left, right = (torch.from_numpy(part).to(self.device) for part in (a, b))
            found = (left @ right.T).cpu().numpy()
        return found

    def total(self) -> tuple[Integers, int]:
        """Compute the sums as integers in units of 2^−shift, shape (p, q), and the shift."""
        total: Integers = np.zeros(self.shape, object)
        for level in self.levels:
            total = total * (1 << BITS) + level.astype(object)
        return total, BITS * (len(self.levels) + 1)


def integer_product(left: Integers, right: Integers) -> Integers:
    """Compute left @ right for integers of shapes (n, m) and (m, q), by float64 products."""
    sums = SliceSums(len(left), right.shape[1])
    rows, columns = _cut_integers(left), _cut_integers(right.T)
    for start in range(0, len(right), SUMMED):
        block = slice(start, start + SUMMED)
        sums.add([part[:, block] for part in rows], [part[:, block] for part in columns])
    return sums.total()[0]


def _cut_integers(values: Integers) -> list[Array]:
    """Cut integers into signed slices, the most significant first."""
    slices = []
    rest = values
    half = 1 << (BITS - 1)
    while True:
        low = ((rest + half) & ((1 << BITS) - 1)) - half
        slices.append(low.astype(np.float64))
        rest = (rest - low) >> BITS
        if not rest.any():
            return slices[::-1]


def align(integers: Integers, shifts: NDArray[np.int64]) -> Integers:
    """Compute integers · 2^shifts; the shifts are ≥ 0 and their shape broadcasts."""
    powers = np.array([1 << int(s) for s in shifts.ravel()], object).reshape(shifts.shape)
    product: Integers = integers * powers
    return product


def ratio(numerator: int, denominator: int, exponent: int) -> float:
    """Compute numerator / denominator · 2^exponent, correctly rounded; denominator > 0."""
    # Python divides integers with one correct rounding.
    if exponent < 0:
        return numerator / (denominator << -exponent)
    return (numerator << exponent) / denominator


def to_float(integers: Integers, bits: int) -> Array:
    """Compute integers / 2^bits, correctly rounded."""
    values: Array = (integers / (1 << bits)).astype(np.float64)
    return values


def whole(values: Array, bits: int) -> Integers:
    """Compute values · 2^bits, rounded down to integers."""
    fractions = [value.as_integer_ratio() for value in values.ravel().tolist()]
    integers = [(numerator << bits) // denominator for numerator, denominator in fractions]
    return np.array(integers, object).reshape(values.shape)


def nearest_whole(values: Array, bits: int) -> Integers:
    """Compute values · 2^bits, rounded to the nearest integers."""
    finer = whole(values, bits + 1)
    return (finer + 1) >> 1
