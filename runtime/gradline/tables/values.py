"""Reading of a column of a table's block as `Plan.compute` takes it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import FIRST, LAST
from gradline.columns.carriers import Carried, Distinct, Times, distinct
from gradline.columns.kinds import Column
from gradline.columns.parsing import read_carried
from gradline.columns.python_numbers import LARGEST_INTEGER
from gradline.columns.times import in_zone, local_seconds, offset_name
from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.lazy_polars import pl

Array = NDArray[np.float64]
#: The usual form of ISO 8601, and its offset; others are read one by one.
ISO = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?$"
)
ISO_OFFSET = r"[0-9](Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])$"
FEW = 5_000  # different texts, which Python reads one by one
DIGIT = re.compile("[0-9]")
UNITS = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def series_values(
    column: Column,
    series: pl.Series,
    unknown: str = "missing",
    *,
    label: str = "the table",
    start: int = 0,
    dialect: Dialect | None = None,
) -> Array:
    """Read a column's values as `gradline.columns.parsing.values_of` does, shape (n,).

    Args:
        column: How to read them.
        series: Its n values, of any type.
        unknown: What an unknown level becomes: "missing" (NaN), "zero" (−1) or "error".
        label: The table's name in messages.
        start: The place of the first row in the table.
        dialect: How the text file is written; None for a typed column.

    Raises:
        InputError: Naming the column, and the row and the value that cannot be read.
    """
    series = series.alias("")  # an expression takes ^b$ for a pattern
    options: dict[str, Any] = {"unknown": unknown, "label": label, "start": start}
    if dialect is not None:
        options |= {"nulls": dialect.nulls, "decimal_comma": dialect.decimal_comma, "is_text": True}

    def read(carried: Carried) -> Array:
        return read_carried(column, carried, **options)

    plain = _read_by_polars(column, series, dialect)
    if plain is None:
        return read(_carry(column, series))
    tokens = {*column.null, *(dialect.nulls if dialect else ())}
    odd = series.is_not_null() & (plain.is_null() | _may_be(tokens, series))
    if not odd.any():
        return plain.to_numpy()
    return np.where(odd.to_numpy(), read(distinct_of(series.set(~odd, None))), plain.to_numpy())


def _read_by_polars(column: Column, texts: pl.Series, dialect: Dialect | None) -> pl.Series | None:
    """Let Polars read text, null for what needs a closer look; None if it can't read any."""
    if texts.dtype != pl.String or not (column.null or dialect):
        return None
    if column.kind == "number":
        comma = dialect is not None and dialect.decimal_comma
        return _numbers(_with_points(texts) if comma else texts, column.parse)
    if column.kind == "time" and column.format is None and texts.n_unique() > FEW:
        return _iso_times(texts, column.zone)
    return None


def _may_be(tokens: Collection[str], texts: pl.Series) -> pl.Series:
    """Find the texts that look like a number or a time, but mean a missing value."""
    odd = [token for token in tokens if DIGIT.search(token)]
    if not odd:
        return pl.Series(values=[False], dtype=pl.Boolean)
    return texts.str.strip_chars().is_in(odd).fill_null(False)


def _with_points(texts: pl.Series) -> pl.Series:
    """Do what `gradline.columns.texts.with_points` does."""
    return texts.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)


def _numbers(texts: pl.Series, parse: Mapping[str, Any]) -> pl.Series:
    """Let Polars read numbers, plain or with marks; null for what needs a closer look.

    So do infinite numbers, and integers that float64 may not hold.
    """
    numbers = texts.cast(pl.Float64, strict=False)
    if parse and numbers.null_count() > texts.null_count():
        numbers = numbers.zip_with(numbers.is_not_null(), _marked_numbers(texts, parse))
    return numbers.set(~(numbers.abs() < LARGEST_INTEGER).fill_null(False), None)


def _marked_numbers(texts: pl.Series, parse: Mapping[str, Any]) -> pl.Series:
    """Let Polars read numbers with a rule's marks in their usual places; null for others."""
    sign, mark = (re.escape(parse.get(key, "")) for key in ("currency", "thousands"))
    whole = rf"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+|[0-9]+" if mark else "[0-9]+"
    number = rf"(?:{whole})(?:\.[0-9]*)?" + "%?" * ("percent" in parse)
    if sign:
        number = rf"(?:{sign}{number}|{number}{sign}?)"
    usual = texts.str.contains(rf"^[+-]?{number}$")
    negative = texts.str.contains(rf"^\({number}\)$")
    if "brackets" in parse:
        usual |= negative
    found = texts.str.replace_all(rf"[%(){sign}{mark}]", "").cast(pl.Float64, strict=False)
    return found.zip_with(~negative, -found).set(~usual, None)


