"""Saved moments of several tables as those of one, and of a table without some of its rows.

What merges can be taken apart again: with the whole's weight W and mean M, and the part's w and m,
what is left has the mean M − (m − M)·w/(W − w) and the co-moments of the whole less those of the
part less (W·w/(W − w))·(m − M)(m − M)ᵀ, the update of Chan, Golub and LeVeque (1983) solved for one
of its blocks. A difference of nearly equal numbers keeps their absolute rounding and loses their
digits, so what is left of them is reckoned, recorded and, where it is too little, refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import InputError, nearest
from gradline_trainer.moments.compensated import two_sum
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.passes import merge_all
from gradline_trainer.saved.check import is_semidefinite

__all__ = ["merge_moments", "subtract_moments"]

SUMMED = 2.0**-50  # the relative rounding of a variance that a table's blocks were summed to
MOST = 2.0**-26  # that a difference may have: half of float64's digits


@numpy_defaults()
def merge_moments(saved: Sequence[SavedMoments]) -> SavedMoments:
    """Return the moments of all their rows, merged in a binary tree over their order.

    Of features and targets in the first one's order. Folds are kept where all have as many.

    Raises:
        InputError: For a file that is given twice, and for columns, encodings or sample weights
            that differ, naming them.
    """
    _refuse_twice(saved)
    first = saved[0]
    aligned = [first, *(_aligned(first, other) for other in saved[1:])]
    whole = merge_all(one.moments for one in aligned)
    assert whole is not None  # noqa: S101 - there is a first
    folds: list[Moments] = []
    if len({len(one.folds) for one in aligned}) == 1:
        for same in zip(*(one.folds for one in aligned), strict=True):
            merged = merge_all(same)
            assert merged is not None  # noqa: S101 - likewise
            folds.append(merged)
    return replace(
        first,
        moments=whole,
        folds=folds,
        rows_read=sum(one.rows_read for one in aligned),
        rows_dropped=sum(one.rows_dropped for one in aligned),
        rows_held_out=sum(one.rows_held_out for one in aligned),
        filled=sum(one.filled for one in aligned),
        file=None,
    )


def _refuse_twice(saved: Sequence[SavedMoments]) -> None:
    """Raise where two files have the same bytes: their rows would count twice."""
    seen: dict[str, str] = {}
    for file in (one.file for one in saved if one.file):
        if other := seen.get(file.sha256):
            same = "is given twice" if other == file.name else f"has the very bytes of {other}"
            raise InputError(
                f"{file.name} {same}: its rows would count twice",
                code="same-rows",
                hint="give every table's moments once",
            )
        seen[file.sha256] = file.name


@numpy_defaults()
def subtract_moments(whole: SavedMoments, part: SavedMoments) -> SavedMoments:
    """Return the moments of the whole's rows but those of the part.

    Ranges and folds can't be subtracted, and are left out: which rows they come from is not known.

    Raises:
        InputError: For columns, encodings or sample weights that differ; a part that is none of the
            whole; and where more than half of the digits of a variance would be lost.
    """
    part = _aligned(whole, part)
    counts = {
        "rows_read": whole.rows_read - part.rows_read,
        "rows_dropped": whole.rows_dropped - part.rows_dropped,
        "rows_held_out": whole.rows_held_out - part.rows_held_out,
        "filled": whole.filled - part.filled,
    }
    for count, left in counts.items():
        if left < 0:
            raise _no_part(f"it has more {count.replace('_', ' ')}")
    names = [*whole.columns.features, *whole.columns.targets]
    left_over = _difference(whole.moments, part.moments, names)
    if left_over.rows > counts["rows_read"] - counts["rows_dropped"] - counts["rows_held_out"]:
        raise _no_part("it has other rows dropped or held out")
    return replace(whole, moments=left_over, folds=[], file=None, **counts)  # type: ignore[arg-type]


def _difference(whole: Moments, part: Moments, names: list[str]) -> Moments:
    """Return the moments of what is left."""
    rows, weight = whole.rows - part.rows, whole.weight - part.weight
    if rows < 0 or (rows and weight <= 0):
        raise _no_part(
            f"it has {part.rows} rows of the weight {part.weight:g}, the whole has "
            f"{whole.rows} of {whole.weight:g}"
        )
    if not rows:
        raise InputError("no row would be left", code="too-few-rows", hint="leave out fewer rows")
    beyond = (part.minimum < whole.minimum) | (part.maximum > whole.maximum)
    if beyond.any():
        raise _no_part(f"its range of {names[int(np.argmax(beyond))]!r} is beyond the whole's")
    step = (part.mean - whole.mean) + (part.mean_rest - whole.mean_rest)
    comoment = whole.comoment - part.comoment
    comoment -= (whole.weight * (part.weight / weight)) * np.outer(step, step)
    left = Moments(
        rows,
        weight,
        *two_sum(whole.mean, whole.mean_rest - (part.weight / weight) * step),
        comoment,
        np.full_like(step, np.nan),
        np.full_like(step, np.nan),
        whole.float32,
        whole.log_weights - part.log_weights,
    )
    left = replace(left, rounding=_rounding(whole, part, left, names))
    if not is_semidefinite(left):
        raise _no_part("the co-moments of what is left are those of no table")
    return left


def _rounding(whole: Moments, part: Moments, left: Moments, names: list[str]) -> float:
    """Return the largest relative rounding that is left in a variance; see the module's head.

    The whole's own, as a share of a variance that is smaller, and that of the means, whose weight
    in the difference is W·w/(W − w).
    """
    own = SUMMED + max(whole.rounding, part.rounding)
    rounding = own * whole.squares * (whole.weight / left.weight)
    below = left.squares < -rounding
    if below.any():
        raise _no_part(f"{names[int(np.argmax(below))]!r} would have a negative variance left")
    lost = np.flatnonzero(rounding > MOST * left.squares)
    if len(lost):
        raise InputError(
            f"too little of {names[lost[0]]!r} varies in the rows that would be left: their "
            "variance, a difference of two that are nearly the same, would lose more digits than "
            "it keeps",
            code="lost-digits",
            hint="gather the moments of the rows that are left instead, or leave out fewer at once",
        )
    varies = left.squares > 0
    return float((rounding[varies] / left.squares[varies]).max(initial=0.0))


def _aligned(first: SavedMoments, other: SavedMoments) -> SavedMoments:
    """Return the other in the first one's order of columns, or raise where they differ."""
    for difference in _differences(first, other):
        raise InputError(
            f"{_label(other)} and {_label(first)} differ: {difference}",
            code="mixed-schemas",
            hint="save the moments of the same columns, encoded the same; with --no-bias or "
            "--ridge no level is the reference, and with --missing drop nothing is filled",
        )
    return other.select(first.columns)


