"""Measure a solution: metrics, residuals, leverage, robust errors, and warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.descent.losses import Solution
from gradline_trainer.descent.problem import EPSILON, ColumnProblem, Problem
from gradline_trainer.descent.ridge_path import RidgePath, path_warnings
from gradline_trainer.moments.grouped import numbers_of, product_of
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.moments.partial_sums import PartialSums
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows
from gradline_trainer.statistics.advice import advise, advise_on_wide
from gradline_trainer.statistics.robust import Robust, measure_robust, robust_warnings
from gradline_trainer.statistics.whitening import Leverage, measure_leverage

Array = NDArray[np.float64]
MOST_ROWS = 1 << 16  # most rows of the residuals that are kept
MOST_NUMBERS = 1 << 19  # and most numbers
FEW = 1 << 22  # numbers; a further pass over so many takes little time


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
    """Targets and residuals (prediction − target) of all rows, or of evenly spaced ones."""

    rows: int = 0  # how many there are
    step: int = 1  # every step-th is kept, beginning with the first
    targets: Array = field(default_factory=lambda: np.empty((0, 0)))
    residuals: Array = field(default_factory=lambda: np.empty((0, 0)))

    @classmethod
    def of(cls, targets: Array, residuals: Array, first: int, step: int) -> Residuals:
        """Keep every step-th row of (rows, k) arrays, which come after `first` earlier rows."""
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


@dataclass
class Measured:
    """What is measured of a fit; see `Fit` for the attributes."""

    metrics: dict[str, dict[str, Metrics] | None]
    residuals: dict[str, Residuals]
    warnings: list[str]
    robust: Robust | None = None
    leverage: Leverage | None = None
    partial_sums: PartialSums | None = None


def measure(
    source: Walk | SavedMoments,
    moments: Moments | ColumnMoments,
    problem: ColumnProblem,
    solution: Solution,
    options: Options,
    ridge_path: RidgePath | None,
) -> Measured:
    """Measure a solution on the training and held-out rows, and list the warnings."""
    metrics, residuals = _measure_errors(source, moments, problem, solution, options)
    columns, counts = source.columns, source.counts
    if isinstance(moments, ColumnMoments):
        assert isinstance(source, Walk)  # noqa: S101 - saved moments are co-moments
        warnings = advise_on_wide(columns, counts, moments, problem, solution, options)
        of = partial(PartialSums.of, weights=solution.weights, bias=solution.bias)
        partial_sums = source.total(Pass(of, source.chunk_rows))
        return Measured(metrics, residuals, warnings, partial_sums=partial_sums)
    assert isinstance(problem, Problem)  # noqa: S101 - co-moments state one
    warnings = advise(columns, counts, moments, problem, solution, options)
    if ridge_path:
        warnings += path_warnings(ridge_path, moments, columns.features)
    rows, robust = None, None
    if isinstance(source, Walk):
        rows = source.in_memory
        if options.robust:
            robust = measure_robust(options.robust, source, moments, solution, problem)
            warnings += robust_warnings(robust) if robust else []
    leverage = measure_leverage(rows, moments, problem, solution.exact)
    return Measured(metrics, residuals, warnings, robust, leverage)


def _measure_errors(
    source: Walk | SavedMoments,
    moments: Moments | ColumnMoments,
    problem: ColumnProblem,
    solution: Solution,
    options: Options,
) -> tuple[dict[str, dict[str, Metrics] | None], dict[str, Residuals]]:
    """Compute metrics of training and held-out rows, and residuals where a pass read rows."""
    W, b = solution.weights.numpy(), solution.bias.numpy()
    centre = moments.mean[W.shape[1] :]
    training, of_training = list[Metrics](), Residuals()
    held_out, of_held_out = list[Metrics](), Residuals()
    if isinstance(source, Walk) and (isinstance(moments, ColumnMoments) or _few(source, options)):
        training, of_training = metrics_over_rows(source, W, b, centre)
    elif isinstance(moments, Moments) and isinstance(problem, Problem):
        training = metrics_from_moments(moments, W, b, problem.resolution.numpy())
    if isinstance(source, Walk) and options.holdout:
        held_out, of_held_out = metrics_over_rows(source, W, b, centre, held_out=True)
    names = source.columns.targets
    metrics = {
        "training": dict(zip(names, training, strict=True)),
        "held_out": dict(zip(names, held_out, strict=True)) if held_out else None,
    }
    return metrics, {"training": of_training, "held_out": of_held_out}


def _few(walk: Walk, options: Options) -> bool:
    """Check whether a further pass over the rows costs little beside what the run did."""
    rows = walk.in_memory
    if rows is None:
        return False
    numbers = sum(numbers_of(block) for block in rows)
    return options.gradient_source == "rows" or numbers <= FEW


def step_among(rows: int, targets: int) -> int:
    """Choose the smallest step, a power of 2, whose rows fit in the memory for residuals."""
    most = max(min(MOST_ROWS, MOST_NUMBERS // targets), 200)
    step = 1
    while -(-rows // step) > most:
        step *= 2
    return step


@dataclass(frozen=True)
class ResidualSums:
    """Weighted sums over rows."""

    total: float  # Σw
    sums: Array  # (4, k): of e², |e|, the targets' offsets from a centre, their squares
    residuals: Residuals  # of some of the rows

    @classmethod
    def of(cls, rows: Rows, weights: Array, bias: Array, centre: Array, step: int) -> ResidualSums:
        """Compute the sums of a batch; see `metrics_over_rows`."""
        rows = rows.laid_out()
        w = np.ones(len(rows)) if rows.weights is None else rows.weights
        residual = product_of(rows, weights.T) + bias - rows.targets
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
            self.total + other.total, self.sums + other.sums, self.residuals.merge(other.residuals)
        )


def metrics_over_rows(
    walk: Walk, weights: Array, bias: Array, centre: Array, *, held_out: bool = False
) -> tuple[list[Metrics], Residuals]:
    """Measure each target in a pass over the rows, and keep the residuals of some of them.

    W (k, d), b (k,). The centre (k,) is near the targets' means: sums about it lose no digits.
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
    """Measure each target from the moments of [features, targets]; W (k, d), b (k,).

    `resolution` (k,) is the smallest mean square that they can tell from 0 for weights of 0.
    """
    resolution = unresolved(moments, weights, resolution)
    d = weights.shape[1]
    residual = np.hstack([weights, -np.eye(len(bias))])
    covariance = moments.comoment / moments.weight
    offset = residual @ moments.mean + bias
    squared = np.einsum("ij,ij->i", residual @ covariance, residual) + offset**2
    return _collect(np.maximum(squared, resolution), None, covariance.diagonal()[d:])


def unresolved(moments: Moments, weights: Array, resolution: Array) -> Array:
    """Compute the smallest mean squared residual that can be distinguished from 0, (k,).

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
