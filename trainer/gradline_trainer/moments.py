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

__all__ = ["Moments", "merge_all"]

Array = NDArray[np.float64]
CHUNK = 16  # rows that are taken together, and summed before sums are compensated
PIECE_ROWS = 4096  # rows that are centred and multiplied while they are in the cache
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
        mean = _down(np.add, values) / n if share is None else share @ values
        minimum, maximum = _down(np.minimum, values), _down(np.maximum, values)
        mean = np.where(minimum == maximum, minimum, mean)  # so that its co-moments are 0
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as an infinity
            sums, product = _about(mean, values, weights)
            # The rounded mean is off by a little; the second pass takes that out again.
            rest = sums / (total or 1.0)
            comoment = product - total * np.outer(rest, rest)
            float32 = _are_float32(values)
        return cls(
            n,
            total,
            *_two_sum(mean, rest),
            (comoment + comoment.T) / 2,
            minimum,
            maximum,
            float32,
        )

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
            *_two_sum(heavy.mean, heavy.mean_rest + share * step),
            self.comoment + other.comoment + (self.weight * share) * np.outer(step, step),
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
            self.float32 & other.float32,
        )


def _down(reduction: np.ufunc, values: Array) -> Array:
    """Return reduction.reduce(values, axis=0), several rows at a time: short rows are slow."""
    n, p = values.shape
    if whole := n - n % CHUNK:
        wide = reduction.reduce(values[:whole].reshape(-1, CHUNK * p), axis=0)
        values = np.concatenate([wide.reshape(CHUNK, p), values[whole:]])
    reduced: Array = reduction.reduce(values, axis=0)
    return reduced


def _are_float32(values: Array) -> NDArray[np.bool_]:
    """Return whether every value of a column is a float32; most other columns show it early."""
    head = values[:CHUNK]
    found: NDArray[np.bool_] = (head.astype(np.float32) == head).all(axis=0)
    if found.any():
        columns = values[:, found]
        found[found] = (columns.astype(np.float32) == columns).all(axis=0)
    return found


def _about(centre: Array, values: Array, weights: Array | None) -> tuple[Array, Array]:
    """Return Σw·(z − centre), shape (p,), and Σw·(z − centre)(z − centre)ᵀ, shape (p, p)."""
    n, p = values.shape
    compensated = n * p * p <= COMPENSATED
    size = n if compensated else PIECE_ROWS
    sums, products = np.zeros(p), np.zeros((p, p))
    for start in range(0, n, size):
        centred = values[start : start + size] - centre
        weighted = centred
        if weights is not None:
            weighted = centred * weights[start : start + size, None]
        sums += _down(np.add, weighted)
        products += _compensated(centred, weighted) if compensated else centred.T @ weighted
    return sums, products


def _compensated(left: Array, right: Array) -> Array:
    """Return leftᵀ @ right with hardly more than the last rounding.

    The sums of a few rows are exact to a rounding or two, and are added up without any.
    """
    n, p = left.shape
    padded = np.zeros((2, n + -n % CHUNK, p))
    padded[:, :n] = left, right
    a, b = padded.reshape(2, -1, CHUNK, p)
    sums = a.transpose(0, 2, 1) @ b
    rest = np.zeros_like(sums)
    while len(sums) > 1:
        if len(sums) % 2:
            sums, rest = (np.concatenate([part, np.zeros((1, p, p))]) for part in (sums, rest))
        sums, lost = _two_sum(sums[::2], sums[1::2])
        rest = rest[::2] + rest[1::2] + lost
    total: Array = sums[0] + rest[0]
    return total


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a + b rounded, and exactly what rounding took (Knuth, 1969)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


class Mergeable(Protocol):
    """What is known of some rows, and with that of others is known of both."""

    def merge(self, other: Self) -> Self:
        """What is known of both."""


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