def _iso_times(texts: pl.Series, zone: str | None) -> pl.Series:
    """Let Polars read the usual times of ISO 8601; null for what needs a closer look."""
    seconds = _iso_seconds(texts)
    offsets = texts.str.extract(ISO_OFFSET, 1)
    seconds = seconds.set(offsets.is_null() if zone else offsets.is_not_null(), None)
    if zone:
        known = offsets.drop_nulls().unique()
        ahead = pl.Series(values=[in_zone(0, "UTC", offset_name(o)) for o in known], dtype=pl.Int64)
        instants = seconds - offsets.replace_strict(known, ahead, default=0)
        local = pl.Series(values=local_seconds(instants.fill_null(0).to_numpy(), zone))
        seconds = local.set(seconds.is_null(), None)
    seconds = seconds.set((seconds < FIRST) | (seconds > LAST), None)
    return seconds.cast(pl.Float64)


def iso_days(texts: pl.Series) -> pl.Series:
    """Read the day of times in the usual form of ISO 8601; null for other text."""
    days = texts.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    usual = texts.str.contains(ISO) & ~texts.str.starts_with("0000")
    return days.set(~usual, None)


def _iso_seconds(texts: pl.Series) -> pl.Series:
    """Read times in the usual form of ISO 8601, as seconds of the wall clock."""
    seconds = iso_days(texts).to_physical().cast(pl.Int64) * 86_400
    for start, unit in ((11, 3600), (14, 60), (17, 1)):
        seconds += texts.str.slice(start, 2).cast(pl.Int64, strict=False).fill_null(0) * unit
    return seconds


def _carry(column: Column, series: pl.Series) -> Carried:
    """Take a column's values out of Polars."""
    dtype = series.dtype
    if dtype == pl.Null:
        return Distinct([], np.full(len(series), -1))
    if dtype == pl.Date:
        return Times(_floats(series.to_physical()) * 86_400.0)
    if isinstance(dtype, pl.Datetime):
        seconds = series.to_physical() // UNITS[dtype.time_unit]
        return Times(_floats(seconds), zoned=dtype.time_zone is not None)
    if column.kind == "number" and dtype.is_numeric():
        if dtype.is_integer() and _has_large(series):
            return distinct_of(series)
        return _floats(series)
    if column.kind == "number" and dtype == pl.Boolean and not column.null:
        return _floats(series)
    if dtype.is_nested() or dtype in (pl.Binary, pl.Duration, pl.Time):
        expected = {"number": "numbers", "time": "times", "category": "categories"}[column.kind]
        what = f"the column {column.name!r} holds {dtype}, expected {expected}"
        code = {"number": "not-numeric", "time": "not-a-time", "category": "not-a-category"}
        hint = f"convert the column to {'text' if column.kind == 'category' else expected} first"
        raise InputError(what, code=code[column.kind], hint=hint)
    return distinct_of(series)


def _floats(series: pl.Series) -> Array:
    return series.cast(pl.Float64).to_numpy()


def _has_large(series: pl.Series) -> bool:
    least, most = series.min(), series.max()
    return most is not None and max(-int(least), int(most)) > LARGEST_INTEGER  # type: ignore[arg-type]


def distinct_of(series: pl.Series) -> Distinct:
    """List a column's different values, exactly, and the place of each row's."""
    if series.dtype == pl.Object:
        return distinct(series.to_list())
    values = series.drop_nulls().unique(maintain_order=True)
    if series.dtype == pl.String:  # an enumeration of them is the fastest to look up
        rows = series.cast(pl.Enum(values)).to_physical().cast(pl.Int64)
    else:
        places = pl.Series(values=np.arange(len(values)), dtype=pl.Int64)
        rows = series.replace_strict(values, places, default=-1, return_dtype=pl.Int64)
    return Distinct(values.to_list(), rows.fill_null(-1).to_numpy())