def _differences(first: SavedMoments, other: SavedMoments) -> Iterator[str]:
    """Yield what two of them differ in, so that they can't be of one table."""
    ours, theirs = first.columns, other.columns
    for what, mine, its in (
        ("target", ours.targets, theirs.targets),
        ("feature", [c.name for c in ours.inputs], [c.name for c in theirs.inputs]),
    ):
        for name in (*(n for n in its if n not in mine), *(n for n in mine if n not in its)):
            having, lacking, known = (other, first, mine) if name in its else (first, other, its)
            yield (
                f"{_label(having)} has the {what} {name!r}, {_label(lacking)} has not; "
                f"{nearest(name, known)}"
            )
    if ours.weight != theirs.weight:
        yield f"the sample weights are {theirs.weight!r} and {ours.weight!r}"
    columns = {column.name: column for column in ours.inputs}
    for column in theirs.inputs:
        own = columns[column.name]
        for part, here, there in (
            ("levels", own.levels, column.levels),
            ("reference level", own.reference, column.reference),
            ("fill value", own.fill, column.fill),
        ):
            if here != there:
                yield f"the {part} of {column.name!r}, {_shown(there)} and {_shown(here)}"


def _shown(value: object) -> str:
    shown = "none" if value is None or value == () else str(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _label(saved: SavedMoments) -> str:
    return saved.file.name if saved.file else "the moments"


def _no_part(why: str) -> InputError:
    return InputError(
        f"what is to be subtracted is no part of the whole: {why}",
        code="no-part",
        hint="give first the moments of all the rows, then those of some of the very same rows",
    )
