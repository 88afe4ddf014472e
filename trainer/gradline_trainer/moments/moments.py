"""The moments of a table: all that least squares needs to know, gathered in one pass.

Each block is centred on its own mean, and blocks are merged by the update of Chan, Golub and
LeVeque (1983), so a large offset costs no digits. The merges form a fixed binary tree over the
blocks, so the same rows give the same bits, however they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.moments.crossproducts import CrossProducts, cross_products

Array = NDArray[np.float64]
CHUNK = 16  # rows summed together, before sums are compensated
LOG_BITS = 32  # after the binary point of a weight's logarithm
STRIP = 256  # rows of a large matrix that are updated together
COMPENSATED = 4_000_000  # largest n·p² with compensated sums: a few milliseconds


@dataclass(frozen=True)
class Moments:
    """Weighted sums over rows z = [features, targets] of p columns.

    Attributes:
        rows: The number of rows.
        weight: Σw, which is `rows` if every row weighs 1.
        mean: Σw·z / Σw, shape (p,).
        mean_rest: The rounding error of the mean, shape (p,). It matters if a column's offset is
            large and its spread small: the means of its blocks then differ by little more.
        comoment: Σw·(z − mean)(z − mean)ᵀ, shape (p, p).
        minimum: Shape (p,); NaN if rows were subtracted, since the ranges are then unknown.
        maximum: Shape (p,); likewise.
        float32: Whether every value of the column is a float32, shape (p,).
        log_weights: Σ log₂ w in units of 2⁻³²: whole numbers add up to the same in any order.
        rounding: The relative rounding of a variance beyond the rounding of its sum; 0 unless rows
            were subtracted.
    """

    rows: int
    weight: float
    mean: Array
    mean_rest: Array
    comoment: Array
    minimum: Array
    maximum: Array
    float32: NDArray[np.bool_]
    log_weights: int
    rounding: float = 0.0

    @classmethod
    def of(
        cls,
        values: Array | Sequence[NDArray[Any]],
        weights: Array | None = None,
        device: str = "cpu",
    ) -> Moments:
        """Gather the moments of rows, n ≥ 1.

        Args:
            values: Shape (n, p), or matrices of n rows that have p columns together.
            weights: Shape (n,); None if every row weighs 1.
            device: PyTorch's name of the device that multiplies many rows.
        """
        pieces = [values] if isinstance(values, np.ndarray) else values
        n, p = len(pieces[0]), sum(piece.shape[1] for piece in pieces)
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as an infinity
            if n * p * p > COMPENSATED:
                found = cross_products(pieces, weights, device)
            else:
                found = _compensated(np.concatenate(pieces, axis=1, dtype=np.float64), weights)
        float32 = np.concatenate([are_float32(piece) for piece in pieces])
        return cls.of_products(n, weights, found, float32)

    @classmethod
    def of_products(
        cls, rows: int, weights: Array | None, found: CrossProducts, float32: NDArray[np.bool_]
    ) -> Moments:
        """Make the moments of cross-products, which are changed in place: they may be large."""
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(rows if weights is None else weights.sum())
            # The shift differs slightly from the mean; this corrects that.
            rest = found.sums / (total or 1.0)
            add_outer(found.products, -total, rest)
            mean, mean_rest = two_sum(found.shift, rest)
        return cls(
            rows,
            total,
            mean,
            mean_rest,
            found.products,
            found.minimum,
            found.maximum,
            float32,
            0 if weights is None else _log_weights(weights),
        )

    @property
    def squares(self) -> Array:
        """Σw·(z − mean)² of each column, shape (p,)."""
        return self.comoment.diagonal()

    def take(self, places: NDArray[np.intp]) -> Moments:
        """Take the moments of some of the columns, in any order."""
        by_column = ("mean", "mean_rest", "minimum", "maximum", "float32")
        chosen = {name: getattr(self, name)[places] for name in by_column}
        return replace(self, **chosen, comoment=self.comoment[np.ix_(places, places)])

    @np.errstate(over="ignore", invalid="ignore")
    def merge(self, other: Moments) -> Moments:
        """Merge the moments of two sets of rows."""
        total = self.weight + other.weight
        step = (other.mean - self.mean) + (other.mean_rest - self.mean_rest)
        if not self.weight or not other.weight:  # rows without weight have no mean
            heavy, share = (other if other.weight else self), 0.0
        else:
            heavy, share = self, other.weight / total
        comoment = self.comoment + other.comoment
        add_outer(comoment, self.weight * share, step)
        return Moments(
            self.rows + other.rows,
            total,
            *two_sum(heavy.mean, heavy.mean_rest + share * step),
            comoment,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
            self.float32 & other.float32,
            self.log_weights + other.log_weights,
            max(self.rounding, other.rounding),
        )


@dataclass(frozen=True)
class ColumnMoments:
    """The moments of each column alone, for wide tables; see `Moments` for the attributes."""

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
        """Gather the moments of `values`, shape (n, p), n ≥ 1, with weights of shape (n,) > 0."""
        w = np.ones(len(values)) if weights is None else weights
        total = float(w.sum())
        share = w / total
        minimum, maximum = values.min(axis=0), values.max(axis=0)
        mean = np.where(minimum == maximum, minimum, share @ values)
        centred = values - mean
        # The rounded mean is slightly off; the second pass corrects that.
        rest = share @ centred
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as an infinity
            float32 = (values.astype(np.float32) == values).all(axis=0)
            squares = w @ np.square(centred, out=centred) - total * rest**2
        return cls(len(w), total, *two_sum(mean, rest), squares, minimum, maximum, float32)

    def merge(self, other: ColumnMoments) -> ColumnMoments:
        """Merge the moments of two sets of rows."""
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


def one_value(moments: Moments | ColumnMoments) -> NDArray[np.bool_]:
    """Find columns with one value; if the range is unknown, without variance. Shape (p,)."""
    unknown = np.isnan(moments.minimum)
    alike: NDArray[np.bool_] = moments.minimum == moments.maximum
    same: NDArray[np.bool_] = alike | (unknown & (moments.squares == 0))
    return same


def extremes(moments: Moments | ColumnMoments) -> tuple[Array, Array]:
    """Return each column's smallest and largest value, or bounds if the range is unknown.

    No row is further from the mean than √(n − 1) standard deviations (Samuelson, 1968).
    """
    reach = np.sqrt((moments.rows - 1) * (moments.squares / moments.weight))
    unknown = np.isnan(moments.minimum)
    return (
        np.where(unknown, moments.mean - reach, moments.minimum),
        np.where(unknown, moments.mean + reach, moments.maximum),
    )


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Compute a + b rounded, and the exact rounding error (Knuth, 1969)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def add_outer(matrix: Array, factor: float, vector: Array) -> None:
    """Add factor·vvᵀ in place, some rows at a time: the matrix may be large."""
    for k in range(0, len(vector), STRIP):
        matrix[k : k + STRIP] += factor * np.outer(vector[k : k + STRIP], vector)


def _log_weights(weights: Array) -> int:
    logarithms = np.log2(weights[weights > 0])
    return int(np.rint(np.ldexp(logarithms, LOG_BITS)).astype(np.int64).sum())


def _down(reduction: np.ufunc, values: Array) -> Array:
    """Compute reduction.reduce(values, axis=0), several rows at a time: short rows are slow."""
    n, p = values.shape
    if whole := n - n % CHUNK:
        wide = reduction.reduce(values[:whole].reshape(-1, CHUNK * p), axis=0)
        values = np.concatenate([wide.reshape(CHUNK, p), values[whole:]])
    reduced: Array = reduction.reduce(values, axis=0)
    return reduced


def are_float32(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Find the columns whose every value is a float32; a few rows rule out most others."""
    if values.dtype == np.float32:
        return np.ones(values.shape[1], np.bool_)
    head = values[:CHUNK]
    with np.errstate(over="ignore"):
        found: NDArray[np.bool_] = (head.astype(np.float32) == head).all(axis=0)
        if found.any():
            columns = values[:, found]
            found[found] = (columns.astype(np.float32) == columns).all(axis=0)
    return found


