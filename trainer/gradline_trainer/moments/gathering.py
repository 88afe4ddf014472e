"""The passes over the table that training takes: rows in, moments out."""

from __future__ import annotations

import math
from functools import partial
from typing import TypeVar

import numpy as np

from gradline.errors import InputError
from gradline_trainer.descent.problem import Problem
from gradline_trainer.moments.column_moments import ColumnMoments
from gradline_trainer.moments.folds import FoldedMoments
from gradline_trainer.moments.moments import Moments, one_value
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import RowReader

__all__ = ["gather", "refuse_few_rows", "refuse_underflow", "refuse_unlearnable", "refuse_useless"]

# The rows that a thread takes at a time depend on the table alone, so that the moments' bits do.
CHUNK = 1 << 22  # numbers
LEAST_ROWS = 8192
LEAST_SQUARES = 2.0**-970  # of a target, below which those of its residuals lose digits
LEAST_NORMAL = 2.0**-1022  # squares below it lose digits


def gather(walk: Walk) -> tuple[Moments, list[Moments]]:
    """Return the moments of the training rows and of each fold, from the first pass.

    The rows are kept at hand where the loop needs them, or where one block holds them all.

    Args:
        walk: Over the rows.

    Raises:
        InputError: For rows that can't be trained on, where none is left, or none for a fold,
            and for columns whose squares overflow.
    """
    reader = walk.reader
    width = len(reader.columns.features) + len(reader.columns.targets)
    folds, device = reader.options.folds or 0, reader.options.torch_device
    walk.kept = []
    walk.most = 1 if reader.options.gradient_source == "moments" else math.inf
    of = partial(FoldedMoments.of, folds=folds, device=device)
    merged = walk.gather(Pass(of, max(LEAST_ROWS, CHUNK // width)))
    whole = refuse_useless(None if merged is None else merged.whole, reader)
    assert merged is not None  # noqa: S101 - of no rows, which are refused
    return whole, _filled(merged)


AnyMoments = TypeVar("AnyMoments", Moments, ColumnMoments)


def refuse_useless(merged: AnyMoments | None, reader: RowReader) -> AnyMoments:
    """Return the moments of all the training rows.

    Raises:
        InputError: For no row, a holdout of none, and columns whose squares overflow.
    """
    refuse_few_rows(reader, 0 if merged is None else merged.rows, least=1)
    assert merged is not None  # noqa: S101 - of no rows, which are refused
    if reader.options.holdout and not reader.counts.held_out:
        raise InputError(
            f"a holdout of {reader.options.holdout:g} of {reader.counts.read} rows holds out none",
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


def refuse_few_rows(reader: RowReader, count: int, *, least: int) -> None:
    """Raise where `count` rows are fewer than a run takes."""
    if count < least:
        found = reader.counts
        counts = f"{found.read} read, {found.dropped} dropped, {found.held_out} held out"
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
        if squares[j] < LEAST_SQUARES:
            raise _too_small("target", name, moments, j, LEAST_SQUARES)


def refuse_underflow(moments: Moments, problem: Problem, columns: Columns) -> None:
    """Refuse a feature whose squares are so small that they lose digits in float64."""
    least = moments.rows * LEAST_NORMAL
    squares = moments.weight * problem.normal.diagonal().numpy()
    for j, square in zip(problem.active.tolist(), squares.tolist(), strict=True):
        if square < least:
            raise _too_small("feature", columns.features[j], moments, j, least)


def _too_small(
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
    names = columns.features + columns.targets
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
