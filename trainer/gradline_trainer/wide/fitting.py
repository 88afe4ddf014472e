"""Wide tables: more features than a co-moment matrix has room for.

The rows gradient streams blocks each epoch, standardized, with Nesterov momentum, on the same loop.
Memory holds a few blocks, whatever the table's size: a matrix in memory is read where it lies,
anything else is parsed once, into a temporary file.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from gradline.errors import InputError
from gradline.formatting import count
from gradline.tables import BLOCK_ROWS
from gradline.tables.files import absolute
from gradline_trainer.descent.arithmetic import Arithmetic
from gradline_trainer.moments.column_moments import ColumnMoments
from gradline_trainer.moments.gathering import refuse_unlearnable, refuse_useless
from gradline_trainer.moments.partial_sums import PartialSums
from gradline_trainer.options import Options
from gradline_trainer.result import Fit
from gradline_trainer.rows.arrays import ArrayTable
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.dealing import GROUP_ROWS
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import RowReader, Rows
from gradline_trainer.statistics.advice import advise_on_columns
from gradline_trainer.statistics.metrics import Metrics, Residuals, metrics_over_rows
from gradline_trainer.wide.descent import Learned, learn
from gradline_trainer.wide.loss import StreamedLoss
from gradline_trainer.wide.problem import WideProblem, state_wide_problem
from gradline_trainer.wide.scratch import Scratch

__all__ = ["WIDE", "fit_wide", "is_wide"]

WIDE = 12_000  # features; beyond, a co-moment matrix and its factor take more than 2 GB
BLOCK_BYTES = 1 << 24  # of a block in float64
CHUNK_BYTES = 1 << 22  # that a thread takes; what is larger is returned to the system each time
CHUNK_ROWS = 16  # at least: to merge two chunks' sums is to walk over three rows or so
FILE_BLOCK_BYTES = 1 << 26  # of a block that is parsed: the more columns, the dearer each block


def is_wide(columns: Columns, options: Options) -> bool:
    """Return whether a run takes this module's way; moments and exact arithmetic can be asked for.

    Args:
        columns: Of the run.
        options: Of the run.
    """
    asked = options.gradient == "moments" or options.arithmetic == "exact"
    return len(columns.features) > WIDE and not asked


def fit_wide(asked: Walk) -> Fit:
    """Return the linear model that streamed gradient descent learns; see `fit`.

    Args:
        asked: Over the table's rows; the size of its blocks is made to fit.

    Raises:
        InputError: For rows or columns that can't be trained on.
        RefusedError: Where the run diverged, saying why.
    """
    options, columns = asked.reader.options, asked.reader.columns
    if options.ridge == "auto":
        raise InputError(
            f"ridge = 'auto' chooses by the co-moments, which {len(columns.features)} "
            "features have no room for",
            code="bad-option",
            hint="give a number, or fewer features",
        )
    if options.robust is not None:
        raise InputError(
            f"robust = {options.robust!r} takes the co-moments, which "
            f"{len(columns.features)} features have no room for",
            code="bad-option",
            hint="leave --robust out, or give fewer features",
        )
    if options.dependent == "drop":
        raise InputError(
            f"dependent = 'drop' looks for dependent features in the co-moments, which "
            f"{len(columns.features)} features have no room for",
            code="bad-option",
            hint="leave --dependent out, or give fewer features",
        )
    whiten = options.preconditioning == "whiten"
    options = replace(
        options,
        gradient="rows",
        preconditioning="standardize" if whiten else options.preconditioning,
    )
    in_memory = isinstance(asked.reader.table, ArrayTable)
    row_bytes = 8 * len(columns.all)
    fitting = (BLOCK_BYTES if in_memory else FILE_BLOCK_BYTES) // row_bytes
    size = max(GROUP_ROWS, min(asked.reader.block_rows or BLOCK_ROWS, fitting))
    walk = replace(asked, reader=replace(asked.reader, options=options, block_rows=size))
    chunk_rows = max(CHUNK_ROWS, CHUNK_BYTES // row_bytes)
    with ExitStack() as files:
        if asked.engine is None and not in_memory:
            walk.kept, walk.held = (files.enter_context(Scratch(chunk_rows)) for _ in range(2))
        return _fit_rows(walk, chunk_rows)


def _fit_rows(walk: Walk, chunk_rows: int) -> Fit:
    """Return what is learned from rows, so many taken at a time."""
    reader = walk.reader
    columns, options = reader.columns, reader.options
    moments = refuse_useless(walk.gather(Pass(_moments, 4 * chunk_rows)), reader)
    refuse_unlearnable(moments, reader)
    problem = state_wide_problem(moments, len(columns.features), options)
    if not len(problem.active):
        raise InputError(
            "every feature has one value only: there is nothing to learn from",
            code="constant-features",
            hint="choose other features",
        )
    report, walk.report = walk.report, lambda stage, count: None  # of every pass's rows again
    loss = StreamedLoss(problem, walk, chunk_rows)
    learned = learn(loss, options, columns.features, report)
    metrics, residuals = _metrics(walk, learned, moments, chunk_rows)
    of = partial(PartialSums.of, weights=learned.weights, bias=learned.bias)
    return Fit(
        weights=learned.weights,
        bias=learned.bias,
        features=columns.features,
        targets=columns.targets,
        history=learned.history,
        metrics=metrics,
        residuals=residuals,
        converged=learned.converged,
        optimality=learned.optimality,
        learning_rate=learned.learning_rate,
        largest_stable_rate=learned.largest_stable_rate,
        arithmetic=Arithmetic("fast", "a wide table, whose moments would not fit", None),
        exact=None,
        ridge_path=None,
        moments=moments,
        partial_sums=walk.total(Pass(of, chunk_rows)),
        rows_read=reader.counts.read,
        rows_dropped=reader.counts.dropped,
        rows_held_out=reader.counts.held_out,
        paths=list(map(absolute, reader.table.paths)),
        options=options,
        columns=columns,
        warnings=_warnings(reader, problem, moments, learned),
    )


def _moments(rows: Rows) -> ColumnMoments:
    return ColumnMoments.of(rows.values, rows.weights)


def _metrics(
    walk: Walk, learned: Learned, moments: ColumnMoments, chunk_rows: int
) -> tuple[dict[str, dict[str, Metrics] | None], dict[str, Residuals]]:
    """Return the metrics on the training rows and those held out, and residuals of some rows."""
    W, b = learned.weights.numpy(), learned.bias.numpy()
    centre = moments.mean[W.shape[1] :]
    over_rows = partial(metrics_over_rows, walk, W, b, centre, chunk_rows=chunk_rows)
    training, of_training = over_rows()
    held_out, of_held_out = None, Residuals()
    if walk.reader.counts.held_out:
        held_out, of_held_out = over_rows(held_out=True)
    names = walk.reader.columns.targets
    metrics = {
        "training": dict(zip(names, training, strict=True)),
        "held_out": dict(zip(names, held_out, strict=True)) if held_out else None,
    }
    return metrics, {"training": of_training, "held_out": of_held_out}


def _warnings(
    reader: RowReader, problem: WideProblem, moments: ColumnMoments, learned: Learned
) -> list[str]:
    """Return what a person should know of the run."""
    found = advise_on_columns(reader, moments, problem.constant, [])
    options = reader.options
    coordinates = "raw" if options.preconditioning == "none" else "standardized"
    found.append(
        f"a wide table, {count(len(reader.columns.features), 'feature')}: their co-moments would "
        f"not fit, so descent streamed the rows in {coordinates} coordinates"
        + " with Nesterov momentum" * (options.momentum != 0)
        + "; linearly dependent features were not looked for"
        + ", of several optima this tends to the one of least norm in standardized units"
        * (options.preconditioning != "none")
    )
    if moments.rows <= len(problem.scale) and not problem.penalty:
        found.append(
            f"{count(moments.rows, 'row')} for {count(len(problem.scale), 'feature')}: many "
            "weights fit equally well; a --ridge penalty chooses among them"
        )
    if not learned.converged:
        found.append(learned.optimality.describe() + "; give more --epochs")
    return found
