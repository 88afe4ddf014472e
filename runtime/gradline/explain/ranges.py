"""Rows outside the ranges that a model was trained on, where a linear model is a guess."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.explain.contributions import column_figures
from gradline.explain.leverage import TILE, Leverage

__all__ = ["Outside", "Ranges"]

BLOCK = 1 << 17  # numbers that stay in the cache between their least and their largest


@dataclass(frozen=True)
class Outside:
    """Where rows leave the training ranges.

    Attributes:
        rows: The places of those rows, shape (m,), ascending.
        beyond: How far each of them lies beyond each feature's range, in that feature's training
            standard deviations, below the range negative, inside it 0, shape (m, d).
        features: The d names.
        leverage: The leverage of each of them, shape (m,); None where the package has no limit.
        limit: Beyond which a row is outside, whatever its features are one by one.
    """

    rows: NDArray[np.intp]
    beyond: NDArray[np.float64]
    features: list[str]
    leverage: NDArray[np.float64] | None = None
    limit: float = np.inf

    def __len__(self) -> int:
        return len(self.rows)

    def told(self, place: int) -> str:
        """Return in words what is outside in the row that is `place`th among those outside."""
        from gradline.formatting import label

        parts = [
            f"{label(self.features[j])} {self.beyond[place, j]:+.3g} deviations"
            for j in self._beyond.get(place, ())
        ]
        if self.leverage is not None and self.leverage[place] > self.limit:
            parts.append(f"leverage {self.leverage[place]:.3g} (limit {self.limit:.3g})")
        return "; ".join(parts)

    @cached_property
    def _beyond(self) -> dict[int, list[int]]:
        """The features that each row is beyond the range of."""
        found: dict[int, list[int]] = {}
        for place, j in np.argwhere(self.beyond).tolist():
            found.setdefault(place, []).append(j)
        return found


@dataclass(frozen=True)
class Ranges:
    """The ranges that a model was trained on, of each feature and of all together.

    Attributes:
        features: The d names.
        minimum, maximum: Shape (d,).
        deviation: The standard deviations, shape (d,).
        lower, upper: The limits as the graph gets them, in its dtype. Rounding keeps the order, so
            a training value stays inside, and the next value of the dtype is outside.
        leverage: What a row's leverage follows from, where the package says so.
    """

    features: list[str]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    deviation: NDArray[np.float64]
    lower: NDArray[Any]
    upper: NDArray[Any]
    leverage: Leverage | None = None

    @classmethod
    def of(cls, manifest: dict[str, Any], features: list[str], dtype: np.dtype[Any]) -> Ranges:
        """Return the ranges in a manifest.

        Raises:
            PackageError: Where it has none, or a leverage that can't be computed.
        """
        figures = ("minimum", "maximum", "deviation")
        least, most, deviation = (column_figures(manifest, features, f) for f in figures)
        with np.errstate(over="ignore"):
            lower, upper = least.astype(dtype), most.astype(dtype)
        leverage = Leverage.of(manifest, features)
        return cls(features, least, most, deviation, lower, upper, leverage)

    def outside(self, rows: NDArray[Any]) -> Outside:
        """Return which rows, shape (n, d), C-contiguous, are outside; a NaN is outside nothing."""
        size = max(1, BLOCK // len(self.features) // TILE) * TILE
        found = []
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            found.append(start + np.flatnonzero(self._outside(block)))
        places = np.concatenate(found) if found else np.zeros(0, np.intp)
        chosen = rows[places]
        wide = chosen.astype(np.float64)
        below, above = np.minimum(wide - self.minimum, 0), np.maximum(wide - self.maximum, 0)
        beyond = np.where(chosen < self.lower, below, np.where(chosen > self.upper, above, 0))
        scale = np.where(self.deviation > 0, self.deviation, 1.0)  # one value has no deviation
        if self.leverage is None:
            return Outside(places, beyond / scale, self.features)
        leverage = self.leverage(chosen)
        return Outside(places, beyond / scale, self.features, leverage, self.leverage.limit)

    def _outside(self, block: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which rows of a block are outside."""
        least, most = _column_extremes(block)
        out = np.zeros(len(block), np.bool_)
        if (least < self.lower).any() or (most > self.upper).any():
            out |= ((block < self.lower) | (block > self.upper)).any(axis=1)
        if self.leverage is not None:
            out |= self.leverage.beyond(block)
        return out


def _column_extremes(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return each column's least and largest value, TILE rows side by side: short rows are slow."""
    n, d = rows.shape
    if n < 2 * TILE or n % TILE:
        return np.fmin.reduce(rows), np.fmax.reduce(rows)
    tiles = rows.reshape(n // TILE, TILE * d)
    least, most = np.fmin.reduce(tiles), np.fmax.reduce(tiles)
    return np.fmin.reduce(least.reshape(TILE, d)), np.fmax.reduce(most.reshape(TILE, d))
