"""The moments of a wide table: of each column alone, where a co-moment matrix would not fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.moments.compensated import two_sum

__all__ = ["ColumnMoments"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnMoments:
    """Weighted sums over rows z = [features, targets] of p columns; see `Moments`.

    Attributes:
        rows: How many rows.
        weight: Σw.
        mean: Shape (p,).
        mean_rest: What rounding took from the mean, shape (p,).
        squares: Σw·(z − mean)², shape (p,).
        minimum: Shape (p,).
        maximum: Shape (p,).
        float32: Whether every value of the column is a float32, shape (p,).
    """

    rows: int
    weight: float
    mean: Array
    mean_rest: Array
    squares: Array
    minimum: Array
    maximum: Array
    float32: NDArray[np.bool_]

    @classmethod
    def of(cls, values: Array, weights: Array | None = None) -> ColumnMoments:
        """Return the moments of `values`, shape (n, p), n ≥ 1, with weights of shape (n,) > 0."""
        w = np.ones(len(values)) if weights is None else weights
        total = float(w.sum())
        share = w / total
        minimum, maximum = values.min(axis=0), values.max(axis=0)
        mean = np.where(minimum == maximum, minimum, share @ values)
        centred = values - mean
        # The rounded mean is off by a little; the second pass takes that out again.
        rest = share @ centred
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as an infinity
            float32 = (values.astype(np.float32) == values).all(axis=0)
            squares = w @ np.square(centred, out=centred) - total * rest**2
        return cls(len(w), total, *two_sum(mean, rest), squares, minimum, maximum, float32)

    def merge(self, other: ColumnMoments) -> ColumnMoments:
        """Return the moments of both sets of rows together, by Chan, Golub and LeVeque (1983)."""
        total = self.weight + other.weight
        share = other.weight / total
        step = (other.mean - self.mean) + (other.mean_rest - self.mean_rest)
        return ColumnMoments(
            self.rows + other.rows,
            total,
            *two_sum(self.mean, self.mean_rest + share * step),
            self.squares + other.squares + self.weight * share * step**2,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
            self.float32 & other.float32,
        )
