"""The first pass over the table: gather its moments and check them."""

from __future__ import annotations

import math
from functools import partial
from typing import TypeVar

import numpy as np

from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS
from gradline_trainer.moments.crossproducts import TILE
from gradline_trainer.moments.folds import FoldedMoments
from gradline_trainer.moments.grouped import GroupSums
from gradline_trainer.moments.moments import ColumnMoments, Moments, one_value
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.arrays import ArrayTable
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.counts import Counts
from gradline_trainer.rows.passes import Pass, Walk, silent
from gradline_trainer.rows.refusals import too_few
from gradline_trainer.rows.rows import RowReader, Rows

# The size of a thread's chunk depends only on the table, so the moments' bits do, too.
CHUNK = 1 << 22  # numbers
LEAST_ROWS = 4096
LEAST_SQUARES = 2.0**-970  # sum of a target's squares; below it, squared residuals lose digits


def gather(source: Walk | SavedMoments) -> tuple[Moments | ColumnMoments, list[Moments]]:
    """Gather the moments of the training rows and of each fold, in the first pass over the rows.

    Saved moments are gathered already. Of a wide table, the moments are those of each column.
    Raises as `gather_moments` does.
    """
    if isinstance(source, SavedMoments):
        return source.moments, source.folds
    if source.chunk_rows is None:
        return gather_moments(source)
    found = source.gather(Pass(_column_moments, 4 * source.chunk_rows))
    source.report = silent  # each epoch passes over all the rows again
    return _checked(found, source), []


def gather_moments(walk: Walk) -> tuple[Moments, list[Moments]]:
    """Gather the moments of a table that is not wide.

    The rows stay in memory if the loop needs them, or if one block holds them all.
    """
    options = walk.reader.options
    size = _chunk_rows(walk.reader)
    walk.kept = []
    walk.most = 1 if options.gradient_source == "moments" else math.inf
    dealt = walk.reader.dealt
    if not dealt:
        return _checked(_gather(walk, size), walk), []
    of = partial(FoldedMoments.of, folds=dealt, device=options.torch_device)
    merged = walk.gather(Pass(of, size))
    whole = _checked(merged.whole if merged else None, walk)
    folds = [fold for fold in merged.folds if fold is not None] if merged else []
    if options.folds and len(folds) < options.folds:
        raise InputError(
            f"{options.folds - len(folds)} of {options.folds} folds got none of the {whole.rows} "
            "rows to train on",
            code="too-few-rows",
            hint="give fewer --folds",
        )
    return whole, folds


def _chunk_rows(reader: RowReader) -> int:
    """Choose how many rows a thread sums at a time: a block's half, quarter, eighth and so on.

    Then two threads or four have as much to do, each. An array may be smaller than a block.
    """
    table = reader.table
    rows = min(BLOCK_ROWS, table.expected_rows()) if isinstance(table, ArrayTable) else BLOCK_ROWS
    most = max(LEAST_ROWS, CHUNK // (_width(reader) + len(reader.columns.targets)))
    parts = 1 << (-(-rows // most) - 1).bit_length()
    return -(-rows // (parts * TILE)) * TILE


def _gather(walk: Walk, size: int) -> Moments | None:
    """Gather the moments of all training rows.

    Their extremes show a NaN or an infinity. So arrays, which are in memory, are searched for one
    only then: that is a pass of its own, which takes a third of the time.
    """
    job = Pass(partial(GroupSums.of, device=walk.reader.options.torch_device), size)
    walk.reader.trusting = isinstance(walk.reader.table, ArrayTable)
    found = walk.gather(job)
    if walk.reader.trusting and found is not None and not _is_finite(found.moments):
        walk.kept = []
        walk.reader.trusting = False
        found = walk.gather(job)
    return None if found is None else found.moments


def _is_finite(moments: Moments) -> bool:
    return bool(np.isfinite(moments.minimum).all() and np.isfinite(moments.maximum).all())


def _width(reader: RowReader) -> int:
    """Count the numbers that stand for a row's features in memory."""
    plan, features = reader.plan, len(reader.columns.features)
    grouped = plan is not None and plan.layout.pays(len(reader.columns.targets))
    return plan.layout.width if plan is not None and grouped else features


def _column_moments(rows: Rows) -> ColumnMoments:
    return ColumnMoments.of(rows.values, rows.weights)


AnyMoments = TypeVar("AnyMoments", Moments, ColumnMoments)


def _checked(merged: AnyMoments | None, walk: Walk) -> AnyMoments:
    """Return the moments; raise for no row, an empty holdout, and overflowing squares."""
    reader = walk.reader
    if merged is None:
        raise too_few(0, reader.counts)
    if reader.options.holdout and not reader.counts.held_out:
        raise InputError(
            f"a holdout of {reader.options.holdout:g} of {reader.counts.read} rows holds out none",
            code="bad-option",
            hint="give a larger fraction",
        )
    _refuse_overflow(merged, reader.columns)
    return merged


def refuse_unlearnable(moments: Moments | ColumnMoments, columns: Columns, counts: Counts) -> None:
    """Raise for a single row, and for a constant target."""
    if moments.rows < 2:
        raise too_few(moments.rows, counts)
    constant = one_value(moments)
    for j, name in enumerate(columns.learned, len(columns.features)):
        if constant[j]:
            raise InputError(
                f"the target {name!r} is {moments.mean[j]:g} in every row: there is nothing to "
                "learn",
                code="constant-target",
                hint="choose another target",
            )
        if moments.squares[j] < LEAST_SQUARES:
            raise too_small("target", name, moments, j, LEAST_SQUARES)


def too_small(
    kind: str, name: str, moments: Moments | ColumnMoments, place: int, least: float
) -> InputError:
    """Build the error for a column whose weighted squares sum to less than `least`."""
    if moments.rows * (moments.squares[place] / moments.weight) >= least:
        return _bad_weights("small", moments)
    return InputError(
        f"the {kind} {name!r} has values too small to square",
        code="out-of-range",
        hint="multiply the column first",
    )


def _bad_weights(what: str, moments: Moments | ColumnMoments) -> InputError:
    """Build the error for weights whose products with squares leave float64's range."""
    return InputError(
        f"the sample weights are too {what}: they add up to {moments.weight:.3g}, and their "
        "products with squares of the columns leave the range of float64",
        code="out-of-range",
        hint="multiply the sample weights by a constant, so that they are near 1",
    )


def _refuse_overflow(moments: Moments | ColumnMoments, columns: Columns) -> None:
    """Raise for a column whose squares overflow."""
    names = columns.features + columns.learned
    sizes = np.maximum(np.abs(moments.minimum), np.abs(moments.maximum))
    for name, square, most, size in zip(
        names, moments.squares, moments.maximum, sizes.tolist(), strict=True
    ):
        if not np.isfinite(square):
            if columns.weight and size * (size * 4 * moments.rows) < math.inf:
                raise _bad_weights("large", moments)
            raise InputError(
                f"the column {name!r} has values too large to square (up to {most:.3g})",
                code="out-of-range",
                hint="divide the column first",
            )
