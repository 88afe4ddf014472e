"""How far a row is from the training rows, all of its features together.

A row may keep within the range of each feature and still be unlike any that the model has seen:
tall as the tallest, and light as the lightest. The leverage h = 1/Σw + ‖R(x − μ)‖², with RᵀR the
inverse of Σw(x − μ)(x − μ)ᵀ, measures that; without a bias it is taken about 0, ‖Rx‖². A row whose
leverage is larger than that of every training row lies outside the ellipsoid that holds them all: a
prediction there is a hidden extrapolation (Montgomery, Peck and Vining, Introduction to Linear
Regression Analysis). Of many training rows the largest is not looked for. It is at least that of
the row where a single feature is at the end of its range, which is at least
1/Σw + (x_j − μ_j)²/Σw(x_j − μ_j)²; the limit is 3p/Σw more than that, p the number of coefficients:
3p/n is what chemometrics takes for a limit (Gramatica, Principles of QSAR models validation, 2007),
and alone would leave outside every row of a rare category.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gradline.errors import PackageError
from gradline.explain.contributions import column_figures

__all__ = ["TILE", "Leverage"]

Array = NDArray[np.float64]
TILE = 64  # rows side by side: short ones are slow
ONE_THREAD = 1 << 18  # multiplications of a product that OpenBLAS does not wake its threads for


@dataclass(frozen=True)
class Leverage:
    """What a row's leverage follows from, and the largest that is no extrapolation.

    Attributes:
        limit: That leverage.
        least: The leverage at the centre.
        centre: μ, shape (d,); 0 without a bias.
        factor: Rᵀ, lower triangular, shape (d, d); 0 for features without a weight of their own.
    """

    limit: float
    least: float
    centre: Array
    factor: Array

    @classmethod
    def of(cls, manifest: dict[str, Any], features: list[str]) -> Self | None:
        """Return what a manifest says of d features, None where it says nothing.

        Raises:
            PackageError: Where it says what can't be used.
        """
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
                f"manifest.json has no leverage that can be computed ({error!r})",
                code="bad-manifest",
                hint="get the package again from where it was published",
            ) from error
        centre = column_figures(manifest, features, "mean") if least else np.zeros(d)
        return cls(limit, least, centre, factor)

    @cached_property
    def _bound(self) -> tuple[Array, float]:
        """Scales s, shape (d,), and c: at the limit c·‖s·(x − μ)‖ is 1 or more.

        For features that hardly correlate c is near 1.
        """
        # If it divides by 0 or overflows, no row's leverage is known.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            norms = np.linalg.norm(self.factor, axis=1)
            alone = self.factor / np.where(norms > 0, norms, 1.0)[:, None]
            scale = norms / np.sqrt(self.limit - self.least)
        return scale, float(np.linalg.norm(alone, 2))

    def beyond(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which rows, shape (n, d), float32 or float64, have a leverage above the limit.

        Of most rows a bound shows that they have not, which takes d multiplications and not d². It
        is computed in the rows' dtype, its rounding errors added (Higham, Accuracy and Stability,
        ch. 3); a scale that the dtype can't hold is taken too large.
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

    def __call__(self, rows: NDArray[Any]) -> Array:
        """Return the leverage of rows, shape (n, d); NaN where a value is."""
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
