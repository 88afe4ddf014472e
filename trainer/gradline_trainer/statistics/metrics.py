"""RMSE, MAE and R² of each target, over rows or from the moments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from gradline_trainer.descent.rounding import EPSILON
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows
from gradline_trainer.statistics.residuals import Residuals, step_among

__all__ = ["Metrics", "metrics_from_moments", "metrics_over_rows", "unresolved"]

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


@dataclass(frozen=True)
class ResidualSums:
    """Weighted sums over rows.

    Attributes:
        total: Σw.
        sums: Of the squared and the absolute residuals, and of the targets' offsets from a centre
            and their squares; shape (4, k).
        residuals: Of some of the rows.
    """

    total: float
    sums: Array
    residuals: Residuals

    @classmethod
    def of(cls, rows: Rows, weights: Array, bias: Array, centre: Array, step: int) -> ResidualSums:
        """Return those of rows; see `metrics_over_rows` and `Residuals`."""
        rows = rows.laid_out()
        w = np.ones(len(rows)) if rows.weights is None else rows.weights
        residual = _product(rows.features, weights.T) + bias - rows.targets
        offset = rows.targets - centre
        parts = residual**2, np.abs(residual), offset, offset**2
        return cls(
            float(w.sum()),
            np.stack([(w[:, None] * part).sum(axis=0) for part in parts]),
            Residuals.of(rows.targets, residual, rows.first, step),
        )

    def merge(self, other: ResidualSums) -> ResidualSums:
        """Return those of both sets of rows."""
        return ResidualSums(
            self.total + other.total,
            self.sums + other.sums,
            self.residuals.merge(other.residuals),
        )


def _product(a: Array, b: Array) -> Array:
    """Return a @ b by PyTorch, of whose threads a pass has one: their number changes bits."""
    left = torch.from_numpy(a if a.flags.writeable else a.copy())  # it warns of others
    product: Array = (left @ torch.from_numpy(b)).numpy()
    return product


def metrics_over_rows(
    walk: Walk,
    weights: Array,
    bias: Array,
    centre: Array,
    *,
    held_out: bool = False,
) -> tuple[list[Metrics], Residuals]:
    """Return the metrics of each target over all the rows, and the residuals of some.

    Without a row there are none.

    Args:
        walk: Over the rows.
        weights: W, shape (k, d).
        bias: b, shape (k,).
        centre: Values near the targets' means, shape (k,), about which sums lose no digits.
        held_out: Whether to pass over the rows held out rather than those trained on.
    """
    counts = walk.reader.counts
    step = step_among(counts.held_out if held_out else counts.training, len(bias))
    of = partial(ResidualSums.of, weights=weights, bias=bias, centre=centre, step=step)
    found = walk.total(Pass(of, walk.chunk_rows), held_out=held_out)
    if found is None or not found.total:
        return [], Residuals()
    squared, absolute, first, second = found.sums / found.total
    return _collect(squared, absolute, second - first**2), found.residuals


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
    resolution = unresolved(moments, weights, resolution)
    d = weights.shape[1]
    residual = np.hstack([weights, -np.eye(len(bias))])
    covariance = moments.comoment / moments.weight
    offset = residual @ moments.mean + bias
    squared = np.einsum("ij,ij->i", residual @ covariance, residual) + offset**2
    return _collect(np.maximum(squared, resolution), None, covariance.diagonal()[d:])


def unresolved(moments: Moments, weights: Array, resolution: Array) -> Array:
    """Compute the smallest mean squared residual that can be told from 0, shape (k,).

    The residual is a difference of squares. If features nearly cancel, the squares of W·x may be
    far larger than the target's own.

    Args:
        moments: The moments of p = d + k columns.
        weights: W, shape (k, d).
        resolution: The limit for weights of 0, shape (k,).
    """
    d = weights.shape[1]
    noise = 2 * (d + 2) * EPSILON
    spread, mean = np.sqrt(moments.squares[:d] / moments.weight), np.abs(moments.mean[:d])
    terms = np.square(weights * spread).sum(axis=1)
    found: Array = noise * terms + np.square(noise * (np.abs(weights) @ mean))
    return np.maximum(resolution, found)


def _collect(squared: Array, absolute: Array | None, variance: Array) -> list[Metrics]:
    return [
        Metrics(
            rmse=float(np.sqrt(squared[j])),
            mae=None if absolute is None else float(absolute[j]),
            r2=float(1 - squared[j] / variance[j]) if variance[j] > 0 else None,
        )
        for j in range(len(squared))
    ]
