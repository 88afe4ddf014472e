"""One training run, a line a step."""

from __future__ import annotations

from dataclasses import replace

from gradline.errors import InputError, RefusedError
from gradline.tables.files import absolute
from gradline_trainer.descent.arithmetic import Arithmetic, choose_arithmetic
from gradline_trainer.descent.coordinates import Coordinates
from gradline_trainer.descent.losses import MomentsLoss, RowsLoss
from gradline_trainer.descent.momentum import largest_stable_rate
from gradline_trainer.descent.problem import Problem, state_problem
from gradline_trainer.descent.ridge_path import RidgePath, choose_ridge, path_warnings
from gradline_trainer.descent.run import Loss, Trained, report_epochs, train
from gradline_trainer.exact.loss import ExactLoss
from gradline_trainer.exact.moments import gather_exactly
from gradline_trainer.moments.gathering import gather, refuse_underflow, refuse_unlearnable
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import SavedMoments, refuse_wide
from gradline_trainer.options import Options
from gradline_trainer.result import Fit
from gradline_trainer.rows.passes import Walk
from gradline_trainer.rows.rows import Rows
from gradline_trainer.statistics.advice import advise
from gradline_trainer.statistics.metrics import (
    Metrics,
    Residuals,
    metrics_from_moments,
    metrics_over_rows,
)
from gradline_trainer.statistics.robust import measure_robust, refuse_robust, robust_warnings
from gradline_trainer.statistics.whitening import measure_leverage
from gradline_trainer.wide.fitting import fit_wide, is_wide

__all__ = ["learn"]

FEW = 1 << 22  # numbers


def learn(
    walk: Walk,
    *,
    refuse_trivial: bool,
    keep_moments: bool = False,
    gathered: SavedMoments | None = None,
) -> Fit:
    """Return the linear model that gradient descent learns from rows; see `fit`.

    Args:
        walk: Over the table's rows.
        refuse_trivial: Whether to refuse a single row, a constant target, and features that are all
            constant. Otherwise their solution is what it is: W = 0, and b the targets' mean. A
            wide table's are always refused.
        keep_moments: See `fit`.
        gathered: What an earlier pass over the rows gathered; they are read where it is None.
    """
    reader, report = walk.reader, walk.report
    columns, chosen = reader.columns, reader.options
    if is_wide(columns, chosen):
        if keep_moments:
            raise refuse_wide(len(columns.features))
        return fit_wide(walk)
    if chosen.fixed_momentum and chosen.preconditioning == "whiten":
        raise InputError(
            "momentum speeds up slow directions, and a whitened descent has none",
            code="bad-option",
            hint="leave --momentum out, or use --preconditioning standardize",
        )
    if chosen.robust is not None:
        refuse_robust(len(columns.features), len(columns.targets))
    moments, folds, gathered = _gathered(walk, gathered, keep_moments)
    if refuse_trivial:
        refuse_unlearnable(moments, reader)
    d = len(columns.features)
    ridge_path: RidgePath | None = None
    if chosen.ridge == "auto":
        ridge_path = choose_ridge(moments, folds, d, bias=chosen.bias)
        chosen = replace(chosen, ridge=ridge_path.chosen, folds=None)
    problem = state_problem(moments, d, chosen)
    if refuse_trivial and not len(problem.active):
        raise InputError(
            "every feature has one value only, or values too small to square: there is nothing to "
            "learn from",
            code="constant-features",
            hint="choose other features",
        )
    loss, moments, arithmetic = _state_loss(walk, moments, problem, chosen)
    problem = loss.coordinates.problem
    trained = train(loss, chosen, columns.features, report_epochs(report, chosen.epochs))
    robust = None
    if chosen.robust is not None:
        robust = measure_robust(chosen.robust, walk, moments, trained, problem)
    metrics, residuals = _metrics(walk, moments, trained, problem)
    return Fit(
        weights=trained.weights,
        bias=trained.bias,
        features=columns.features,
        targets=columns.targets,
        history=trained.history,
        metrics=metrics,
        residuals=residuals,
        converged=trained.converged,
        optimality=trained.optimality,
        learning_rate=trained.learning_rate,
        largest_stable_rate=largest_stable_rate(loss.coordinates.steepest, chosen.fixed_momentum),
        arithmetic=arithmetic,
        exact=trained.exact,
        moments=moments,
        rows_read=reader.counts.read,
        rows_dropped=reader.counts.dropped,
        rows_held_out=reader.counts.held_out,
        paths=list(map(absolute, reader.table.paths)),
        options=chosen,
        ridge_path=ridge_path,
        columns=columns,
        warnings=[
            *advise(
                reader,
                moments,
                problem,
                None if trained.converged else trained.optimality,
                trained.exact,
            ),
            *(path_warnings(ridge_path, moments, columns.features) if ridge_path else []),
            *(robust_warnings(robust) if robust else []),
        ],
        robust=robust,
        gathered=gathered,
        leverage=measure_leverage(_at_hand(walk), moments, problem, trained.exact),
        rank=problem.rank,
    )


