"""Measure a solution: metrics, residuals, leverage, robust errors, and warnings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import DAY
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.targets import TargetFunction
from gradline_trainer.descent.losses import Solution
from gradline_trainer.descent.problem import ColumnProblem, Problem
from gradline_trainer.descent.ridge_path import RidgePath, path_warnings
from gradline_trainer.moments.grouped import numbers_of
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.moments.partial_sums import PartialSums
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows
from gradline_trainer.statistics.advice import advise, advise_on_wide
from gradline_trainer.statistics.logged import (
    Logged,
    in_the_targets_units,
    measure_logged,
    scale_warnings,
)
from gradline_trainer.statistics.metrics import (
    Metrics,
    Residuals,
    metrics_from_moments,
    metrics_over_rows,
)
from gradline_trainer.statistics.robust import Robust, measure_robust, robust_warnings
from gradline_trainer.statistics.whitening import Leverage, measure_leverage

FEW = 1 << 22  # numbers; a further pass over so many takes little time
Array = NDArray[np.float64]
MOST_SHOWN = 8  # columns whose values are kept beside residuals
#: Computes a column's values from a term of that column alone, by the term's function.
BACK: dict[str | None, Callable[[Array], Array]] = {
    None: lambda x: x,
    "log": np.exp,
    "log1p": np.expm1,
    "sqrt": np.square,
    "time": lambda days: days * DAY,
}


@dataclass
class Measured:
    """What is measured of a fit; see `Fit` for the attributes."""

    metrics: dict[str, dict[str, Metrics] | None]
    residuals: dict[str, Residuals]
    warnings: list[str]
    functions: list[TargetFunction | None]
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
    columns, counts = source.columns, source.counts
    nothing = [None] * len(columns.targets)
    logged = Logged([*nothing], [*nothing])
    if columns.functions:
        logged = measure_logged(source, moments, problem, solution)
    metrics, residuals = _measure_errors(source, moments, problem, solution, options, logged)
    if isinstance(moments, ColumnMoments):
        assert isinstance(source, Walk)  # noqa: S101 - saved moments are co-moments
        warnings = advise_on_wide(columns, counts, moments, problem, solution, options)
        of = partial(PartialSums.of, weights=solution.weights, bias=solution.bias)
        partial_sums = source.total(Pass(of, source.chunk_rows))
        functions = logged.functions
        return Measured(metrics, residuals, warnings, functions, partial_sums=partial_sums)
    assert isinstance(problem, Problem)  # noqa: S101 - co-moments state one
    warnings = advise(columns, counts, moments, problem, solution, options)
    if columns.functions:
        warnings += scale_warnings(columns.targets, logged.functions)
    if ridge_path:
        warnings += path_warnings(ridge_path, moments, columns.features)
    rows, robust = None, None
    if isinstance(source, Walk):
        rows = source.in_memory
        if options.robust:
            robust = measure_robust(options.robust, source, moments, solution, problem)
            warnings += robust_warnings(robust) if robust else []
    leverage = measure_leverage(rows, moments, problem, solution.exact)
    return Measured(metrics, residuals, warnings, logged.functions, robust, leverage)


def _measure_errors(
    source: Walk | SavedMoments,
    moments: Moments | ColumnMoments,
    problem: ColumnProblem,
    solution: Solution,
    options: Options,
    logged: Logged,
) -> tuple[dict[str, dict[str, Metrics] | None], dict[str, Residuals]]:
    """Compute metrics of training and held-out rows, and residuals where a pass read rows."""
    W, b = solution.weights.numpy(), solution.bias.numpy()
    centre = moments.mean[W.shape[1] :]
    training, of_training = list[Metrics](), Residuals()
    held_out, of_held_out = list[Metrics](), Residuals()
    shown = ShownColumns.of(source.columns.plan, moments, W)
    over_rows = partial(metrics_over_rows, shown=shown, functions=logged.functions)
    if isinstance(source, Walk) and (isinstance(moments, ColumnMoments) or _few(source, options)):
        training, of_training = over_rows(source, W, b, centre)
    elif isinstance(moments, Moments) and isinstance(problem, Problem):
        training = metrics_from_moments(moments, W, b, problem.resolution.numpy())
        training = [
            found if own is None else in_the_targets_units(found, own)
            for found, own in zip(training, logged.figures, strict=True)
        ]
    if isinstance(source, Walk) and options.holdout:
        held_out, of_held_out = over_rows(source, W, b, centre, held_out=True)
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


@dataclass(frozen=True)
class ShownColumns:
    """The columns with the strongest effects.

    Attributes:
        plan: The plan.
        places: Their places in the plan's columns, the strongest effect first.
    """

    plan: Plan
    places: tuple[int, ...]

    @classmethod
    def of(cls, plan: Plan, moments: Moments | ColumnMoments, weights: Array) -> ShownColumns:
        """Choose the columns by the effects of their terms, for W (k, d)."""
        d = weights.shape[1]
        deviations = np.sqrt(moments.squares)
        with np.errstate(all="ignore"):
            effects = np.square(weights * deviations[:d] / deviations[d:, None])
        of_terms = np.where(np.isfinite(effects), effects, 0.0).max(axis=0)
        if plan.is_plain:
            return cls(plan, tuple(np.argsort(-of_terms, kind="stable")[:MOST_SHOWN].tolist()))
        places = {column.name: place for place, column in enumerate(plan.columns)}
        used, terms = [], []
        for j, term in enumerate(plan.terms):
            for factor in term:
                used.append(places[factor.column])
                terms.append(j)
        found = np.bincount(used, of_terms[terms], len(places))
        return cls(plan, tuple(np.argsort(-found, kind="stable")[:MOST_SHOWN].tolist()))

    def values(self, rows: Rows, part: slice) -> Array:
        """Take the columns' values of some rows, as `Plan.compute` takes them; (rows, columns)."""
        places = list(self.places)
        if rows.plan is not None:
            return rows.pieces[0][part][:, places].astype(np.float64)
        features = rows.features[part]
        if self.plan.is_plain:
            return features[:, places].astype(np.float64)
        found = [self._recovered(self.plan.columns[place], features) for place in places]
        return np.stack(found, axis=1)

    def _recovered(self, column: Column, features: Array) -> Array:
        """Recover a column's values from its terms; NaN if no term determines them."""
        found = np.full(len(features), np.nan)
        if column.reference is not None:
            found[:] = column.places[column.reference]
        for j, (factor, *others) in enumerate(self.plan.terms):
            if others or factor.column != column.name:
                continue
            if column.kind == "category":
                found[features[:, j] == 1] = factor.place(column)
            elif factor.level is None and factor.function in BACK:
                return BACK[factor.function](features[:, j])
        return found
