"""Measure how far a row is from the training rows, with all of its features together.

A row can be inside the range of each feature and still be unlike every training row: as tall as the
tallest and as light as the lightest. The leverage h = 1/Σw + ‖R(x − μ)‖², with RᵀR the inverse of
Σw(x − μ)(x − μ)ᵀ, measures that; without a bias h = ‖Rx‖². If it is larger than for every training
row, the row lies outside the ellipsoid around them, and its prediction is a hidden extrapolation
(Montgomery, Peck and Vining, Introduction to Linear Regression Analysis).

For many training rows the largest leverage is not computed. A row with feature j at the end of its
range has a leverage of at least 1/Σw + (x_j − μ_j)²/Σw(x_j − μ_j)². The limit is the largest of
these plus 3p/Σw, with p coefficients. Chemometrics uses 3p/n (Gramatica, Principles of QSAR models
validation, 2007), which alone would exclude rows of a rare category.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gradline.errors import PackageError
from gradline.explain.contributions import column_figures

Array = NDArray[np.float64]
TILE = 64  # rows handled as one long row, because short rows are slow
ONE_THREAD = 1 << 18  # multiplications in a product for which OpenBLAS starts no thread


@dataclass(frozen=True)
class Leverage:
    """Computes the leverage of rows."""

    least: float  # the leverage at the centre
    centre: Array  # μ (d,); 0 without a bias
    factor: Array  # Rᵀ (d, r), r ≤ d; 0 for features without their own weight

    def __call__(self, rows: NDArray[Any]) -> Array:
        """Compute the leverage of rows of shape (n, d); NaN for rows with a NaN."""
        found = np.empty(len(rows))
        size = max(1, ONE_THREAD // len(self.centre) ** 2)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(rows), size):
                block = rows[start : start + size].astype(np.float64)
                block -= self.centre
                white = block @ self.factor
                np.einsum("ij,ij->i", white, white, out=found[start : start + size])
            found += self.least
        return found


@dataclass(frozen=True)
class LeverageLimit(Leverage):
    """Compares the leverage of rows with a limit."""

    limit: float  # a row with a larger leverage is an extrapolation

    @classmethod
    def of(cls, manifest: dict[str, Any], features: list[str]) -> Self | None:
        """Read the leverage of d features from a manifest; return None if it has none."""
        found, d = manifest.get("leverage"), len(features)
        if found is None:
            return None
        factor = np.zeros((d, d))
        try:
            limit, least = float(found["limit"]), float(found["least"])
            for j, row in zip(range(d), found["factor"], strict=True):
                factor[j:, j] = row
        except (LookupError, TypeError, ValueError) as error:
            raise PackageError(
                f"the leverage in manifest.json cannot be used ({error!r})", code="bad-manifest"
            ) from error
        centre = column_figures(manifest, features, "mean") if least else np.zeros(d)
        return cls(least, centre, factor, limit)

    @cached_property
    def _bound(self) -> tuple[Array, float]:
        """Compute s (d,) and c so that c·‖s·(x − μ)‖ ≥ 1 at the limit; c is mostly near 1."""
        # After a division by 0 or an overflow the bound decides for no row.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            norms = np.linalg.norm(self.factor, axis=1)
            alone = self.factor / np.where(norms > 0, norms, 1.0)[:, None]
            scale = norms / np.sqrt(self.limit - self.least)
        return scale, float(np.linalg.norm(alone, 2))

    def beyond(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Find the rows, shape (n, d), float32 or float64, with a leverage above the limit.

        For most rows a bound shows that they are below it, with d multiplications instead of d².
        The bound is computed in the rows' dtype with its rounding errors added (Higham, Accuracy
        and Stability, ch. 3); a scale too small for the dtype is rounded up.
        """
        scale, stretch = self._bound
        kind = np.finfo(rows.dtype)
        unit, d = float(kind.eps), len(scale)
        tile = 1 if len(rows) % TILE else TILE
        held = np.where(scale > 0, np.maximum(scale, kind.tiny), scale)
        with np.errstate(over="ignore", invalid="ignore"):
            off = rows.reshape(-1, tile * d) - np.tile(self.centre.astype(rows.dtype), tile)
            off *= np.tile(held.astype(rows.dtype), tile)
            np.square(off, out=off)
            norm = np.sqrt(off.reshape(-1, d) @ np.ones(d, rows.dtype)).astype(np.float64)
            most = norm * (1 + (d + 8) * unit) + unit * float(np.linalg.norm(scale * self.centre))
            far = np.flatnonzero(~(stretch * most < 1))
        out = np.zeros(len(rows), np.bool_)
        out[far] = self(rows[far]) > self.limit
        return out
