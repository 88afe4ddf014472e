"""Sums of products without rounding: integer matrices multiplied by float64 matrix products.

Numbers are cut into slices of 20 bits (Ozaki, Ogita, Oishi and Rump, 2012). Products of slices are
integers below 2^40, and a sum of so many as are taken at a time stays below 2^53, so a float64
matrix product of slices is exact: neither the order of its sums nor the number of threads, nor
whether they are fused, can matter. Whole numbers are Python's own, in arrays of objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradline.errors import RefusedError

__all__ = [
    "SUMMED",
    "Integers",
    "SliceSums",
    "align",
    "cut",
    "integer_product",
    "nearest",
    "ratio",
    "slice_product",
    "whole",
]

Integers = NDArray[Any]  # of Python's int
BITS = 20
SUMMED = 8192  # products that one float64 sum holds exactly: 2^19 · 2^20 · 2^13 < 2^53
MOST_SLICES = 40


def cut(values: NDArray[np.float64], exponents: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """Return slices s such that values = Σ s[i]·2^(exponents − 20·(i + 1)), each |s| ≤ 2^19.

    Args:
        values: Shape (n, p), finite, |values| ≤ 2^(exponents − 1).
        exponents: Of each column, shape (p,).

    Raises:
        RefusedError: Where a column's values span more than 800 bits.
    """
    rest = np.ldexp(values, -exponents)
    exact = (np.ldexp(rest, exponents) == values).all()
    slices: list[NDArray[np.float64]] = []
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


def slice_product(
    left: list[NDArray[np.float64]], right: list[NDArray[np.float64]]
) -> tuple[Integers, int]:
    """Return leftᵀ @ right as integers, shape (p, q), in units of 2^−shift, and shift.

    The units are relative to 2^(the two columns' exponents).

    Args:
        left: Slices of shape (n, p).
        right: Slices of shape (n, q), each |slice| ≤ 2^20.
    """
    sums = SliceSums(left[0].shape[1], right[0].shape[1])
    for start in range(0, len(left[0]), SUMMED):
        a = [part[start : start + SUMMED] for part in left]
        sums.add(a, a if left is right else [part[start : start + SUMMED] for part in right])
    return sums.total()


class SliceSums:
    """Sums of products of slices; level m counts in units of 2^(−20·(m + 2))."""

    def __init__(self, p: int, q: int, device: str = "cpu") -> None:
        self.shape = p, q
        self.device = device
        self.levels: list[torch.Tensor] = []

    def add(self, left: list[NDArray[np.float64]], right: list[NDArray[np.float64]]) -> None:
        """Add leftᵀ @ right; slices of at most SUMMED rows. Symmetric where left is right."""
        a = [torch.from_numpy(part).to(self.device) for part in left]
        b = a if left is right else [torch.from_numpy(part).to(self.device) for part in right]
        for _ in range(len(self.levels), len(a) + len(b) - 1):
            self.levels.append(torch.zeros(self.shape, dtype=torch.int64, device=self.device))
        for i, first in enumerate(a):
            for j, second in enumerate(b):
                if left is right and j < i:
                    continue
                product = (first.T @ second).to(torch.int64)
                self.levels[i + j] += product
                if left is right and j > i:
                    self.levels[i + j] += product.T

    def total(self) -> tuple[Integers, int]:
        """Return the sum as integers in units of 2^−shift, shape (p, q), and shift."""
        total: Integers = np.zeros(self.shape, object)
        for level in self.levels:
            total = total * (1 << BITS) + level.cpu().numpy().astype(object)
        return total, BITS * (len(self.levels) + 1)


def align(integers: Integers, shifts: NDArray[np.int64]) -> Integers:
    """Return integers · 2^shifts, shifts ≥ 0, of a shape that broadcasts."""
    powers = np.array([1 << int(s) for s in shifts.ravel()], object).reshape(shifts.shape)
    product: Integers = integers * powers
    return product


def integer_product(left: Integers, right: Integers) -> Integers:
    """Return left @ right for integers of shapes (n, m) and (m, q), by float64 products."""
    total, _ = slice_product(_cut_integers(left.T), _cut_integers(right))
    return total


def _cut_integers(values: Integers) -> list[NDArray[np.float64]]:
    """Return signed slices of integers, the most significant first, without an exponent."""
    slices = []
    rest = values
    half = 1 << (BITS - 1)
    while True:
        low = ((rest + half) & ((1 << BITS) - 1)) - half
        slices.append(low.astype(np.float64))
        rest = (rest - low) >> BITS
        if not rest.any():
            return slices[::-1]


def ratio(numerator: int, denominator: int, exponent: int) -> float:
    """Return numerator / denominator · 2^exponent, correctly rounded; denominator > 0."""
    # Python divides integers with one correct rounding.
    if exponent < 0:
        return numerator / (denominator << -exponent)
    return (numerator << exponent) / denominator


def whole(values: NDArray[np.float64], bits: int) -> Integers:
    """Return values · 2^bits as integers, rounded down."""
    convert = np.frompyfunc(lambda v: _fixed(v, bits), 1, 1)
    integers: Integers = convert(values)
    return integers


def nearest(values: NDArray[np.float64], bits: int) -> Integers:
    """Round values · 2^bits to the nearest integers."""
    integers: Integers = (whole(values, bits + 1) + 1) >> 1
    return integers


def _fixed(value: float, bits: int) -> int:
    numerator, denominator = float(value).as_integer_ratio()
    return (numerator << bits) // denominator
