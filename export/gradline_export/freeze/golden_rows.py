"""Synthetic rows that test a package: never rows of the training table.

The rounding bound holds for |x_j| and |x_j·W_kj| that are 0 or at least 2⁻⁶⁰ and for sums of
magnitudes up to 2⁶⁰; `admissible` brings any row into that range.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.package.golden import row_count
from gradline_trainer.moments.moments import ColumnMoments, Moments, extremes

SMALLEST, LARGEST = 2.0**-60, 2.0**60
WORK = 2_000_000  # multiply-adds of the exact evaluation of the parity rows


def golden_rows(
    moments: Moments | ColumnMoments, weights: NDArray[Any], bias: NDArray[Any], seed: int
) -> NDArray[Any]:
    """Make `row_count(d)` rows in the graph's dtype, shape (n, d).

    They are the columns' means, minima and maxima, zeros, and seeded draws between the extremes.
    """
    d = weights.shape[1]
    count = row_count(d)
    low, high = (ends[:d] for ends in extremes(moments))
    draws = _draws(low, high, count - 4, seed)
    rows = np.vstack([moments.mean[:d], low, high, np.zeros(d), draws])
    return admissible(rows, weights, bias)


def parity_rows(golden: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """Make up to 256 rows: the golden ones, and some of them at every scale of the bound."""
    k, d = weights.shape
    count = max(16, min(256, WORK // (d * k)))
    generator = np.random.default_rng(count)
    picked = golden[generator.integers(len(golden), size=max(0, count - len(golden)))]
    signs = generator.choice([-1.0, 1.0], size=picked.shape)
    powers = np.linspace(-60, 60, len(picked)).round()[:, None]
    with np.errstate(over="ignore"):
        scaled = picked.astype(np.float64) * signs * 2.0**powers
    return np.vstack([golden, admissible(scaled, weights, bias)])[:count]


def _draws(
    low: NDArray[np.float64], high: NDArray[np.float64], count: int, seed: int
) -> NDArray[np.float64]:
    share = np.random.default_rng([seed, 1]).random((count, len(low)))
    return low * (1 - share) + high * share


def admissible(
    rows: NDArray[np.float64], weights: NDArray[Any], bias: NDArray[Any]
) -> NDArray[Any]:
    """Bring rows (n, d), in the graph's dtype, into the range of the rounding bound.

    A row whose sum is too large is scaled by a power of two. A value becomes 0 if it, or one of its
    products, is too small.
    """
    factors = np.abs(weights.astype(np.float64))
    room = LARGEST - float(np.abs(bias).max(initial=0.0))
    most = np.minimum(np.abs(rows), np.finfo(weights.dtype).max)
    sums = np.maximum((most @ factors.T).max(axis=1), most.max(axis=1))
    with np.errstate(divide="ignore"):
        powers = np.ceil(np.log2(sums / max(room, 1.0)) + 1e-9).clip(min=0)
    scaled = (rows * 2.0 ** -powers[:, None]).astype(weights.dtype)
    with np.errstate(divide="ignore"):
        weakest = np.where(factors > 0, factors, np.inf).min(axis=0)
    magnitude = np.abs(scaled.astype(np.float64))
    keep = (magnitude >= SMALLEST) & (magnitude * np.minimum(weakest, 1.0) >= SMALLEST)
    return np.where(keep, scaled, np.zeros((), weights.dtype))
