"""One training run, a line a step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import numpy as np

from gradline.errors import InputError, RefusedError
from gradline_trainer.descent.arithmetic import Arithmetic, choose_arithmetic, refuse_underflow
from gradline_trainer.descent.coordinates import Coordinates
from gradline_trainer.descent.loop import Momentum, descend
from gradline_trainer.descent.losses import FastLoss, Loss, MomentsLoss, RowsLoss, Solution
from gradline_trainer.descent.momentum import RestartingMomentum, constant_momentum
from gradline_trainer.descent.problem import EPSILON, Problem, state_problem
from gradline_trainer.descent.ridge_path import RidgePath, choose_ridge
from gradline_trainer.exact.loss import ExactLoss
from gradline_trainer.exact.moments import gather_exactly
from gradline_trainer.moments.gathering import gather, refuse_unlearnable
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.moments.superfluous import refuse_superfluous
from gradline_trainer.options import Options
from gradline_trainer.result import Fit
from gradline_trainer.rows.passes import Progress, Walk, expect
from gradline_trainer.rows.refusals import nothing_varies
from gradline_trainer.statistics.measuring import measure
from gradline_trainer.statistics.validation import overfitting, validate
from gradline_trainer.wide.loss import StreamedLoss
from gradline_trainer.wide.streaming import stream

HELD = 1e-4  # of a target's deviation: the largest error that rounding the weights may cause
UNHELD = "the exact weights are too large for float64: features are dependent but for rounding"
WIDE = 12_000  # features; a co-moment matrix of more and its factor take over 2 GB

Source = Walk | SavedMoments


def learn(
    source: Source,
    options: Options,
    report: Progress,
    *,
    refuse_trivial: bool = True,
    keep_moments: bool = False,
) -> Fit:
    """Learn a linear model by gradient descent, from rows or from saved moments; see `fit`.

    Args:
        source: Passes over a table's rows, or moments without rows.
        options: The options of the run.
        report: Called with each stage and its count; see `fit`.
        refuse_trivial: Whether to refuse a single row, a constant target, and features that are all
            constant. Otherwise W = 0 and b is the targets' mean. A wide table's are always refused.
        keep_moments: Whether the fit keeps what `save_moments` writes.

    Raises:
        InputError: For rows, columns or options that don't fit.
        RefusedError: If the run diverged.
        SuperfluousError: For default terms that add nothing.
    """
    features = source.columns.features
    with _prepare(source, options, keep_moments) as (source, options):
        # Gather: one pass over the rows.
        moments, folds = gather(source)
        if refuse_trivial or isinstance(moments, ColumnMoments):
            refuse_unlearnable(moments, source.columns, source.counts)
        if isinstance(source, Walk) and (source.columns.optional or source.columns.combined):
            refuse_superfluous(source, moments)
        gathered = _keep(source, moments, folds if options.folds else []) if keep_moments else None
        # State the problem: penalty, rank, arithmetic, coordinates.
        options, ridge_path = _choose_penalty(moments, folds, len(features), options)
        has_terms = source.columns.has_format_2
        validated = validate(moments, folds, source.columns, options) if has_terms else {}
        loss, moments, arithmetic = _choose_loss(source, moments, options, report, refuse_trivial)
        # Descend: the tutorial's loop.
        weights, bias = loss.coordinates.start(len(features), options.seed, loss.dtype)
        rate = options.learning_rate
        descent = descend(
            loss,
            weights,
            bias,
            train_bias=options.bias,
            learning_rate=1 / loss.steepest if rate == "auto" else float(rate),
            epochs=options.epochs,
            enough=partial(loss.enough, tolerance=options.tolerance),
            progress=_report_epochs(report, options.epochs),
            momentum=_choose_momentum(options, wide=isinstance(moments, ColumnMoments)),
        )
        # Fold back to the table's units, and certify how far from the optimum that is.
        solution = loss.conclude(descent, options, features)
        if options.arithmetic == "auto" and solution.exact and not _is_held(solution, moments):
            again = replace(options, arithmetic="fast")
            fit = learn(
                source, again, report, refuse_trivial=refuse_trivial, keep_moments=keep_moments
            )
            return replace(fit, options=options, arithmetic=replace(fit.arithmetic, reason=UNHELD))
        # Measure on the training rows and the rows held out.
        problem = loss.coordinates.problem
        measured = measure(source, moments, problem, solution, options, ridge_path)
        metrics = measured.metrics | validated
        return Fit(
            weights=solution.weights,
            bias=solution.bias,
            features=features,
            targets=source.columns.targets,
            history=solution.history,
            metrics=metrics,
            residuals=measured.residuals,
            converged=solution.converged,
            optimality=solution.optimality,
            learning_rate=descent.learning_rate,
            largest_stable_rate=loss.stable_rate(options),
            arithmetic=arithmetic,
            exact=solution.exact,
            moments=moments,
            rows_read=source.counts.read,
            rows_dropped=source.counts.dropped,
            rows_held_out=source.counts.held_out,
            paths=source.paths,
            options=options,
            ridge_path=ridge_path,
            columns=source.columns,
            warnings=[
                *(source.notes if isinstance(source, Walk) else ()),
                *measured.warnings,
                *(overfitting(metrics, moments, source.columns, options) if has_terms else ()),
            ],
            robust=measured.robust,
            gathered=source if isinstance(source, SavedMoments) else gathered,
            leverage=measured.leverage,
            partial_sums=measured.partial_sums,
            rank=problem.rank if isinstance(problem, Problem) else None,
            problem=loss.coordinates.problem if isinstance(loss, FastLoss) else None,
            target_functions=measured.functions,
        )


def _is_held(solution: Solution, moments: Moments | ColumnMoments) -> bool:
    """Check that weights rounded to float64 still predict; huge ones that cancel do not.

    The columns are then dependent but for the rounding of their values.
    """
    W = solution.weights.abs().numpy()
    d = W.shape[1]
    deviation = np.sqrt(moments.squares / moments.weight)
    noise = EPSILON * (W @ (np.abs(moments.mean[:d]) + deviation[:d]))
    return bool((noise <= HELD * deviation[d:]).all())


def _prepare(
    source: Source, options: Options, keep_moments: bool
) -> AbstractContextManager[tuple[Source, Options]]:
    """Check that the options go together; prepare the repeated reading of a wide table."""
    columns = source.columns
    asked = options.gradient == "moments" or options.arithmetic == "exact"
    if isinstance(source, Walk) and len(columns.features) > WIDE and not asked:
        return stream(source, keep_moments=keep_moments)
    if options.fixed_momentum and options.preconditioning == "whiten":
        raise InputError(
            "momentum speeds up slow directions, and a whitened descent has none",
            code="bad-option",
            hint="leave --momentum out, or use --preconditioning standardize",
        )
    if options.robust:
        from gradline_trainer.statistics.robust import refuse_robust

        refuse_robust(len(columns.features), len(columns.targets))
    return nullcontext((source, options))


def _choose_penalty(
    moments: Moments | ColumnMoments, folds: list[Moments], features: int, options: Options
) -> tuple[Options, RidgePath | None]:
    """Let cross-validation choose the ridge penalty, if asked to."""
    if options.ridge != "auto" or isinstance(moments, ColumnMoments):
        return options, None
    path = choose_ridge(moments, folds, features, bias=options.bias)
    return replace(options, ridge=path.chosen, folds=None), path


def _choose_loss(
    source: Source,
    moments: Moments | ColumnMoments,
    options: Options,
    report: Progress,
    refuse_trivial: bool,
) -> tuple[Loss, Moments | ColumnMoments, Arithmetic]:
    """State the problem, and choose where loss and gradient come from and in which arithmetic.

    Returns:
        The loss; the moments, which exact arithmetic rounds anew; the arithmetic, with its reason.
    """
    features = source.columns.features
    if isinstance(moments, ColumnMoments):
        assert isinstance(source, Walk)  # noqa: S101 - saved moments are co-moments
        loss = StreamedLoss.of(source, moments, options, report)
        return loss, moments, Arithmetic("fast", "a wide table, whose moments would not fit", None)
    problem = state_problem(moments, len(features), options)
    if refuse_trivial and not len(problem.active):
        raise nothing_varies()
    arithmetic = choose_arithmetic(options, problem, moments, len(features))
    if isinstance(source, SavedMoments):
        arithmetic = replace(arithmetic, reason="from saved moments, without the rows")
    elif arithmetic.used == "exact":
        try:
            return _state_exactly(source, moments, problem, arithmetic, options)
        except RefusedError as error:
            if options.arithmetic == "exact":
                raise
            arithmetic = replace(arithmetic, used="fast", reason=str(error))
    refuse_underflow(moments, problem, features)
    coordinates = Coordinates(problem, options.preconditioning)
    if isinstance(source, SavedMoments) or options.gradient_source == "moments":
        return MomentsLoss(coordinates, moments.rows), moments, arithmetic
    rows = source.in_memory
    assert rows is not None  # noqa: S101 - `gather` keeps them for this loss
    return RowsLoss.over(rows, coordinates, in_float32=options.in_float32), moments, arithmetic


def _state_exactly(
    walk: Walk, moments: Moments, problem: Problem, arithmetic: Arithmetic, options: Options
) -> tuple[Loss, Moments, Arithmetic]:
    """State the problem again in exact arithmetic, from a further pass over the rows."""
    exact = gather_exactly(walk)
    moments = exact.rounded(moments)
    loss = ExactLoss.of(exact, moments, len(walk.columns.features), options)
    if problem.dependent:  # float64's condition number excludes them
        arithmetic = replace(arithmetic, condition=loss.coordinates.problem.condition)
    return loss, moments, arithmetic


def _choose_momentum(options: Options, *, wide: bool) -> Momentum | None:
    """Choose the momentum; "auto" restarts on wide tables, and is none on others."""
    if wide and options.momentum == "auto":
        return RestartingMomentum()
    return constant_momentum(options.fixed_momentum) if options.fixed_momentum else None


def _report_epochs(report: Progress, most: int) -> Callable[[int, float], None]:
    """Announce the epochs, and report each one and its loss."""
    expect(report, "epochs", most)
    report_loss = getattr(report, "loss", None)

    def epoch_done(epoch: int, loss: float) -> None:
        if report_loss is not None:
            report_loss(loss)
        report("epochs", epoch + 1)

    return epoch_done


def _keep(
    source: Source, moments: Moments | ColumnMoments, folds: list[Moments]
) -> SavedMoments | None:
    """Collect what `save_moments` writes."""
    if isinstance(moments, ColumnMoments):
        return None
    counts = source.counts
    return SavedMoments(
        moments,
        folds,
        source.columns,
        counts.read,
        counts.dropped,
        counts.held_out,
        counts.filled,
    )
