"""RMSE, MAE and R² of each target, over rows or from the moments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.moments import Moments
from gradline_trainer.residuals import Residuals
from gradline_trainer.rows import Rows

__all__ = ["Metrics", "metrics_from_moments", "metrics_over_rows"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Metrics:
    """How well one target is predicted, in its own units.

    Attributes:
        rmse: Root of the (weighted) mean squared residual; scikit-learn's root_mean_squared_error.
        mae: Mean absolute residual; None where the rows are not at hand.
        r2: 1 − residual / total sum of squares about the mean, as scikit-learn's r2_score; None
            for a constant target.
    """

    rmse: float
    mae: float | None
    r2: float | None


def metrics_over_rows(
    rows: Iterable[Rows],
    weights: Array,
    bias: Array,
    centre: Array,
    residuals: Residuals | None = None,
) -> list[Metrics] | None:
    """Return the metrics of each target over all the rows, or None where there is no row.

    Args:
        rows: In blocks.
        weights: W, shape (k, d).
        bias: b, shape (k,).
        centre: Values near the targets' means, shape (k,), about which sums lose no digits.
        residuals: To be told of the rows.
    """
    total = 0.0
    squared, absolute, first, second = np.zeros((4, len(bias)))
    for block in rows:
        w = np.ones(len(block)) if block.weights is None else block.weights
        residual = block.features @ weights.T + bias - block.targets
        if residuals is not None:
            residuals.add(block.targets, residual)
        offset = block.targets - centre
        total += float(w.sum())
        squared += w @ residual**2
        absolute += w @ np.abs(residual)
        first += w @ offset
        second += w @ offset**2
    if not total:
        return None
    variance = second / total - (first / total) ** 2
    return _collect(squared / total, absolute / total, variance)


def metrics_from_moments(
    moments: Moments, weights: Array, bias: Array, resolution: Array
) -> list[Metrics]:
    """Return the metrics of each target from the moments of [features, targets].

    Args:
        moments: Of p = d + k columns.
        weights: W, shape (k, d).
        bias: b, shape (k,).
        resolution: The least mean square that the moments can tell from 0, shape (k,).
    """
    d = weights.shape[1]
    residual = np.hstack([weights, -np.eye(len(bias))])
    covariance = moments.comoment / moments.weight
    offset = residual @ moments.mean + bias
    squared = np.einsum("ij,ij->i", residual @ covariance, residual) + offset**2
    return _collect(np.maximum(squared, resolution), None, covariance.diagonal()[d:])


def _collect(squared: Array, absolute: Array | None, variance: Array) -> list[Metrics]:
    return [
        Metrics(
            rmse=float(np.sqrt(squared[j])),
            mae=None if absolute is None else float(absolute[j]),
            r2=float(1 - squared[j] / variance[j]) if variance[j] > 0 else None,
        )
        for j in range(len(squared))
    ]
