"""Measure RMSE, MAE and R² of each target, from the rows or from their moments."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from gradline_trainer.descent.rounding import EPSILON
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows

Array = NDArray[np.float64]
MOST_ROWS = 1 << 16
MOST_NUMBERS = 1 << 19


@dataclass(frozen=True)
class Metrics:
    """How well one target is predicted, in its own units.

    Attributes:
        rmse: Root of the (weighted) mean squared residual; scikit-learn's root_mean_squared_error.
        mae: Mean absolute residual; None if it was not computed, since it needs the rows.
        r2: 1 − residual / total sum of squares about the mean, like scikit-learn's r2_score; None
            for a constant target.
    """

    rmse: float
    mae: float | None
    r2: float | None


@dataclass(frozen=True)
class Residuals:
    """Targets and residuals of all rows, or of evenly spaced ones.

    Attributes:
        rows: The number of all rows.
        step: Every step-th row is kept, beginning with the first.
        targets: The targets of the rows that are kept, shape (rows, k).
        residuals: Prediction − target, shape (rows, k).
    """

    rows: int = 0
    step: int = 1
    targets: Array = field(default_factory=lambda: np.empty((0, 0)))
    residuals: Array = field(default_factory=lambda: np.empty((0, 0)))

    @classmethod
    def of(cls, targets: Array, residuals: Array, first: int, step: int) -> Residuals:
        """Keep every step-th row, both arrays of shape (rows, k), after `first` earlier rows."""
        due = slice(-first % step, None, step)
        return cls(len(targets), step, targets[due].copy(), residuals[due].copy())

    def merge(self, later: Residuals) -> Residuals:
        """Join two sets of rows, in order."""
        return Residuals(
            self.rows + later.rows,
            self.step,
            np.concatenate([self.targets, later.targets]),
            np.concatenate([self.residuals, later.residuals]),
        )

    @property
    def predictions(self) -> Array:
        """Shape (rows, k)."""
        return self.targets + self.residuals


def step_among(rows: int, targets: int) -> int:
    """Choose the smallest step, a power of 2, whose rows fit in the memory for residuals."""
    most = max(min(MOST_ROWS, MOST_NUMBERS // targets), 200)
    step = 1
    while -(-rows // step) > most:
        step *= 2
    return step


@dataclass(frozen=True)
class ResidualSums:
    """Weighted sums over rows.

    Attributes:
        total: Σw.
        sums: Shape (4, k): sums of the squared and the absolute residuals, and of the targets'
            offsets from a centre and their squares.
        residuals: Of some of the rows.
    """

    total: float
    sums: Array
    residuals: Residuals

    @classmethod
    def of(cls, rows: Rows, weights: Array, bias: Array, centre: Array, step: int) -> ResidualSums:
        """Compute the sums of a batch; see `metrics_over_rows` and `Residuals`."""
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
        """Add the sums of later rows."""
        return ResidualSums(
            self.total + other.total,
            self.sums + other.sums,
            self.residuals.merge(other.residuals),
        )


def _product(a: Array, b: Array) -> Array:
    """Compute a @ b with PyTorch, which uses one thread in a pass: their number changes bits."""
    left = torch.from_numpy(a if a.flags.writeable else a.copy())  # else PyTorch warns
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
    """Measure each target over all the rows, and keep the residuals of some; empty without rows.

    Args:
        walk: Over the rows.
        weights: W, shape (k, d).
        bias: b, shape (k,).
        centre: Values near the targets' means, shape (k,), about which sums lose no digits.
        held_out: Whether to measure on the held-out rows instead of the training rows.
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
    """Measure each target from the moments of [features, targets].

    Shapes: weights (k, d), bias (k,). `resolution`, shape (k,), is the smallest mean square that
    the moments can tell from 0 for weights of 0.
    """
    resolution = unresolved(moments, weights, resolution)
    d = weights.shape[1]
    residual = np.hstack([weights, -np.eye(len(bias))])
    covariance = moments.comoment / moments.weight
    offset = residual @ moments.mean + bias
    squared = np.einsum("ij,ij->i", residual @ covariance, residual) + offset**2
    return _collect(np.maximum(squared, resolution), None, covariance.diagonal()[d:])


def unresolved(moments: Moments, weights: Array, resolution: Array) -> Array:
    """Compute the smallest mean squared residual that can be distinguished from 0, shape (k,).

    The residual is a difference of squares. If features nearly cancel, the squares of W·x may be
    far larger than the target's own. `resolution` is the limit for weights of 0.
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
