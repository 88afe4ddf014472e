"""Learn the scale of logged targets, and measure their predictions in the targets' units.

A prediction of y, or of 1 + y, is exp(ẑ)·s with s = Σw·exp(z)/Σw·exp(ẑ) over the training rows, so
that the predictions have the right sum (Duan's smearing estimate, 1983, as a ratio). Without rows,
normal residuals are supposed: then s = exp(σ²/2), with σ² the mean squared residual of z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import TargetFunction, learned_name
from gradline.errors import RefusedError
from gradline.formatting import and_more
from gradline_trainer.descent.losses import Solution
from gradline_trainer.descent.problem import ColumnProblem, Problem
from gradline_trainer.moments.grouped import product_of
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows
from gradline_trainer.statistics.metrics import Metrics, finite, metrics_from_moments

Array = NDArray[np.float64]
Figures = tuple[float | None, float | None]


@dataclass(frozen=True)
class Logged:
    """What is measured of the logged targets; both lists have k entries, None for other targets.

    Attributes:
        functions: Their functions and scales.
        figures: RMSE and R² in their units on the training rows; None if they need the rows.
    """

    functions: list[TargetFunction | None]
    figures: list[Figures | None]


@dataclass(frozen=True)
class UnitSums:
    """Weighted sums over rows of actual and predicted values exp(z − c) of targets.

    Attributes:
        total: Σw.
        means: Of actual and of predicted values, shape (2, k).
        comoments: About the means: of actual values, of predicted ones, of both, shape (3, k).
    """

    total: float
    means: Array
    comoments: Array

    @classmethod
    def of(cls, rows: Rows, weights: Array, bias: Array, centre: Array) -> UnitSums:
        """Sum over a batch, for W (k, d), b (k,) and the centre c (k,) of z."""
        rows = rows.laid_out()
        w = np.ones(len(rows)) if rows.weights is None else rows.weights
        total = float(w.sum())
        with np.errstate(all="ignore"):  # `_scale` refuses what is not finite
            answers = product_of(rows, weights.T) + bias
            values = np.exp(np.stack([rows.targets - centre, answers - centre]))
            means = (w[:, None] * values).sum(axis=1) / total
            actual, predicted = values - means[:, None]
            parts = np.stack([actual**2, predicted**2, actual * predicted])
            return cls(total, means, (w[:, None] * parts).sum(axis=1))

    def merge(self, other: UnitSums) -> UnitSums:
        """Merge the sums of two sets of rows (Chan, Golub and LeVeque, 1983)."""
        total = self.total + other.total
        with np.errstate(all="ignore"):
            step = other.means - self.means
            means = self.means + step * (other.total / total)
            between = np.stack([step[0] ** 2, step[1] ** 2, step[0] * step[1]])
            between *= self.total * (other.total / total)
            return UnitSums(total, means, self.comoments + other.comoments + between)


def measure_logged(
    source: Walk | SavedMoments,
    moments: Moments | ColumnMoments,
    problem: ColumnProblem,
    solution: Solution,
) -> Logged:
    """Learn the logged targets' scales, in a further pass over the rows if there are rows.

    Raises:
        RefusedError: If the predictions of a logged target leave float64's range.
    """
    columns = source.columns
    functions = columns.functions
    logged = Logged([None] * len(functions), [None] * len(functions))
    W, b = solution.weights.numpy(), solution.bias.numpy()
    if isinstance(source, SavedMoments):
        assert isinstance(moments, Moments)  # noqa: S101 - saved moments are co-moments
        assert isinstance(problem, Problem)  # noqa: S101 - co-moments state one
        found = metrics_from_moments(moments, W, b, problem.resolution.numpy())
        with np.errstate(over="ignore"):
            scales = np.exp(np.array([m.rmse_learned for m in found]) ** 2 / 2)
        figures: list[Figures] = [(None, None)] * len(functions)
    else:
        centre = moments.maximum[W.shape[1] :]  # of z: no actual value overflows
        of = partial(UnitSums.of, weights=W, bias=b, centre=centre)
        sums = source.total(Pass(of, source.chunk_rows))
        assert sums is not None  # noqa: S101 - tables without rows are refused
        with np.errstate(all="ignore"):
            scales = sums.means[0] / sums.means[1]
        figures = _in_units(sums, scales, centre)
    origin: Literal["rows", "moments"] = "moments" if isinstance(source, SavedMoments) else "rows"
    for j, function in enumerate(functions):
        if function is not None:
            scale = _checked(float(scales[j]), learned_name(columns.targets[j], function))
            logged.functions[j] = TargetFunction(function, scale, origin)
            logged.figures[j] = figures[j]
    return logged


def _in_units(sums: UnitSums, scales: Array, centre: Array) -> list[Figures]:
    """Compute RMSE and R²; by the scale's definition the residuals' mean is 0."""
    with np.errstate(all="ignore"):
        actual, predicted, both = sums.comoments / sums.total
        squared = np.maximum(scales**2 * predicted - 2 * scales * both + actual, 0)
        errors, shares = np.exp(centre) * np.sqrt(squared), 1 - squared / actual
    return [(finite(error), finite(share)) for error, share in zip(errors, shares, strict=True)]


def _checked(scale: float, name: str) -> float:
    if math.isfinite(scale) and scale > 0:
        return scale
    raise RefusedError(
        f"the predictions of {name} are so far from it that exp of them leaves the range of "
        "float64",
        code="no-scale",
        hint="give more --epochs, or choose other features",
    )


def in_the_targets_units(found: Metrics, figures: Figures) -> Metrics:
    """Turn the metrics of a logarithm to those of its target, with those of the logarithm."""
    return replace(found, rmse=figures[0], r2=figures[1], rmse_log=found.rmse, r2_log=found.r2)


def scale_warnings(targets: Sequence[str], functions: Sequence[TargetFunction | None]) -> list[str]:
    """Warn of scales that suppose normal residuals."""
    named = [
        repr(target)
        for target, function in zip(targets, functions, strict=True)
        if function is not None and function.scale_from == "moments"
    ]
    if not named:
        return []
    return [
        f"moments do not tell the sum of {and_more(named)}: the predictions are scaled as if the "
        "errors of the logarithms were normal"
    ]
