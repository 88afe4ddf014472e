"""Reading of a column's values, of any type and carrier, as `Plan.compute` takes them.

Training, prediction, serving and checks read values here. Text is read once for each distinct
value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import FIRST, LAST
from gradline.columns.carriers import Carried, Distinct, Times, carry, distinct_of
from gradline.columns.kinds import Column
from gradline.columns.levels import level_of, level_of_format_1, place_finder
from gradline.columns.matrix import is_missing
from gradline.columns.python_numbers import (
    LARGEST_INTEGER,
    as_float,
    is_large_integer,
    is_number,
    large_integer,
)
from gradline.columns.texts import clean, read_level, read_number, with_points
from gradline.columns.times import (
    date_seconds,
    in_zone,
    iso_text,
    local_seconds,
    read_time,
    seconds_of,
)
from gradline.columns.unreadable import UnknownCategoryError, Unreadable, unreadable
from gradline.errors import InputError

__all__ = [
    "UnknownCategoryError",
    "clean",
    "read_carried",
    "read_level",
    "read_number",
    "read_time",
    "values_of",
]

Array = NDArray[np.float64]
Reader = Callable[[Any], float | None]


def values_of(
    column: Column,
    values: Any,
    unknown: str = "missing",
    *,
    label: str = "the table",
    start: int = 0,
) -> Array:
    """Read a column's values of any carrier as `Plan.compute` takes them, shape (n,).

    A number is itself, a time is in seconds, a category is the place of its level. NaN is a missing
    value without a level of its own, or an unknown level.

    Args:
        column: How to read them.
        values: A list, NumPy array, tensor, or a column of pandas, pyarrow or Polars, of n values.
        unknown: What an unknown level becomes: "missing" (NaN), "zero" (−1) or "error".
        label: The table's name in messages.
        start: The place of the first row in the table.

    Raises:
        InputError: Naming the column, and the row and the value that cannot be read.
        UnknownCategoryError: For an unknown level, if `unknown` is "error".
    """
    return read_carried(column, carry(values, column.name), unknown, label=label, start=start)


def read_carried(
    column: Column,
    carried: Carried,
    unknown: str,
    *,
    label: str,
    start: int,
    nulls: Collection[str] = (),
    decimal_comma: bool = False,
    is_text: bool = False,
) -> Array:
    """Read a column's values, out of their carrier.

    `nulls` are further texts for missing values. Format 1 reads numbers of text only from a text
    file (`is_text`).
    """
    if isinstance(carried, Times):
        if column.kind == "time":
            return _wall_clock(column, carried, label, start)
        carried = _as_texts(carried)
    if not isinstance(carried, Distinct):
        if column.kind == "number" and (carried.dtype.kind != "b" or not column.null):
            return _numbers(column, carried, label, start)
        carried = distinct_of(carried)
    tokens = frozenset({"", *column.null, *nulls})
    if column.kind == "category":
        read = _category_reader(column, unknown, tokens)
    else:
        read = _reader(column, tokens, decimal_comma, is_text or bool(column.null))
    return _spread(column, carried, read, label, start)


def _spread(column: Column, found: Distinct, read: Reader, label: str, start: int) -> Array:
    """Read each value once, and spread the results over the rows."""
    missing = float(column.missing_place) if column.missing else np.nan
    results = np.empty(len(found.values) + 1)
    results[-1] = missing
    faults: list[tuple[int, Any, Unreadable]] = []
    for place, value in enumerate(found.values):
        try:
            result = read(value)
            results[place] = missing if result is None else result
        except Unreadable as fault:
            if (row := found.first_row(place)) is not None:
                faults.append((row, value, fault))
    if faults:
        row, value, first = min(faults, key=lambda found: found[0])
        raise unreadable(column, value, first, start + row, label)
    spread: Array = results[found.rows]
    return spread


# Numbers


def _numbers(column: Column, numbers: NDArray[Any], label: str, start: int) -> Array:
    """Convert an array of numbers to float64; refuse integers that it can't hold."""
    if numbers.dtype.kind in "iu" and numbers.dtype.itemsize == 8 and column.null:
        large = (numbers > LARGEST_INTEGER) | (numbers < -LARGEST_INTEGER)
        if large.any():
            row = int(np.argmax(large))
            place = f"row {start + row + 1} of {label}"
            raise large_integer(column.name, int(numbers[row]), place)
    return numbers.astype(np.float64)


def _plain(value: Any, tokens: Collection[str], composed: bool) -> Any:
    """Strip text, and make it NFC in format 2 (`composed`); make a missing value None."""
    if isinstance(value, str):
        text = clean(value) if composed else value.strip()
        return None if text in tokens else text
    if is_missing(value):
        return None
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        return value.item()
    return value


