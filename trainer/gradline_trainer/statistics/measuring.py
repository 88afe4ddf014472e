"""What a run is measured by: metrics, residuals, leverage, robust errors, and its warnings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gradline_trainer.descent.losses import Solution
from gradline_trainer.descent.problem import ColumnProblem, Problem
from gradline_trainer.descent.ridge_path import RidgePath, path_warnings
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.moments.partial_sums import PartialSums
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.statistics.advice import advise, advise_on_wide
from gradline_trainer.statistics.metrics import (
    Metrics,
    Residuals,
    metrics_from_moments,
    metrics_over_rows,
)
from gradline_trainer.statistics.robust import Robust, measure_robust, robust_warnings
from gradline_trainer.statistics.whitening import Leverage, measure_leverage

FEW = 1 << 22  # numbers; a further pass over so many takes little time


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
    """Measure a solution on the training rows and the rows held out, and say what to beware of.

    Args:
        source: What the run learned from; saved moments have no rows.
        moments: The moments of the training rows.
        problem: The problem that they state.
        solution: What the run learned.
        options: The options of the run.
        ridge_path: How the penalty was chosen, if it was.
    """
    metrics, residuals = _measure_errors(source, moments, problem, solution, options)
    columns, counts = source.columns, source.counts
    if isinstance(moments, ColumnMoments):
        warnings = advise_on_wide(columns, counts, moments, problem, solution, options)
        return Measured(metrics, residuals, warnings, partial_sums=_sum_partially(source, solution))
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


def _sum_partially(source: Walk | SavedMoments, solution: Solution) -> PartialSums | None:
    """Gather what the float32 certificate needs of a wide table's rows."""
    if not isinstance(source, Walk):
        return None
    of = partial(PartialSums.of, weights=solution.weights, bias=solution.bias)
    return source.total(Pass(of, source.chunk_rows))


def _measure_errors(
    source: Walk | SavedMoments,
    moments: Moments | ColumnMoments,
    problem: ColumnProblem,
    solution: Solution,
    options: Options,
) -> tuple[dict[str, dict[str, Metrics] | None], dict[str, Residuals]]:
    """Compute the metrics and residuals of the training rows and of the rows held out.

    The residuals are those that a pass over the rows computed; without one there are none.
    """
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
    numbers = sum(piece.size for block in rows for piece in block.pieces)
    return options.gradient_source == "rows" or numbers <= FEW
