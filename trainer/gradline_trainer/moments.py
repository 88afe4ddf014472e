"""The moments of a table: all that least squares needs to know, gathered in one pass.

Blocks are centred on their own means, and merged by the update of Chan, Golub and LeVeque (1983),
so that a large offset costs no digits. The merge is a fixed binary tree over the blocks, so that
the same rows give the same bits however they are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments", "merge_all", "two_sum"]

Array = NDArray[np.float64]
CHUNK = 16  # rows that are summed before sums are compensated
COMPENSATED = 4_000_000  # n·p² up to which they are: a few milliseconds


@dataclass(frozen=True)
class Moments:
    """Weighted sums over rows z = [features, targets] of p columns.

    Attributes:
        rows: How many rows.
        weight: Σw, which is `rows` where every row weighs 1.
        mean: Σw·z / Σw, shape (p,).
        mean_rest: What rounding took from the mean, shape (p,): blocks of a column of large offset
            and small spread differ by little more than that.
        comoment: Σw·(z − mean)(z − mean)ᵀ, shape (p, p).
        minimum: Shape (p,).
        maximum: Shape (p,).
        float32: Whether every value of the column is a float32, shape (p,).
    """

    rows: int
    weight: float
    mean: Array
    mean_rest: Array
    comoment: Array
    minimum: Array
    maximum: Array
    float32: NDArray[np.bool_]

    @classmethod
    def of(cls, values: Array, weights: Array | None = None) -> Moments:
        """Return the moments of `values`, shape (n, p), n ≥ 1, with weights of shape (n,)."""
        n = len(values)
        total = float(n if weights is None else weights.sum())
        share = None if weights is None or total == 0 else weights / total
        mean = values.mean(axis=0) if share is None else share @ values
        centred = values - mean
        # The rounded mean is off by a little; the second pass takes that out again.
        rest = centred.mean(axis=0) if share is None else share @ centred
        weighted = centred if weights is None else centred * weights[:, None]
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as an infinity
            comoment = _product(centred, weighted) - total * np.outer(rest, rest)
            float32 = (values.astype(np.float32) == values).all(axis=0)
        return cls(
            n,
            total,
            *two_sum(mean, rest),
            (comoment + comoment.T) / 2,
            values.min(axis=0),
            values.max(axis=0),
            float32,
        )

    @property
    def squares(self) -> Array:
        """Σw·(z − mean)² of each column, shape (p,)."""
        return self.comoment.diagonal()

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together."""
        total = self.weight + other.weight
        step = (other.mean - self.mean) + (other.mean_rest - self.mean_rest)
        if not self.weight or not other.weight:  # what has no weight has no mean either
            heavy, share = (other if other.weight else self), 0.0
        else:
            heavy, share = self, other.weight / total
        return Moments(
            self.rows + other.rows,
            total,
            *two_sum(heavy.mean, heavy.mean_rest + share * step),
            self.comoment + other.comoment + (self.weight * share) * np.outer(step, step),
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
            self.float32 & other.float32,
        )


def _product(left: Array, right: Array) -> Array:
    """Return leftᵀ @ right; for few rows, with hardly more than the last rounding.

    There the sums of a few rows are exact to a rounding or two, and are added up without any.
    """
    n, p = left.shape
    if n * p * p > COMPENSATED:
        return left.T @ right
    padding = ((0, -n % CHUNK), (0, 0))
    a, b = (np.pad(part, padding).reshape(-1, CHUNK, p) for part in (left, right))
    sums = a.transpose(0, 2, 1) @ b
    rest = np.zeros_like(sums)
    while len(sums) > 1:
        if len(sums) % 2:
            sums, rest = (np.concatenate([part, np.zeros((1, p, p))]) for part in (sums, rest))
        sums, lost = two_sum(sums[::2], sums[1::2])
        rest = rest[::2] + rest[1::2] + lost
    total: Array = sums[0] + rest[0]
    return total


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a + b rounded, and exactly what rounding took (Knuth, 1969)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


class Mergeable(Protocol):
    """Moments of some rows."""

    def merge(self, other: Self) -> Self:
        """Those of both sets of rows."""


M = TypeVar("M", bound=Mergeable)


def merge_all(blocks: Iterable[M]) -> M | None:
    """Return the blocks' moments merged in a binary tree over their order; None for no block.

    Memory holds one set of moments for each level of the tree.
    """
    levels: list[M | None] = []
    for moments in blocks:
        carried = moments
        for level, waiting in enumerate(levels):
            if waiting is None:
                levels[level] = carried
                break
            carried, levels[level] = waiting.merge(carried), None
        else:
            levels.append(carried)
    merged: M | None = None
    for waiting in levels:
        if waiting is not None:
            merged = waiting if merged is None else waiting.merge(merged)
    return merged
