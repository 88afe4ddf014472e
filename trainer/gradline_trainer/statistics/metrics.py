"""Metrics of each target, in its units, and the residuals that the report shows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import Functions, in_units
from gradline_trainer.descent.problem import EPSILON
from gradline_trainer.moments.grouped import product_of
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows

if TYPE_CHECKING:
    from gradline_trainer.statistics.measuring import ShownColumns

Array = NDArray[np.float64]
MOST_ROWS = 1 << 16  # most rows of the residuals that are kept
MOST_NUMBERS = 1 << 19  # and most numbers


@dataclass(frozen=True)
class Metrics:
    """How well one target is predicted, in its own units.

    Attributes:
        rmse: Root of the (weighted) mean squared residual; scikit-learn's root_mean_squared_error.
            None for a logged target that was learned from moments alone.
        mae: Mean absolute residual; None if it was not computed, since it needs the rows.
        r2: 1 − residual / total sum of squares about the mean, like scikit-learn's r2_score; None
            for a constant target, and where `rmse` is None.
        rmse_log: The RMSE of the logarithm; None for a target that is not logged.
        r2_log: The R² of the logarithm; None for a target that is not logged.
    """

    rmse: float | None
    mae: float | None
    r2: float | None
    rmse_log: float | None = None
    r2_log: float | None = None

    @property
    def rmse_learned(self) -> float:
        """The RMSE of what the graph answers."""
        found = self.rmse if self.rmse_log is None else self.rmse_log
        return math.inf if found is None else found

    @property
    def r2_learned(self) -> float | None:
        """The R² of what the graph answers."""
        return self.r2 if self.rmse_log is None else self.r2_log

    def record(self) -> dict[str, float | None]:
        """Convert to what a manifest holds: those of logarithms only for a logged target."""
        found = asdict(self)
        if self.rmse_log is None:
            del found["rmse_log"], found["r2_log"]
        return found


@dataclass(frozen=True)
class Residuals:
    """Targets and residuals (prediction − target) of all rows, or of evenly spaced ones.

    Attributes:
        rows: How many there are.
        step: Every step-th row is kept, beginning with the first.
        targets: Shape (rows, k).
        residuals: Shape (rows, k).
        columns: The values of the plan's columns at `places`, shape (rows, places).
        places: The columns with the strongest effects, the strongest first.
    """

    rows: int = 0
    step: int = 1
    targets: Array = field(default_factory=lambda: np.empty((0, 0)))
    residuals: Array = field(default_factory=lambda: np.empty((0, 0)))
    columns: Array = field(default_factory=lambda: np.empty((0, 0)))
    places: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, targets: Array, residuals: Array, rows: Rows, step: int, shown: ShownColumns
    ) -> Residuals:
        """Keep every step-th of a batch's rows, counted over all batches; arrays of (rows, k)."""
        due = slice(-rows.first % step, None, step)
        values = shown.values(rows, due)
        return cls(
            len(targets), step, targets[due].copy(), residuals[due].copy(), values, shown.places
        )

    def merge(self, later: Residuals) -> Residuals:
        """Join two sets of rows, in order."""
        return Residuals(
            self.rows + later.rows,
            self.step,
            np.concatenate([self.targets, later.targets]),
            np.concatenate([self.residuals, later.residuals]),
            np.concatenate([self.columns, later.columns]),
            self.places,
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
    """Weighted sums over rows."""

    total: float  # Σw
    sums: Array  # (4, k): of e², |e|, the targets' offsets from a centre, their squares
    learned: Array | None  # (3, k): the first, third and fourth of what the graph answers
    residuals: Residuals  # of some of the rows

    @classmethod
    def of(
        cls,
        rows: Rows,
        weights: Array,
        bias: Array,
        centre: Array,
        step: int,
        shown: ShownColumns,
        functions: Functions = (),
    ) -> ResidualSums:
        """Compute the sums of a batch; see `metrics_over_rows`."""
        rows = rows.laid_out()
        w = rows.weights
        targets, answers = rows.targets, product_of(rows, weights.T) + bias
        learned = None
        if any(functions):
            residual, offset = answers - targets, targets - centre
            learned = _sums(w, residual**2, offset, offset**2)
            targets = in_units(targets, functions, scaled=False)
            answers = in_units(answers, functions)
            centre = in_units(centre[None], functions, scaled=False)[0]
        with np.errstate(over="ignore", invalid="ignore"):  # of huge values in units
            residual, offset = answers - targets, targets - centre
            sums = _sums(w, residual**2, np.abs(residual), offset, offset**2)
        kept = Residuals.of(targets, residual, rows, step, shown)
        return cls(float(len(rows) if w is None else w.sum()), sums, learned, kept)

    def merge(self, other: ResidualSums) -> ResidualSums:
        """Add the sums of later rows."""
        learned = None
        if self.learned is not None and other.learned is not None:
            learned = self.learned + other.learned
        with np.errstate(over="ignore", invalid="ignore"):
            sums = self.sums + other.sums
        residuals = self.residuals.merge(other.residuals)
        return ResidualSums(self.total + other.total, sums, learned, residuals)


def _sums(weights: Array | None, *parts: Array) -> Array:
    weighted = parts if weights is None else [weights[:, None] * part for part in parts]
    return np.array([part.sum(axis=0) for part in weighted])


def metrics_over_rows(
    walk: Walk,
    weights: Array,
    bias: Array,
    centre: Array,
    shown: ShownColumns,
    *,
    functions: Functions = (),
    held_out: bool = False,
) -> tuple[list[Metrics], Residuals]:
    """Measure each target in a pass over the rows, and keep the residuals of some of them.

    W (k, d), b (k,). The centre (k,) is near the means of what is learned: sums about it lose no
    digits. With functions, metrics and residuals are in the targets' units. `shown` are the columns
    that are kept beside the residuals.
    """
    counts = walk.reader.counts
    step = step_among(counts.held_out if held_out else counts.training, len(bias))
    of = partial(
        ResidualSums.of,
        weights=weights,
        bias=bias,
        centre=centre,
        step=step,
        shown=shown,
        functions=functions,
    )
    found = walk.total(Pass(of, walk.chunk_rows), held_out=held_out)
    if found is None or not found.total:
        return [], Residuals()
    with np.errstate(over="ignore", invalid="ignore"):
        squared, absolute, first, second = found.sums / found.total
        metrics = _collect(squared, absolute, second - first**2)
    if found.learned is not None:
        squared, first, second = found.learned / found.total
        learned = _collect(squared, None, second - first**2)
        metrics = [
            replace(m, rmse_log=own.rmse, r2_log=own.r2) if function else m
            for m, own, function in zip(metrics, learned, functions, strict=True)
        ]
    return metrics, found.residuals


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
            rmse=finite(np.sqrt(squared[j])),
            mae=None if absolute is None else finite(absolute[j]),
            r2=finite(1 - squared[j] / variance[j]) if variance[j] > 0 else None,
        )
        for j in range(len(squared))
    ]


def finite(value: float) -> float | None:
    """Convert to a float, None unless it is finite."""
    return float(value) if math.isfinite(value) else None
