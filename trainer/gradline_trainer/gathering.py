"""The pass over the table: rows in, moments out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from gradline.errors import InputError
from gradline_trainer.columns import Columns
from gradline_trainer.exact_moments import ExactMoments
from gradline_trainer.folds import FoldedMoments
from gradline_trainer.moments import Moments, merge_all, one_value
from gradline_trainer.parallel import in_order
from gradline_trainer.rows import RowReader, Rows
from gradline_trainer.wide.column_moments import ColumnMoments

__all__ = [
    "Progress",
    "expect",
    "gather",
    "gather_exactly",
    "read_again",
    "refuse_few_rows",
    "refuse_unlearnable",
    "refuse_useless",
    "report_epochs",
]

Progress = Callable[[str, int], None]  # see `fit`


def expect(report: Progress, stage: str, count: int) -> None:
    """Tell a report that listens about how many of a stage's units there are to be."""
    if listens := getattr(report, "expect", None):
        listens(stage, count)


def report_epochs(report: Progress, most: int) -> Callable[[int, float], None]:
    """Return what tells a report of each epoch, and one that listens of its loss before."""
    expect(report, "epochs", most)
    of_loss = getattr(report, "loss", None)

    def epoch_done(epoch: int, loss: float) -> None:
        if of_loss is not None:
            of_loss(loss)
        report("epochs", epoch + 1)

    return epoch_done


# The rows that a thread takes at a time depend on the table alone, so that the moments' bits do.
CHUNK = 1 << 22  # numbers
LEAST_ROWS = 8192


def gather(reader: RowReader, report: Progress) -> tuple[Moments, list[Moments], list[Rows] | None]:
    """Return the moments of the training rows and of each fold, and the rows if they are at hand.

    They are where the loop needs them, or where one block holds them all.

    Args:
        reader: Of the table's rows.
        report: Called with ("rows", how many were read so far).

    Raises:
        InputError: For rows that can't be trained on, where none is left, or none for a fold,
            and for columns whose squares overflow.
    """
    keep_all = reader.options.gradient_source == "rows"
    kept: list[Rows] = []
    blocks = 0

    def training() -> Iterable[Rows]:
        nonlocal blocks
        for rows, _ in reader:
            report("rows", reader.read)
            blocks += 1
            if keep_all or blocks == 1:
                kept.append(rows)
            else:
                kept.clear()
            if len(rows):
                yield from rows.chunks(size)

    width = len(reader.columns.features) + len(reader.columns.targets)
    size = max(LEAST_ROWS, CHUNK // width)
    folds, device = reader.options.folds or 0, reader.options.torch_device
    merged = merge_all(in_order(lambda rows: FoldedMoments.of(rows, folds, device), training()))
    whole = refuse_useless(None if merged is None else merged.whole, reader)
    assert merged is not None  # noqa: S101 - of no rows, which are refused
    return whole, _filled(merged), kept if keep_all or blocks == 1 else None


AnyMoments = TypeVar("AnyMoments", Moments, ColumnMoments)


def refuse_useless(merged: AnyMoments | None, reader: RowReader) -> AnyMoments:
    """Return the moments of all the training rows.

    Raises:
        InputError: For no row, a holdout of none, and columns whose squares overflow.
    """
    refuse_few_rows(reader, 0 if merged is None else merged.rows, least=1)
    assert merged is not None  # noqa: S101 - of no rows, which are refused
    if reader.options.holdout and not reader.held_out:
        raise InputError(
            f"a holdout of {reader.options.holdout:g} of {reader.read} rows holds out none",
            code="bad-option",
            hint="give a larger fraction",
        )
    _refuse_overflow(merged, reader.columns)
    return merged


def _filled(merged: FoldedMoments) -> list[Moments]:
    """Return the folds' moments, or raise where a fold has no row."""
    folds = [fold for fold in merged.folds if fold is not None]
    if len(folds) < len(merged.folds):
        raise InputError(
            f"{len(merged.folds) - len(folds)} of {len(merged.folds)} folds got none of the "
            f"{merged.whole.rows} rows to train on",
            code="too-few-rows",
            hint="give fewer --folds",
        )
    return folds


def gather_exactly(
    reader: RowReader, rows: list[Rows] | None, moments: Moments, report: Progress
) -> ExactMoments:
    """Return the exact moments of the training rows, from a further pass where not at hand.

    Args:
        reader: Of the table's rows, after `gather`.
        rows: What `gather` kept, or None.
        moments: What `gather` found.
        report: Called with ("rows", how many were read so far).

    Raises:
        InputError: Where the table has changed since.
        RefusedError: Where values span too many bits.
    """
    device = reader.options.torch_device
    again = read_again(reader, rows, moments, report)
    total = merge_all(in_order(lambda b: ExactMoments.of(b.values, b.weights, device), again))
    assert total is not None  # noqa: S101 - of no rows, which are refused
    return total


def read_again(
    reader: RowReader, rows: list[Rows] | None, moments: Moments, report: Progress
) -> Iterator[Rows]:
    """Yield the training rows, none of the blocks empty, from a further pass where not at hand.

    Args:
        reader: Of the table's rows, after `gather`.
        rows: What `gather` kept, or None.
        moments: What `gather` found.
        report: Called with ("rows", how many were read so far).

    Raises:
        InputError: At the end, where the table has changed since.
    """

    def again() -> Iterator[Rows]:
        for training, _ in reader:
            report("rows", reader.read)
            yield training

    count = 0
    for block in again() if rows is None else rows:
        count += len(block)
        if len(block):
            yield block
    if count != moments.rows:
        raise InputError(
            f"the table changed while it was read: {moments.rows} rows to train on, then {count}",
            code="changed-data",
            hint="run again when nothing writes to it",
        )


def refuse_few_rows(reader: RowReader, count: int, *, least: int) -> None:
    """Raise where `count` rows are fewer than a run takes."""
    if count < least:
        counts = f"{reader.read} read, {reader.dropped} dropped, {reader.held_out} held out"
        raise InputError(
            f"{count or 'no'} row{'s' * (count != 1)} to train on ({counts})",
            code="too-few-rows",
            hint="give a table of at least two complete rows",
        )


def refuse_unlearnable(moments: Moments | ColumnMoments, reader: RowReader) -> None:
    """Raise for a single row, and for a constant target."""
    refuse_few_rows(reader, moments.rows, least=2)
    squares, constant = moments.squares, one_value(moments)
    for j, name in enumerate(reader.columns.targets, len(reader.columns.features)):
        if constant[j]:
            raise InputError(
                f"the target {name!r} is {moments.mean[j]:g} in every row: there is nothing to "
                "learn",
                code="constant-target",
                hint="choose another target",
            )
        if not squares[j]:
            raise InputError(
                f"the target {name!r} has values too small to square",
                code="out-of-range",
                hint="multiply the column first",
            )


def _refuse_overflow(moments: Moments | ColumnMoments, columns: Columns) -> None:
    """Raise for a column whose squares overflow."""
    names = columns.features + columns.targets
    for name, square, most in zip(names, moments.squares, moments.maximum, strict=True):
        if not np.isfinite(square):
            raise InputError(
                f"the column {name!r} has values too large to square (up to {most:.3g})",
                code="out-of-range",
                hint="divide the column first",
            )
