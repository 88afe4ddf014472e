"""fit(): from a table to W and b."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gradline.engine import open_engine, path_for
from gradline.errors import InputError, RefusedError
from gradline.tables import Dialect
from gradline.tables.files import absolute
from gradline.tables.shares import uncut
from gradline_trainer.advice import advise
from gradline_trainer.ambient import known_state
from gradline_trainer.arguments import check_arguments
from gradline_trainer.arithmetic import Arithmetic, choose_arithmetic
from gradline_trainer.coordinates import Coordinates
from gradline_trainer.encoding import MAX_CATEGORIES, learn_encoding
from gradline_trainer.exact.loss import ExactLoss
from gradline_trainer.gathering import (
    gather,
    gather_exactly,
    refuse_underflow,
    refuse_unlearnable,
    report_epochs,
)
from gradline_trainer.losses import MomentsLoss, RowsLoss
from gradline_trainer.metrics import Metrics, metrics_from_moments, metrics_over_rows
from gradline_trainer.moments import Moments
from gradline_trainer.momentum import largest_stable_rate
from gradline_trainer.options import Options
from gradline_trainer.passes import Progress, Walk, expect
from gradline_trainer.problem import Problem, state_problem
from gradline_trainer.residuals import Residuals
from gradline_trainer.result import Fit
from gradline_trainer.ridge_path import RidgePath, choose_ridge, path_warnings
from gradline_trainer.robust import measure_robust, refuse_robust, robust_warnings
from gradline_trainer.rows import RowReader, Rows
from gradline_trainer.saved.moments import SavedMoments, refuse_wide
from gradline_trainer.saved.training import chosen_moments, reader_of
from gradline_trainer.shared import check_shareable
from gradline_trainer.sources import open_table
from gradline_trainer.training import Loss, Trained, train
from gradline_trainer.whitening import measure_leverage
from gradline_trainer.wide.fitting import fit_wide, is_wide

__all__ = ["Fit", "fit", "learn"]

FEW = 1 << 22  # numbers


@known_state()
def fit(
    table: Any,
    targets: Sequence[str] | str | None = None,
    features: Sequence[str] | str | None = None,
    *,
    exclude: Sequence[str] | str = (),
    one_hot: Sequence[str] | str = (),
    max_categories: int = MAX_CATEGORIES,
    sample_weight: Any = None,
    separator: str | None = None,
    decimal_comma: bool = False,
    null: Sequence[str] = (),
    keep_moments: bool = False,
    progress: Progress | None = None,
    engine: str = "local",
    address: str | None = None,
    **options: Any,
) -> Fit:
    """Return the linear model that gradient descent learns from a table.

    Args:
        table: A path, a glob or a folder; a polars, pandas or pyarrow table; a mapping of
            columns; a pair (X, Y) of arrays or tensors, shapes (n, d) and (n, k) or (n,); or
            saved moments, from `gradline_trainer.load_moments`.
        targets: The columns to predict; for a pair (X, Y) their names, y0… by default; of saved
            moments by default those that were saved.
        features: The columns to predict from, in the graph's order; by default every other
            numeric column, for a pair (X, Y) the names x0…, and of saved moments those saved.
        exclude: Columns that are not to be features.
        one_hot: Features that are categories (text, integers or booleans): each becomes one
            indicator NAME=level per level, but for the most frequent one where there is a bias
            and no ridge penalty, which costs an earlier pass over the table.
        max_categories: The most levels that such a column may have.
        sample_weight: The column of sample weights; for a pair (X, Y) an array of shape (n,).
        separator: Of CSV files, by default the extension's.
        decimal_comma: Whether 1,5 means one and a half.
        null: Further texts that mean a missing value.
        keep_moments: Whether the fit is to keep what `gradline_trainer.save_moments` writes; a wide
            table, which has no co-moments, is refused then.
        progress: Called with ("rows", count) and ("epochs", count), and of a wide table with
            ("passes", count) over the rows in search of the largest stable rate. A method
            `expect` of it is called with each of the three and about how many there are to be (of
            epochs, at most), a method `loss` with each epoch's loss, before the epoch, and a method
            `note` with what makes the run take longer than it might.
        engine: What reads the rows: this process, or "ray", a cluster whose machines can all read
            the files; the answer is the same, bit for bit.
        address: Of the Ray cluster; None for the one that RAY_ADDRESS names, else for the last that
            was started on this machine, else for one that is started for as long.
        **options: See `Options`.

    Raises:
        InputError: For a table, column or option that does not fit, naming it.
        RefusedError: Where the run diverged, saying why, and where workers were lost again and
            again.
        MissingExtraError: Where Ray is asked for and not installed.
    """
    names = {"targets": targets, "features": features, "exclude": exclude, "one_hot": one_hot}
    check_arguments(table, sample_weight, separator, null=null, **names)
    chosen = Options.of(**options)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device = 'cuda', but PyTorch finds no CUDA device here",
            code="no-cuda",
            hint="use --device cpu, or install a PyTorch with CUDA on a machine that has one",
        )
    report = progress or (lambda stage, count: None)
    nulls = (*Dialect.nulls, *([null] if isinstance(null, str) else null or ()))
    if isinstance(table, SavedMoments):
        of_rows = {"sample_weight": sample_weight, "one_hot": one_hot, "null": null}
        of_rows |= {"separator": separator, "decimal_comma": decimal_comma}
        of_rows |= {"engine": engine != "local" and engine, "address": address}
        of_rows["max_categories"] = max_categories != MAX_CATEGORIES and max_categories
        saved, chosen = chosen_moments(
            table, targets, features, exclude, chosen, of_rows, options.get("folds")
        )
        learned = learn(Walk(reader_of(saved, chosen), report), refuse_trivial=True, gathered=saved)
        reason = "from saved moments, without the rows"
        return replace(learned, arithmetic=replace(learned.arithmetic, reason=reason))
    if isinstance(table, str | Path):
        table = path_for(engine, table)
    dialect = Dialect(separator, decimal_comma, nulls)
    source, columns = open_table(
        table, targets, features, exclude or (), sample_weight, dialect, one_hot
    )
    expect(report, "rows", source.expected_rows() or 0)
    with open_engine(engine, address) as lent:
        if lent is not None:
            note = uncut(check_shareable(source, chosen))
            if note and (tell := getattr(progress, "note", None)):
                tell(note)
        source, columns = learn_encoding(source, columns, chosen, max_categories, report, lent)
        walk = Walk(RowReader(source, columns, chosen), report, lent)
        return learn(walk, refuse_trivial=True, keep_moments=keep_moments)


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