def _compensated(values: Array, weights: Array | None) -> CrossProducts:
    """Compute the cross-products about the mean, accurate to about one rounding.

    The sums of a few rows have one or two roundings. They are added up without any.
    """
    n, p = values.shape
    mean = _down(np.add, values) / n
    if weights is not None and weights.any():
        mean = weights / weights.sum() @ values
    minimum, maximum = _down(np.minimum, values), _down(np.maximum, values)
    mean = np.where(minimum == maximum, minimum, mean)  # so that its co-moments are 0
    padded = np.zeros((2, n + -n % CHUNK, p))
    padded[:, :n] = centred = values - mean
    if weights is not None:
        padded[1, :n] *= weights[:, None]
    a, b = padded.reshape(2, -1, CHUNK, p)
    sums = a.transpose(0, 2, 1) @ b
    rest = np.zeros_like(sums)
    while len(sums) > 1:
        if len(sums) % 2:
            sums, rest = (np.concatenate([part, np.zeros((1, p, p))]) for part in (sums, rest))
        sums, lost = two_sum(sums[::2], sums[1::2])
        rest = rest[::2] + rest[1::2] + lost
    first = _down(np.add, centred if weights is None else padded[1, :n])
    products = sums[0] + rest[0]
    return CrossProducts(mean, first, (products + products.T) / 2, minimum, maximum)
