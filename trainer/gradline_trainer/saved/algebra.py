"""Merge saved moments of several tables, and subtract the moments of some rows.

Subtraction inverts the update of Chan, Golub and LeVeque (1983): with the whole's weight W and
mean M, and the part's w and m, the rest has the mean M − (m − M)·w/(W − w), and its co-moments are
the whole's minus the part's minus (W·w/(W − w))·(m − M)(m − M)ᵀ. The difference of nearly equal
numbers keeps their absolute rounding error and loses digits. The relative rounding that results is
computed and recorded; if it is too large, the subtraction is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import InputError, nearest
from gradline_trainer.moments.moments import Moments, two_sum
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.passes import merge_all
from gradline_trainer.saved.check import is_semidefinite

COUNTS = ("rows_read", "rows_dropped", "rows_held_out", "filled")
SUMMED = 2.0**-50  # relative rounding of a variance that is summed from a table's blocks
MOST = 2.0**-26  # the largest relative rounding of a difference: half of float64's digits


@numpy_defaults()
def merge_moments(saved: Sequence[SavedMoments]) -> SavedMoments:
    """Merge the moments of several tables in a binary tree over their order.

    Features and targets keep the first one's order. Folds are kept if all have equally many.
    """
    _refuse_twice(saved)
    first = saved[0]
    aligned = [first, *(_aligned(first, other) for other in saved[1:])]
    alike = len({len(one.folds) for one in aligned}) == 1
    folds = zip(*(one.folds for one in aligned), strict=True) if alike else ()
    counts = {name: sum(getattr(one, name) for one in aligned) for name in COUNTS}
    return replace(
        first,
        moments=_merged(one.moments for one in aligned),
        folds=list(map(_merged, folds)),
        file=None,
        **counts,
    )


def _merged(moments: Iterable[Moments]) -> Moments:
    merged = merge_all(moments)
    assert merged is not None  # noqa: S101 - there is at least one
    return merged


def _refuse_twice(saved: Sequence[SavedMoments]) -> None:
    """Raise if two files have the same bytes: their rows would count twice."""
    seen: dict[str, str] = {}
    for file in (one.file for one in saved if one.file):
        if other := seen.get(file.sha256):
            same = "is given twice" if other == file.name else f"has the same bytes as {other}"
            raise InputError(
                f"{file.name} {same}: its rows would count twice",
                code="same-rows",
                hint="give each table's moments once",
            )
        seen[file.sha256] = file.name


@numpy_defaults()
def subtract_moments(whole: SavedMoments, part: SavedMoments) -> SavedMoments:
    """Compute the moments of the whole's rows without those of the part.

    Ranges and folds can't be subtracted and are left out.
    """
    part = _aligned(whole, part)
    counts = {name: getattr(whole, name) - getattr(part, name) for name in COUNTS}
    for count, left in counts.items():
        if left < 0:
            raise _not_a_part(f"it has more {count.replace('_', ' ')}")
    names = [*whole.columns.features, *whole.columns.targets]
    rest = _difference(whole.moments, part.moments, names)
    if rest.rows > counts["rows_read"] - counts["rows_dropped"] - counts["rows_held_out"]:
        raise _not_a_part("other rows of it were dropped or held out")
    return replace(whole, moments=rest, folds=[], file=None, **counts)


def _difference(whole: Moments, part: Moments, names: list[str]) -> Moments:
    rows, weight = whole.rows - part.rows, whole.weight - part.weight
    if rows < 0 or (rows and weight <= 0):
        raise _not_a_part(
            f"it has {part.rows} rows of total weight {part.weight:g}, the whole has "
            f"{whole.rows} of {whole.weight:g}"
        )
    if not rows:
        raise InputError("no row would be left", code="too-few-rows", hint="leave out fewer rows")
    beyond = (part.minimum < whole.minimum) | (part.maximum > whole.maximum)
    if beyond.any():
        raise _not_a_part(f"its range of {names[int(np.argmax(beyond))]!r} exceeds the whole's")
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
        raise _not_a_part("no table has the co-moments that would be left")
    return left


def _rounding(whole: Moments, part: Moments, left: Moments, names: list[str]) -> float:
    """Compute the largest relative rounding of a variance after the subtraction.

    It is the whole's rounding relative to a variance that is smaller now, plus the rounding of the
    means, whose weight in the difference is W·w/(W − w).
    """
    own = SUMMED + max(whole.rounding, part.rounding)
    rounding = own * whole.squares * (whole.weight / left.weight)
    below = left.squares < -rounding
    if below.any():
        raise _not_a_part(f"{names[int(np.argmax(below))]!r} would have a negative variance")
    lost = np.flatnonzero(rounding > MOST * left.squares)
    if len(lost):
        raise InputError(
            f"{names[lost[0]]!r} varies too little in the rows that would be left: their variance, "
            "a difference of nearly equal numbers, would lose more digits than it keeps",
            code="lost-digits",
            hint="save the moments of the remaining rows instead, or subtract fewer rows at once",
        )
    varies = left.squares > 0
    return float((rounding[varies] / left.squares[varies]).max(initial=0.0))


def _aligned(first: SavedMoments, other: SavedMoments) -> SavedMoments:
    """Reorder the other's columns like the first one's, or raise if they differ."""
    for difference in _differences(first, other):
        raise InputError(
            f"{_label(other)} and {_label(first)} differ: {difference}",
            code="mixed-schemas",
            hint="save the moments of the same columns with the same encoding; --no-bias or "
            "--ridge use no reference level, and --missing drop fills nothing",
        )
    return other.select(first.columns)


def _differences(first: SavedMoments, other: SavedMoments) -> Iterator[str]:
    """Describe the differences between two tables' columns."""
    ours, theirs = first.columns, other.columns
    for what, mine, its in (
        ("target", ours.targets, theirs.targets),
        ("feature", [c.name for c in ours.inputs], [c.name for c in theirs.inputs]),
    ):
        for name in (*(n for n in its if n not in mine), *(n for n in mine if n not in its)):
            having, lacking, known = (other, first, mine) if name in its else (first, other, its)
            yield (
                f"{_label(having)} has the {what} {name!r}, {_label(lacking)} does not; "
                f"{nearest(name, known)}"
            )
    for name in theirs.learned:
        if name not in ours.learned:
            yield f"{_label(other)} has the moments of {name!r}, {_label(first)} does not"
    if ours.weight != theirs.weight:
        yield f"the sample weights are {theirs.weight!r} and {ours.weight!r}"
    columns = {column.name: column for column in ours.inputs}
    for column in theirs.inputs:
        own = columns[column.name]
        for part, here, there in (
            ("levels", own.levels, column.levels),
            ("reference level", own.reference, column.reference),
            ("fill value", own.fill, column.fill),
            ("kind", own.kind, column.kind),
            ("rare levels", own.rare, column.rare),
            ("zone", own.zone, column.zone),
        ):
            if here != there:
                yield f"the {part} of {column.name!r}, {_shown(there)} and {_shown(here)}"
    for term in sorted({*ours.features} ^ {*theirs.features}):
        having, lacking = (other, first) if term in theirs.features else (first, other)
        yield f"{_label(having)} has the term {term}, {_label(lacking)} does not"


def _shown(value: object) -> str:
    shown = "none" if value is None or value == () else str(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _label(saved: SavedMoments) -> str:
    return saved.file.name if saved.file else "the moments"


def _not_a_part(why: str) -> InputError:
    return InputError(
        f"the rows to subtract are not among the whole's: {why}",
        code="no-part",
        hint="give the moments of all the rows first, then the moments of some of these rows",
    )
