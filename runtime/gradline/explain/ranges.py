"""Find rows outside the training ranges, where a linear model extrapolates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline import markup
from gradline.columns.inputs import Gaps
from gradline.explain.contributions import column_figures
from gradline.explain.leverage import TILE, LeverageLimit
from gradline.formatting import count, label

SHOWN = 5  # rows in a notebook
BLOCK = 1 << 17  # numbers that stay in the cache for two passes


@dataclass(frozen=True)
class Outside:
    """The rows outside the training ranges.

    Attributes:
        rows: The positions of these m rows, ascending, shape (m,).
        beyond: The distance of each value from its feature's range, in the feature's training
            standard deviations, shape (m, d): negative below the range, 0 inside.
        features: The d names.
        leverage: Each row's leverage, shape (m,); None if the package has no limit.
        limit: The limit on the leverage, which looks at all features together.
        gaps: The filled and missing values and unknown categories of these rows; None if the rows
            are the graph's inputs alone.
    """

    rows: NDArray[np.intp]
    beyond: NDArray[np.float64]
    features: list[str]
    leverage: NDArray[np.float64] | None = None
    limit: float = np.inf
    gaps: Gaps | None = None

    @property
    def is_beyond(self) -> NDArray[np.bool_]:
        """Whether each row is beyond a range or the limit, shape (m,); the others have gaps."""
        found: NDArray[np.bool_] = np.any(self.beyond != 0, axis=1)
        return found if self.leverage is None else found | (self.leverage > self.limit)

    def __len__(self) -> int:
        return len(self.rows)

    def _lines(self) -> tuple[str, list[list[str]]]:
        """Write a title, and what is outside in each of the first rows."""
        title = f"gradline.Outside: {count(len(self), 'row')} unlike the training rows"
        found = [
            [f"row {self.rows[place]}:", self.told(place)] for place in range(len(self))[:SHOWN]
        ]
        return title, found + [["…", ""]] * (len(self) > SHOWN)

    def __repr__(self) -> str:
        title, lines = self._lines()
        return "\n  ".join([title, *(f"{row} {said}".rstrip() for row, said in lines)])

    def _repr_html_(self) -> str:
        title, lines = self._lines()
        return markup.block(title, *(markup.paragraph(f"{row} {said}") for row, said in lines))

    def told(self, place: int) -> str:
        """Describe what is outside in the row `rows[place]`."""
        parts = [
            f"{label(self.features[j])} {self.beyond[place, j]:+.3g} deviations"
            for j in np.flatnonzero(self.beyond[place])
        ]
        if self.leverage is not None and self.leverage[place] > self.limit:
            parts.append(f"leverage {self.leverage[place]:.3g} (limit {self.limit:.3g})")
        if self.gaps is not None:
            for what in ("filled", "unknown", "missing"):
                there = getattr(self.gaps, what)[place]
                names = (self.gaps.columns[j] for j in np.flatnonzero(there))
                parts += [f"{label(name)} {what}" for name in names]
        return "; ".join(parts)


@dataclass(frozen=True)
class Ranges:
    """The training ranges of d features, and the limit for all of them together."""

    features: list[str]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    deviation: NDArray[np.float64]
    # Minimum and maximum in the graph's dtype. Rounding keeps the order, so a training value stays
    # inside, and the next value of the dtype is outside.
    lower: NDArray[Any]
    upper: NDArray[Any]
    leverage: LeverageLimit | None = None

    @classmethod
    def of(cls, manifest: dict[str, Any], features: list[str], dtype: np.dtype[Any]) -> Ranges:
        """Read the ranges in a manifest."""
        figures = ("minimum", "maximum", "deviation")
        least, most, deviation = (column_figures(manifest, features, f) for f in figures)
        with np.errstate(over="ignore"):
            lower, upper = least.astype(dtype), most.astype(dtype)
        leverage = LeverageLimit.of(manifest, features)
        return cls(features, least, most, deviation, lower, upper, leverage)

    def are_outside(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Check each of the C-contiguous rows, shape (n, d); a NaN is not outside."""
        size = max(1, BLOCK // len(self.features) // TILE) * TILE
        is_outside = np.zeros(len(rows), np.bool_)
        for start in range(0, len(rows), size):
            block = slice(start, start + size)
            is_outside[block] = self._outside(rows[block])
        return is_outside

    def outside(self, rows: NDArray[Any], gaps: Gaps | None = None) -> Outside:
        """Find the rows outside, and how far they are. Rows with gaps count, too."""
        is_outside = self.are_outside(rows)
        if gaps is not None:
            is_outside |= gaps.rows
        places = np.flatnonzero(is_outside)
        chosen = rows[places]
        wide = chosen.astype(np.float64)
        below, above = np.minimum(wide - self.minimum, 0), np.maximum(wide - self.maximum, 0)
        beyond = np.where(chosen < self.lower, below, np.where(chosen > self.upper, above, 0))
        beyond /= np.where(self.deviation > 0, self.deviation, 1.0)  # a constant has deviation 0
        if self.leverage is None:
            return Outside(places, beyond, self.features, gaps=gaps and gaps.at(places))
        leverage, limit = self.leverage(chosen), self.leverage.limit
        return Outside(places, beyond, self.features, leverage, limit, gaps and gaps.at(places))

    def _outside(self, block: NDArray[Any]) -> NDArray[np.bool_]:
        least, most = _column_extremes(block)
        out = np.zeros(len(block), np.bool_)
        if (least < self.lower).any() or (most > self.upper).any():
            out |= ((block < self.lower) | (block > self.upper)).any(axis=1)
        if self.leverage is not None:
            out |= self.leverage.beyond(block)
        return out


def _column_extremes(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find each column's least and largest value, with TILE rows as one long row."""
    n, d = rows.shape
    if n < 2 * TILE or n % TILE:
        return np.fmin.reduce(rows), np.fmax.reduce(rows)
    tiles = rows.reshape(n // TILE, TILE * d)
    least, most = np.fmin.reduce(tiles), np.fmax.reduce(tiles)
    return np.fmin.reduce(least.reshape(TILE, d)), np.fmax.reduce(most.reshape(TILE, d))