def _gathered(
    walk: Walk, known: SavedMoments | None, keep: bool
) -> tuple[Moments, list[Moments], SavedMoments | None]:
    """Return what `gather` does, or what is known of it, and what is to be kept of that."""
    if known is not None:
        return known.moments, known.folds, known
    moments, folds = gather(walk)
    if not keep:
        return moments, folds, None
    counts = walk.reader.counts
    saved = SavedMoments(
        moments,
        folds,
        walk.reader.columns,
        counts.read,
        counts.dropped,
        counts.held_out,
        counts.filled,
    )
    return moments, folds, saved


def _state_loss(
    walk: Walk, moments: Moments, problem: Problem, chosen: Options
) -> tuple[Loss, Moments, Arithmetic]:
    """Return the loss that the loop is given, the moments, exact where it is, and why it is."""
    features = len(walk.reader.columns.features)
    arithmetic = choose_arithmetic(chosen, problem, moments, features)
    if arithmetic.used == "exact":
        try:
            exact = gather_exactly(walk)
            moments = exact.rounded(moments)
            loss = ExactLoss.of(exact, moments, features, chosen)
            if problem.dependent:  # float64's condition number excludes them
                condition = loss.coordinates.problem.condition
                arithmetic = replace(arithmetic, condition=condition)
            return loss, moments, arithmetic
        except RefusedError as error:
            if chosen.arithmetic == "exact":
                raise
            arithmetic = replace(arithmetic, used="fast", reason=str(error))
    refuse_underflow(moments, problem, walk.reader.columns)
    coordinates = Coordinates(problem, chosen.preconditioning)
    if chosen.gradient_source == "moments":
        return MomentsLoss(coordinates, moments.rows), moments, arithmetic
    over_rows = RowsLoss.over(_at_hand(walk) or [], coordinates, in_float32=chosen.in_float32)
    return over_rows, moments, arithmetic


def _are_few(rows: list[Rows]) -> bool:
    """Return whether a further walk over the rows is little beside what was done with them."""
    return sum(piece.size for block in rows for piece in block.pieces) <= FEW


def _at_hand(walk: Walk) -> list[Rows] | None:
    """Return the training rows, where they are in memory."""
    return None if walk.kept is None else [rows for *_, rows in walk.kept]


def _metrics(
    walk: Walk, moments: Moments, trained: Trained, problem: Problem
) -> tuple[dict[str, dict[str, Metrics] | None], dict[str, Residuals]]:
    """Return the metrics on the training rows and, where there are some, the held-out rows.

    And of rows that were passed over for them, the residuals.
    """
    W, b = trained.weights.numpy(), trained.bias.numpy()
    centre = moments.mean[W.shape[1] :]
    options, rows = walk.reader.options, _at_hand(walk)
    if rows is not None and (options.gradient_source == "rows" or _are_few(rows)):
        training, of_training = metrics_over_rows(walk, W, b, centre)
    else:
        training = metrics_from_moments(moments, W, b, problem.resolution.numpy())
        of_training = Residuals()
    held_out, of_held_out = None, Residuals()
    if options.holdout:
        held_out, of_held_out = metrics_over_rows(walk, W, b, centre, held_out=True)
    names = walk.reader.columns.targets
    metrics = {
        "training": dict(zip(names, training, strict=True)),
        "held_out": dict(zip(names, held_out, strict=True)) if held_out else None,
    }
    return metrics, {"training": of_training, "held_out": of_held_out}
