"""Moments without rounding: Σ w·z zᵀ over rows z = [1, features, targets], as integers.

Integers add up the same in any order, so the same set of rows gives the same moments whatever the
order of the rows, the size of the blocks and the number of threads or workers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from gradline.errors import RefusedError
from gradline_trainer.exact.integers import SUMMED, Integers, SliceSums, align, cut, ratio
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows

__all__ = ["ExactMoments", "gather_exactly"]

TINY = 2.0**-960  # of products below it, what rounding takes may be too small for float64
LARGE = np.finfo(np.float64).max / 2**28  # for larger factors, Veltkamp's split may overflow


@dataclass(frozen=True)
class ExactMoments:
    """Exact second moments of p + 1 columns, the first of which is 1.

    Attributes:
        units: Each column's exponent, shape (p + 1,).
        gram: Σ w·z zᵀ as integers, in units of 2^(units_a + units_b), shape (p + 1, p + 1).
    """

    units: NDArray[np.int64]
    gram: Integers

    @classmethod
    def of(
        cls,
        values: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        device: str = "cpu",
    ) -> ExactMoments:
        """Return the moments of `values`, shape (n, p), with weights of shape (n,).

        Args:
            values: Of the rows.
            weights: None where every row weighs 1.
            device: PyTorch's name of where to multiply; the bits are the same on any.

        Raises:
            RefusedError: Where a column's values span too many bits.
        """
        left = right = _exponents(values)
        if weights is not None:
            right = left + _exponents(weights[:, None])[1]
        sums = SliceSums(len(left), len(right), device)
        for start in range(0, len(values), SUMMED):
            rows = values[start : start + SUMMED]
            rows = np.hstack([np.ones((len(rows), 1)), rows])
            slices = cut(rows, left)
            if weights is None:
                sums.add(slices, slices)
            else:
                high, low = _two_product(rows, weights[start : start + SUMMED, None])
                sums.add(slices, _added(cut(high, right), cut(low, right)))
        gram, shift = sums.total()
        units = left - shift // 2, right - (shift - shift // 2)
        least = np.minimum(*units)
        return cls(least, align(gram, (units[0] - least)[:, None] + (units[1] - least)[None, :]))

    def merge(self, other: ExactMoments) -> ExactMoments:
        """Return the moments of both sets of rows together."""
        least = np.minimum(self.units, other.units)
        mine, others = (
            align(part.gram, np.add.outer(part.units - least, part.units - least))
            for part in (self, other)
        )
        return ExactMoments(least, mine + others)

    def about(self, centred: bool) -> Integers:
        """Return the p columns' second moment times (Σw)², or about 0 times Σw, as integers.

        Args:
            centred: Whether about the mean: Σw·Σw zzᵀ − (Σw z)(Σw z)ᵀ, in units of
                2^(units_a + units_b + 2·units_0); else Σw·Σw zzᵀ in the same units.
        """
        weight, sums, squares = self.gram[0, 0], self.gram[0, 1:], self.gram[1:, 1:]
        moment: Integers = squares * weight
        return moment - np.multiply.outer(sums, sums) if centred else moment

    def rounded(self, moments: Moments) -> Moments:
        """Return `moments` of the same rows with Σw, mean and co-moment correctly rounded."""
        weight, unit = self.gram[0, 0], int(self.units[0])
        units = [int(u) for u in self.units[1:]]
        means = [
            Fraction(total, weight) * Fraction(2) ** (u - unit)
            for total, u in zip(self.gram[0, 1:], units, strict=True)
        ]
        centred = self.about(centred=True)
        return replace(
            moments,
            weight=ratio(weight, 1, 2 * unit),
            mean=np.array([float(mean) for mean in means]),
            mean_rest=np.array([float(mean - Fraction(float(mean))) for mean in means]),
            comoment=np.array(
                [
                    [ratio(centred[a, b], weight, ua + ub) for b, ub in enumerate(units)]
                    for a, ua in enumerate(units)
                ]
            ),
        )


def _exponents(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return exponents e with |[1, values]| ≤ 2^(e − 1) in each column, shape (p + 1,)."""
    largest = np.maximum(values.max(axis=0), -values.min(axis=0))
    exponents: NDArray[np.int64] = np.frexp(np.append(1.0, largest))[1].astype(np.int64) + 1
    return exponents


def _two_product(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return high and low with a·b = high + low exactly (Dekker, 1971; Veltkamp's split).

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
    if (np.abs(high, where=high != 0, out=np.ones_like(high)) < TINY).any() or (
        (high == 0) & (a != 0) & (b != 0)
    ).any():
        raise RefusedError(
            "a sample weight times a value is too small for exact arithmetic",
            code="not-exact",
            hint="multiply the sample weights, or use --arithmetic fast",
        )
    a1, b1 = ((c := 134217729.0 * v) - (c - v) for v in (a, b))
    a2, b2 = a - a1, b - b1
    return high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2


def _added(a: list[NDArray[np.float64]], b: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [x + y for x, y in zip_longest(a, b, fillvalue=np.zeros_like(a[0]))]


def gather_exactly(walk: Walk) -> ExactMoments:
    """Return the exact moments of the training rows, from a further pass where not at hand.

    Raises:
        InputError: Where the table has changed since.
        RefusedError: Where values span too many bits.
    """
    found = walk.total(Pass(partial(_exact, device=walk.reader.options.torch_device)))
    assert found is not None  # noqa: S101 - of no rows, which are refused
    return found


def _exact(rows: Rows, device: str) -> ExactMoments:
    return ExactMoments.of(rows.values, rows.weights, device)
