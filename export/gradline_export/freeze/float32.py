"""The float32 certificate: is the portable dtype accurate enough for this table?

Per target, it estimates the mean squared error that float32 adds on the training rows, from the
moments alone: by rounding W and b, the inputs, and each partial sum in column order. It fails if
three times the root exceeds max(1 % of the residual standard deviation, √d·1e-6 of the target's
standard deviation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gradline.formatting import float32_error
from gradline_trainer.descent.problem import STRIP
from gradline_trainer.moments.moments import ColumnMoments, Moments, extremes
from gradline_trainer.moments.partial_sums import PartialSums

Array = NDArray[np.float64]
U = 2.0**-24
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Float32Certificate:
    """The verdict on float32, with the figures of the target that it suits least."""

    verdict: Literal["holds", "fails"]
    target: str
    error: float  # three times the estimated RMS error that float32 adds, in the target's units
    limit: float  # the largest error allowed
    column: str  # the feature that contributes most to the error

    def __str__(self) -> str:
        return float32_error(self.error, self.target, self.limit, self.column)


def certify_float32(
    moments: Moments | ColumnMoments,
    weights: Array,
    bias: Array,
    residual_deviation: Array,
    features: list[str],
    targets: list[str],
    sums: PartialSums | None = None,
) -> Float32Certificate:
    """Certify a graph with float64 weights W (k, d) and bias b (k,).

    `residual_deviation` is the RMSE of each target, shape (k,); `sums` are given if the moments are
    of single columns.
    """
    d = len(features)
    deviation = np.sqrt(moments.squares[d:] / moments.weight)
    limits = np.maximum(0.01 * residual_deviation, np.sqrt(d) * 1e-6 * deviation)
    reach = np.abs(extremes(moments)).max(axis=0)[:d]
    with np.errstate(over="ignore", invalid="ignore"):
        rounding, partial = _mean_squares(moments, weights, bias, sums)
        shares = _split(moments, weights, bias, rounding, partial)
        shares[:, reach > LARGEST] = np.inf
        errors = 3 * np.sqrt(shares.sum(axis=1))
    errors = np.where(np.isnan(errors), np.inf, errors)
    with np.errstate(divide="ignore"):
        worst = int(np.argmax(errors / limits))
    return Float32Certificate(
        verdict="holds" if (errors <= limits).all() else "fails",
        target=targets[worst],
        error=float(errors[worst]),
        limit=float(limits[worst]),
        column=features[int(np.argmax(shares[worst]))],
    )


def _mean_squares(
    moments: Moments | ColumnMoments, weights: Array, bias: Array, sums: PartialSums | None
) -> tuple[Array, Array]:
    """Compute E[(ΔW·x + Δb)²], shape (k,), and E[s_m²] of s_m = Σ_{j ≤ m} W_j·x_j, (k, d)."""
    if sums is not None:
        return sums.means()
    assert isinstance(moments, Moments)  # noqa: S101 - column moments come with sums
    d = weights.shape[1]
    mean, variance = moments.mean[:d], moments.squares[:d] / moments.weight
    change = weights - weights.astype(np.float32)
    offset = bias - bias.astype(np.float32)
    moved, cross = np.zeros_like(weights), np.empty_like(weights)
    for k in range(0, d, STRIP):  # Σ may be large
        covariance = moments.comoment[:d, :d][k : k + STRIP] / moments.weight
        moved += change[:, k : k + STRIP] @ covariance
        cross[:, k : k + STRIP] = weights @ np.tril(covariance, k - 1).T
    # (ΔW·μ + Δb)² + ΔW·Σ·ΔWᵀ
    rounding = (change @ mean + offset) ** 2 + (moved * change).sum(axis=1)
    spread = np.cumsum(weights * (2 * cross + weights * variance), axis=1)
    return rounding, np.cumsum(weights * mean, axis=1) ** 2 + spread


def _split(
    moments: Moments | ColumnMoments, weights: Array, bias: Array, rounding: Array, partial: Array
) -> Array:
    """Split each target's mean squared error among the features, shape (k, d).

    Rounding W and b is shared in proportion to the columns' own parts. A partial sum belongs to its
    last column, the sum with the bias to the last feature.
    """
    d = weights.shape[1]
    mean, variance = moments.mean[:d], moments.squares[:d] / moments.weight
    change = weights - weights.astype(np.float32)
    own = (change * mean) ** 2 + change**2 * variance + np.finfo(np.float64).tiny
    inputs = U**2 * weights**2 * (variance + mean**2) * ~moments.float32[:d]
    accumulation = U**2 * partial
    at_mean = np.array([row @ mean for row in weights])
    accumulation[:, -1] += U**2 * (partial[:, -1] + 2 * bias * at_mean + bias**2)
    shares: Array = rounding[:, None] * own / own.sum(axis=1)[:, None] + inputs + accumulation
    return shares
