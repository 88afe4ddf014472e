"""Merge saved moments of several tables, and subtract the moments of some rows.

Subtraction inverts the update of Chan, Golub and LeVeque (1983): with the whole's weight W and
mean M, and the part's w and m, the rest has the mean M − (m − M)·w/(W − w), and its co-moments are
the whole's minus the part's minus (W·w/(W − w))·(m − M)(m − M)ᵀ. The difference of nearly equal
numbers keeps their absolute rounding error and loses digits. The relative rounding that results is
computed and recorded; if it is too large, the subtraction is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import InputError
from gradline_trainer.moments.moments import Moments, two_sum
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.passes import merge_all
from gradline_trainer.saved.check import is_semidefinite
from gradline_trainer.saved.combining import combined, mapped
from gradline_trainer.saved.differences import aligned, all_with_terms, refuse_differences
from gradline_trainer.saved.remaining import MOST, Indicators, refilled, remaining

COUNTS = ("rows_read", "rows_dropped", "rows_held_out", "filled")
SUMMED = 2.0**-50  # relative rounding of a variance that is summed from a table's blocks


@numpy_defaults()
def merge_moments(saved: Sequence[SavedMoments]) -> SavedMoments:
    """Merge the moments of several tables in a binary tree over their order.

    Features and targets keep the first one's order. Folds are kept if all have equally many.
    Categories get the levels of all tables, and missing values the mean of all.
    """
    _refuse_twice(saved)
    aligned = _aligned_all(saved)
    first = aligned[0]
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


def _aligned_all(saved: Sequence[SavedMoments]) -> list[SavedMoments]:
    """Bring all to the same columns and terms, or raise."""
    first = saved[0]
    if all(one.columns.survey is None for one in saved):
        return [first, *(aligned(first, other) for other in saved[1:])]
    first, *others = all_with_terms(saved)
    for other in others:
        refuse_differences(first, other)
    columns = combined([first, *others])
    return [mapped(one, columns)[0] for one in (first, *others)]


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

    Ranges and folds can't be subtracted and are left out. Levels that no row has any more go.
    """
    has_terms = whole.columns.survey is not None or part.columns.survey is not None
    if has_terms:
        whole, part = all_with_terms([whole, part])
    refuse_differences(whole, part)
    counts = {name: getattr(whole, name) - getattr(part, name) for name in COUNTS}
    for count, rest in counts.items():
        if rest < 0:
            raise _not_a_part(f"it has more {count.replace('_', ' ')}")
    found = _with_terms_left(whole, part) if has_terms else _plainly_left(whole, part)
    if found.moments.rows > counts["rows_read"] - counts["rows_dropped"] - counts["rows_held_out"]:
        raise _not_a_part("other rows of it were dropped or held out")
    return replace(found, folds=[], file=None, **counts)


def _plainly_left(whole: SavedMoments, part: SavedMoments) -> SavedMoments:
    part = part.select(whole.columns)
    names = [*whole.columns.features, *whole.columns.targets]
    nowhere = Indicators.nowhere(len(names))
    return replace(whole, moments=_difference(whole.moments, part.moments, names, nowhere))


def _with_terms_left(whole: SavedMoments, part: SavedMoments) -> SavedMoments:
    """Subtract the moments of the levels that are left, and fill with what is left."""
    try:
        columns = remaining(whole, part)
    except ValueError as error:
        raise _not_a_part(str(error)) from error
    if not whole.moments.rows - part.moments.rows:
        raise _none_left()
    (ours, _), (theirs, by) = mapped(whole, columns), mapped(part, columns)
    minimum, maximum = theirs.moments.minimum.copy(), theirs.moments.maximum.copy()
    minimum[by.unranged] = maximum[by.unranged] = np.nan  # only bounds of them are known
    names = [*columns.features, *columns.targets]
    part_moments = replace(theirs.moments, minimum=minimum, maximum=maximum)
    rest = _difference(ours.moments, part_moments, names, Indicators.of(columns))
    return mapped(replace(ours, moments=rest, folds=[]), refilled(columns))[0]


def _none_left() -> InputError:
    return InputError("no row would be left", code="too-few-rows", hint="leave out fewer rows")


def _difference(
    whole: Moments,
    part: Moments,
    names: list[str],
    indicators: Indicators,
) -> Moments:
    """Subtract a part; indicators that all or no rows have become exactly constant."""
    rows, weight = whole.rows - part.rows, whole.weight - part.weight
    if rows < 0 or (rows and weight <= 0):
        raise _not_a_part(
            f"it has {part.rows} rows of total weight {part.weight:g}, the whole has "
            f"{whole.rows} of {whole.weight:g}"
        )
    if not rows:
        raise _none_left()
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
    none, every = indicators.constant(left, whole)
    for constant, value in ((none, 0.0), (every, 1.0)):
        left.mean[constant], left.mean_rest[constant] = value, 0.0
        comoment[constant], comoment[:, constant] = 0.0, 0.0
    left = replace(left, rounding=_rounding(whole, part, left, names, none | every))
    if not is_semidefinite(left):
        raise _not_a_part("no table has the co-moments that would be left")
    return left


def _rounding(
    whole: Moments,
    part: Moments,
    left: Moments,
    names: list[str],
    constant: NDArray[np.bool_],
) -> float:
    """Compute the largest relative rounding of a variance after the subtraction.

    It is the whole's rounding relative to a variance that is smaller now, plus the rounding of the
    means, whose weight in the difference is W·w/(W − w).
    """
    own = SUMMED + max(whole.rounding, part.rounding)
    rounding = own * whole.squares * (whole.weight / left.weight)
    below = left.squares < -rounding
    if below.any():
        raise _not_a_part(f"{names[int(np.argmax(below))]!r} would have a negative variance")
    lost = np.flatnonzero((rounding > MOST * left.squares) & ~constant)
    if len(lost):
        raise InputError(
            f"{names[lost[0]]!r} varies too little in the rows that would be left: their variance, "
            "a difference of nearly equal numbers, would lose more digits than it keeps",
            code="lost-digits",
            hint="save the moments of the remaining rows instead, or subtract fewer rows at once",
        )
    varies = left.squares > 0
    return float((rounding[varies] / left.squares[varies]).max(initial=0.0))


def _not_a_part(why: str) -> InputError:
    return InputError(
        f"the rows to subtract are not among the whole's: {why}",
        code="no-part",
        hint="give the moments of all the rows first, then the moments of some of these rows",
    )