def _category_reader(column: Column, unknown: str, tokens: Collection[str]) -> Reader:
    """Build the function that reads one value of a category; None is a missing value."""
    place_of = place_finder(column, unknown)
    level = level_of if column.null else level_of_format_1
    # pandas turns nullable booleans into 0 and 1 where a model of another library is trained.
    is_binary = set(column.levels) <= {"0", "1"}

    def read(value: Any) -> float | None:
        known = _plain(value, tokens, bool(column.null))
        if known is None:
            return None
        if is_binary and isinstance(known, bool):
            known = int(known)
        text = level(known, column.is_boolean)
        try:
            return place_of(text)
        except KeyError:
            raise Unreadable(text, "unknown-category") from None

    return read


def _reader(
    column: Column, tokens: Collection[str], decimal_comma: bool, takes_text: bool
) -> Reader:
    """Build the function that reads one number or time; None is a missing value."""

    def read(value: Any) -> float | None:
        known = _plain(value, tokens, bool(column.null))
        if known is None:
            return None
        if column.kind == "time":
            return _time(column, known)
        if isinstance(known, str):
            if not takes_text:
                hint = "convert the column to numbers first"
                raise Unreadable("a number", "not-numeric", hint)
            known = with_points(known) if decimal_comma else known
        return _number(column, known)

    return read


def _number(column: Column, value: Any) -> float:
    """Read a number, of text too."""
    expected = "a number"
    if isinstance(value, str):
        number = read_number(value, column.parse)
        if number is None:
            raise Unreadable(expected, "not-numeric")
        if abs(number) >= LARGEST_INTEGER and is_large_integer(_without_marks(value)):
            raise Unreadable(expected, "large-integer")
        return number
    if isinstance(value, bool) and column.null:
        raise Unreadable(expected, "not-numeric", "give 1 for true and 0 for false")
    if not is_number(value) or isinstance(value, np.timedelta64):
        raise Unreadable(expected, "not-numeric", "convert the column to numbers first")
    if is_large_integer(value) and column.null:
        raise Unreadable(expected, "large-integer")
    try:
        return as_float(value)
    except OverflowError:
        raise Unreadable("a number within the range of float64", "out-of-range") from None


def _without_marks(text: str) -> str:
    return "".join(
        letter for letter in text if letter in "+-.eE" or (letter.isascii() and letter.isdigit())
    )


# Times


def _wall_clock(column: Column, times: Times, label: str, start: int) -> Array:
    """Convert typed times to the seconds of the column's wall clock."""
    seconds = times.seconds
    known = ~np.isnan(seconds)
    if times.zoned != (column.zone is not None) and known.any():
        row = int(np.argmax(known))
        raise unreadable(
            column, iso_text(seconds[row], times.zoned), _zones(column), start + row, label
        )
    if column.zone is not None:
        seconds = seconds.copy()
        seconds[known] = local_seconds(seconds[known].astype(np.int64), column.zone)
    outside = (seconds < FIRST) | (seconds > LAST)
    if outside.any():
        row = int(np.argmax(outside))
        what = f"the column {column.name!r} has a time outside the years 1 to 9999"
        what += f" in row {start + row + 1} of {label}"
        raise InputError(what, code="out-of-range", hint="correct it, or leave it empty")
    return seconds


def _zones(column: Column) -> Unreadable:
    if column.zone is None:
        hint = "give the clock's time without an offset, as the training rows have it"
        return Unreadable("a time without a zone", "not-a-time", hint)
    hint = "give times with their offset, such as 2024-03-09T14:05+02:00"
    return Unreadable(f"a time with a zone, as in training ({column.zone})", "not-a-time", hint)


def _time(column: Column, value: Any) -> float:
    """Read a time, of text too, as seconds of the column's wall clock."""
    if isinstance(value, str):
        read = read_time(value, column.format)
        if read is None:
            written = f"written as {column.format}" if column.format else "such as 2024-03-09"
            raise Unreadable(f"a time {written}", "not-a-time")
        seconds, offset = read
    elif isinstance(value, np.datetime64):
        seconds, offset = int(seconds_of(np.array([value]))[0]), None
    elif isinstance(value, date):
        seconds, offset = date_seconds(value)
    else:
        hint = "give dates, datetimes or text such as 2024-03-09"
        raise Unreadable("a time", "not-a-time", hint)
    if (offset is None) != (column.zone is None):
        raise _zones(column)
    if offset is not None and column.zone is not None:
        seconds = in_zone(seconds, offset, column.zone)
    if not FIRST <= seconds <= LAST:
        raise Unreadable("a time in the years 1 to 9999", "out-of-range")
    return float(seconds)


def _as_texts(times: Times) -> Distinct:
    """Write typed times as the levels of a category."""
    found = distinct_of(times.seconds)
    texts = [None if is_missing(value) else iso_text(value, times.zoned) for value in found.values]
    return Distinct(texts, found.rows)
