"""Wide tables: more features than a co-moment matrix has room for.

The rows gradient streams blocks each epoch, standardized, with Nesterov momentum, on the same loop.
Memory holds a few blocks, whatever the table's size: a matrix in memory is read where it lies,
anything else is parsed once, into a temporary file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS
from gradline.wording import count
from gradline_trainer.advice import advise_on_columns
from gradline_trainer.arithmetic import Arithmetic
from gradline_trainer.arrays import ArrayTable
from gradline_trainer.columns import Columns
from gradline_trainer.gathering import Progress, refuse_unlearnable, refuse_useless
from gradline_trainer.metrics import Metrics, metrics_over_rows
from gradline_trainer.moments import merge_all
from gradline_trainer.options import Options
from gradline_trainer.residuals import Residuals
from gradline_trainer.result import Fit
from gradline_trainer.rows import GROUP_ROWS, RowReader, Rows
from gradline_trainer.wide.column_moments import ColumnMoments
from gradline_trainer.wide.descent import Learned, learn
from gradline_trainer.wide.loss import StreamedLoss
from gradline_trainer.wide.partial_sums import PartialSums
from gradline_trainer.wide.problem import WideProblem, state_wide_problem
from gradline_trainer.wide.scratch import Scratch

__all__ = ["WIDE", "fit_wide", "is_wide"]

WIDE = 12_000  # features; beyond, a co-moment matrix and its factor take more than 2 GB
BLOCK_BYTES = 1 << 24  # of a block in float64; what is larger is returned to the system each time
FILE_BLOCK_BYTES = 1 << 26  # of a block that is parsed: the more columns, the dearer each block


def is_wide(columns: Columns, options: Options) -> bool:
    """Return whether a run takes this module's way; moments and exact arithmetic can be asked for.

    Args:
        columns: Of the run.
        options: Of the run.
    """
    asked = options.gradient == "moments" or options.arithmetic == "exact"
    return len(columns.features) > WIDE and not asked


@dataclass(frozen=True)
class WideRows:
    """A wide table's rows, in blocks as often as asked.

    Attributes:
        training: Gives the training rows from the first on.
        held_out: Gives the held-out rows.
        moments: Of the training rows' columns.
    """

    training: Callable[[], Iterable[Rows]]
    held_out: Callable[[], Iterable[Rows]]
    moments: ColumnMoments


def fit_wide(asked: RowReader, report: Progress) -> Fit:
    """Return the linear model that streamed gradient descent learns; see `fit`.

    Args:
        asked: Reads the table; its block size is made to fit.
        report: See `fit`.

    Raises:
        InputError: For rows or columns that can't be trained on.
        RefusedError: Where the run diverged, saying why.
    """
    options = asked.options
    if options.ridge == "auto":
        raise InputError(
            f"ridge = 'auto' chooses by the co-moments, which {len(asked.columns.features)} "
            "features have no room for",
            code="bad-option",
            hint="give a number, or fewer features",
        )
    if options.robust is not None:
        raise InputError(
            f"robust = {options.robust!r} takes the co-moments, which "
            f"{len(asked.columns.features)} features have no room for",
            code="bad-option",
            hint="leave --robust out, or give fewer features",
        )
    whiten = options.preconditioning == "whiten"
    options = replace(
        options,
        gradient="rows",
        preconditioning="standardize" if whiten else options.preconditioning,
    )
    reader = RowReader(asked.table, asked.columns, options, asked.block_rows)
    with ExitStack() as files:
        return _fit_rows(_gather(reader, files, report), reader, report)


def _fit_rows(rows: WideRows, reader: RowReader, report: Progress) -> Fit:
    """Return what is learned from rows that are ready to be read again."""
    columns, options = reader.columns, reader.options
    problem = state_wide_problem(rows.moments, len(columns.features), options)
    if not len(problem.active):
        raise InputError(
            "every feature has one value only: there is nothing to learn from",
            code="constant-features",
            hint="choose other features",
        )
    learned = learn(StreamedLoss(problem, rows.training), options, columns.features, report)
    sums = PartialSums.of(learned.weights, learned.bias)
    residuals = {"training": Residuals(), "held_out": Residuals()}
    return Fit(
        weights=learned.weights,
        bias=learned.bias,
        features=columns.features,
        targets=columns.targets,
        history=learned.history,
        metrics=_metrics(rows, reader, sums, residuals),
        residuals=residuals,
        converged=learned.converged,
        optimality=learned.optimality,
        learning_rate=learned.learning_rate,
        largest_stable_rate=learned.largest_stable_rate,
        arithmetic=Arithmetic("fast", "a wide table, whose moments would not fit", None),
        exact=None,
        ridge_path=None,
        moments=rows.moments,
        partial_sums=sums,
        rows_read=reader.read,
        rows_dropped=reader.dropped,
        rows_held_out=reader.held_out,
        paths=list(reader.table.paths),
        options=options,
        columns=columns,
        warnings=_warnings(reader, problem, rows.moments, learned),
    )


def _gather(reader: RowReader, files: ExitStack, report: Progress) -> WideRows:
    """Return the rows, ready to be read again, after the pass that checks them."""
    in_memory = isinstance(reader.table, ArrayTable)
    row_bytes = 8 * len(reader.columns.all)
    fitting = (BLOCK_BYTES if in_memory else FILE_BLOCK_BYTES) // row_bytes
    reader.block_rows = max(GROUP_ROWS, min(reader.block_rows or BLOCK_ROWS, fitting))
    kept, held = (files.enter_context(Scratch(max(1, BLOCK_BYTES // row_bytes))) for _ in range(2))

    def moments() -> Iterator[ColumnMoments]:
        for training, held_out in reader:
            report("rows", reader.read)
            if not in_memory:
                kept.append(training)
                held.append(held_out)
            if len(training):
                yield ColumnMoments.of(training.values, training.weights)

    found = refuse_useless(merge_all(moments()), reader)
    refuse_unlearnable(found, reader)
    if in_memory:
        return WideRows(lambda: (t for t, _ in reader), lambda: (h for _, h in reader), found)
    return WideRows(lambda: kept, lambda: held, found)


def _metrics(
    rows: WideRows, reader: RowReader, sums: PartialSums, residuals: Mapping[str, Residuals]
) -> dict[str, dict[str, Metrics] | None]:
    """Return the metrics, and the partial sums from the same pass over the training rows."""
    W, b = sums.weights.numpy(), sums.bias.numpy()
    centre = rows.moments.mean[W.shape[1] :]

    def summed() -> Iterator[Rows]:
        for block in rows.training():
            sums.add(block)
            yield block

    names = reader.columns.targets
    training = metrics_over_rows(summed(), W, b, centre, residuals["training"]) or []
    held_out = None
    if reader.held_out:
        held_out = metrics_over_rows(rows.held_out(), W, b, centre, residuals["held_out"])
    return {
        "training": dict(zip(names, training, strict=True)),
        "held_out": dict(zip(names, held_out, strict=True)) if held_out else None,
    }


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
    )
    if moments.rows <= len(problem.scale) and not problem.penalty:
        found.append(
            f"{count(moments.rows, 'row')} for {count(len(problem.scale), 'feature')}: many "
            "weights fit equally well; a --ridge penalty chooses among them"
        )
    if not learned.converged:
        found.append(learned.optimality.describe() + "; give more --epochs")
    return found
