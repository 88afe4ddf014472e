"""The pass over the table: rows in, moments out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from gradline.errors import InputError
from gradline_trainer.column_moments import ColumnMoments
from gradline_trainer.columns import Columns
from gradline_trainer.exact_moments import ExactMoments
from gradline_trainer.moments import Moments, merge_all
from gradline_trainer.rows import RowReader, Rows

__all__ = ["Progress", "gather", "gather_exactly", "refuse_useless"]

Progress = Callable[[str, int], None]


def gather(reader: RowReader, report: Progress) -> tuple[Moments, list[Rows] | None]:
    """Return the moments of the training rows, and the rows where they are at hand.

    They are where the loop needs them, or where one block holds them all.

    Args:
        reader: Of the table's rows.
        report: Called with ("rows", how many were read so far).

    Raises:
        InputError: For rows that can't be trained on, and where fewer than two are left.
    """
    keep_all = reader.options.gradient_source == "rows"
    kept: list[Rows] = []
    blocks = 0

    def moments() -> Iterable[Moments]:
        nonlocal blocks
        for rows, _ in reader:
            report("rows", reader.read)
            blocks += 1
            if keep_all or blocks == 1:
                kept.append(rows)
            else:
                kept.clear()
            if len(rows):
                yield Moments.of(np.hstack([rows.features, rows.targets]), rows.weights)

    merged = refuse_useless(merge_all(moments()), reader)
    return merged, kept if keep_all or blocks == 1 else None


AnyMoments = TypeVar("AnyMoments", Moments, ColumnMoments)


def refuse_useless(merged: AnyMoments | None, reader: RowReader) -> AnyMoments:
    """Return the moments of all the training rows.

    Raises:
        InputError: For fewer than two rows, a holdout of none, and columns that can't be used.
    """
    count = 0 if merged is None else merged.rows
    if merged is None or count < 2:
        counts = f"{reader.read} read, {reader.dropped} dropped, {reader.held_out} held out"
        raise InputError(
            f"{count or 'no'} row{'s' * (count != 1)} to train on ({counts})",
            code="too-few-rows",
            hint="give a table of at least two complete rows",
        )
    if reader.options.holdout and not reader.held_out:
        raise InputError(
            f"a holdout of {reader.options.holdout:g} of {reader.read} rows holds out none",
            code="bad-option",
            hint="give a larger fraction",
        )
    _check_spread(merged, reader.columns)
    return merged


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

    def again() -> Iterator[Rows]:
        for training, _ in reader:
            report("rows", reader.read)
            yield training

    count = 0
    total: ExactMoments | None = None
    for block in again() if rows is None else rows:
        if len(block):
            count += len(block)
            found = ExactMoments.of(np.hstack([block.features, block.targets]), block.weights)
            total = found if total is None else total.merge(found)
    if total is None or count != moments.rows:
        raise InputError(
            f"the table changed while it was read: {moments.rows} rows to train on, then {count}",
            code="changed-data",
            hint="run again when nothing writes to it",
        )
    return total


def _check_spread(moments: Moments | ColumnMoments, columns: Columns) -> None:
    """Raise for a column whose squares overflow, and for a constant target."""
    spread = moments.squares
    names = columns.features + columns.targets
    for name, square, most in zip(names, spread, moments.maximum, strict=True):
        if not np.isfinite(square):
            raise InputError(
                f"the column {name!r} has values too large to square (up to {most:.3g})",
                code="out-of-range",
                hint="divide the column first",
            )
    d = len(columns.features)
    for j, name in enumerate(columns.targets, d):
        if moments.minimum[j] == moments.maximum[j] or not spread[j]:
            raise InputError(
                f"the target {name!r} is {moments.mean[j]:g} in every row: there is nothing to "
                "learn",
                code="constant-target",
                hint="choose another target",
            )
