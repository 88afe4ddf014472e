"""Moments without rounding: Σ w·z zᵀ over rows z = [1, features, targets], as integers.

Sums of integers don't depend on the order. So the same set of rows gives the same moments for any
order of the rows, size of the blocks and number of threads or workers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from gradline.errors import RefusedError
from gradline_trainer.exact.integers import SUMMED, Integers, SliceSums, align, cut, ratio
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows

Array = NDArray[np.float64]
PIECE = 1 << 16  # numbers that are cut together, in the processor's cache
LEAST_ROWS = 512
TINY = 2.0**-960  # the rounding error of a smaller product may underflow
LARGE = np.finfo(np.float64).max / 2**28  # for larger factors, Veltkamp's split may overflow


@dataclass(frozen=True)
class ExactMoments:
    """Exact second moments of a column of ones and p other columns.

    Attributes:
        units: Each column's exponent, shape (p + 1,).
        gram: Σ w·z zᵀ as integers, in units of 2^(units_a + units_b), shape (p + 1, p + 1).
    """

    units: NDArray[np.int64]
    gram: Integers

    @classmethod
    def of(cls, values: Array, weights: Array | None, device: str = "cpu") -> ExactMoments:
        """Compute the moments of rows, shape (n, p); refuse values that span too many bits."""
        left = right = _exponents(values)
        if weights is not None:  # they are multiplied into the right factors
            right = left + _exponents(weights[:, None])[1]
        sums = SliceSums(len(left), len(right), device)
        size = min(max(PIECE // len(left), LEAST_ROWS), SUMMED)
        for start in range(0, len(values), size):
            rows = values[start : start + size]
            columns = np.ones((len(left), len(rows)))
            columns[1:] = rows.T
            slices = weighted = cut(columns, left)
            if weights is not None:
                high, low = _two_product(columns, weights[start : start + size])
                nothing = np.zeros_like(columns)
                pairs = zip_longest(cut(high, right), cut(low, right), fillvalue=nothing)
                weighted = [first + second for first, second in pairs]
            sums.add(slices, weighted)
        gram, shift = sums.total()
        left, right = left - shift // 2, right - (shift - shift // 2)
        least = np.minimum(left, right)
        return cls(least, align(gram, np.add.outer(left - least, right - least)))

    def merge(self, other: ExactMoments) -> ExactMoments:
        """Merge the moments of two sets of rows."""
        least = np.minimum(self.units, other.units)
        mine, others = self.units - least, other.units - least
        gram = align(self.gram, np.add.outer(mine, mine))
        return ExactMoments(least, gram + align(other.gram, np.add.outer(others, others)))

    def about(self, centred: bool) -> Integers:
        """Compute the p columns' second moments times (Σw)², as integers.

        The units are 2^(units_a + units_b + 2·units_0).

        Args:
            centred: Whether about the mean, Σw·Σw zzᵀ − (Σw z)(Σw z)ᵀ; else about 0, Σw·Σw zzᵀ.
        """
        weight, sums, squares = self.gram[0, 0], self.gram[0, 1:], self.gram[1:, 1:]
        moment: Integers = squares * weight
        return moment - np.multiply.outer(sums, sums) if centred else moment

    def rounded(self, moments: Moments) -> Moments:
        """Replace Σw, mean and co-moment in `moments` of the same rows, correctly rounded."""
        weight, unit = self.gram[0, 0], int(self.units[0])
        units = self.units[1:].tolist()
        sums = self.gram[0, 1:].tolist()
        means = [ratio(total, weight, u - unit) for total, u in zip(sums, units, strict=True)]
        rests = [
            _rest(total, weight, u - unit, mean)
            for total, u, mean in zip(sums, units, means, strict=True)
        ]
        p = len(units)
        comoment = np.zeros((p, p))
        for a, row in enumerate(self.about(centred=True).tolist()):
            for b in range(a, p):
                comoment[a, b] = comoment[b, a] = ratio(row[b], weight, units[a] + units[b])
        return replace(
            moments,
            weight=ratio(weight, 1, 2 * unit),
            mean=np.array(means),
            mean_rest=np.array(rests),
            comoment=comoment,
        )


def _rest(numerator: int, denominator: int, exponent: int, rounded: float) -> float:
    """Compute numerator / denominator · 2^exponent − rounded, correctly rounded."""
    above, below = rounded.as_integer_ratio()
    up, down = max(exponent, 0), max(-exponent, 0)
    left = (numerator * below << up) - (above * denominator << down)
    return left / (denominator * below << down)


def _exponents(values: Array) -> NDArray[np.int64]:
    """Find exponents e with |[1, values]| ≤ 2^(e − 1) in each column, shape (p + 1,)."""
    largest = np.maximum(values.max(axis=0), -values.min(axis=0))
    exponents: NDArray[np.int64] = np.frexp(np.append(1.0, largest))[1].astype(np.int64) + 1
    return exponents


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Find high and low with a·b = high + low exactly (Dekker, 1971; Veltkamp's split).

    Raises:
        RefusedError: If a product is so small that low would underflow, or a factor so large that
            its split would overflow.
    """
    if max(np.abs(a).max(initial=0.0), b.max(initial=0.0)) > LARGE:
        raise RefusedError(
            "a sample weight is too large for exact arithmetic",
            code="not-exact",
            hint="divide the sample weights by a constant, or use --arithmetic fast",
        )
    high = a * b
    if ((np.abs(high) < TINY) & (a != 0) & (b != 0)).any():
        raise RefusedError(
            "a sample weight times a value is too small for exact arithmetic",
            code="not-exact",
            hint="multiply the sample weights, or use --arithmetic fast",
        )
    a1, b1 = ((c := 134217729.0 * v) - (c - v) for v in (a, b))
    a2, b2 = a - a1, b - b1
    return high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2


def gather_exactly(walk: Walk) -> ExactMoments:
    """Compute the exact moments of the training rows; read them again if they are not in memory."""
    found = walk.total(Pass(partial(_exact, device=walk.reader.options.torch_device)))
    assert found is not None  # noqa: S101 - tables without rows are refused earlier
    return found


def _exact(rows: Rows, device: str) -> ExactMoments:
    return ExactMoments.of(rows.values, rows.weights, device)
