"""Reading of a column of a table's block as `Plan.compute` takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.carriers import Carried, Distinct, Times
from gradline.columns.kinds import Column
from gradline.columns.parsing import read_carried, read_number
from gradline.columns.python_numbers import LARGEST_INTEGER
from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.lazy_polars import pl

Array = NDArray[np.float64]
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
    nulls = dialect.nulls if dialect else ()
    options: dict[str, Any] = {"label": label, "start": start, "nulls": nulls}
    options |= {"is_text": dialect is not None}
    if dialect is not None and dialect.decimal_comma and column.kind == "number":
        series = series.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)
    if column.kind == "number" and series.dtype == pl.String and (column.null or dialect):
        numbers, odd = _plain_numbers(series, {*column.null, *nulls})
        if not odd.any():
            return numbers
        rest = read_carried(column, distinct_of(series.set(~odd, None)), unknown, **options)
        return np.where(odd.to_numpy(), rest, numbers)
    return read_carried(column, _carry(column, series), unknown, **options)


def _plain_numbers(text: pl.Series, nulls: set[str]) -> tuple[Array, pl.Series]:
    """Let Polars read plain numbers; return them, and which rows need a closer look."""
    numbers = text.cast(pl.Float64, strict=False)
    # Also text that is infinite or not a number, and integers that float64 may not hold.
    odd = text.is_not_null() & ~(numbers.abs() < LARGEST_INTEGER).fill_null(False)
    if tokens := [token for token in nulls if read_number(token, {}) is not None]:
        odd |= text.str.strip_chars().is_in(tokens).fill_null(False)
    return numbers.to_numpy(), odd


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
        from gradline.columns.carriers import distinct

        return distinct(series.to_list())
    values = series.drop_nulls().unique(maintain_order=True)
    places = pl.Series(values=np.arange(len(values)), dtype=pl.Int64)
    rows = series.replace_strict(values, places, default=-1, return_dtype=pl.Int64)
    return Distinct(values.to_list(), rows.fill_null(-1).to_numpy())
