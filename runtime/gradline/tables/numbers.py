"""Conversion of columns, of text too, to numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import WHOLE, PlaceOf, places_of, texts_of
from gradline.columns.python_numbers import LARGEST_INTEGER, is_large_integer, large_integer
from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.lazy_polars import pl
from gradline.tables.parts import Part


def numbers_of(
    part: Part,
    frame: pl.DataFrame,
    start: int,
    dialect: Dialect,
    place_of: Mapping[str, PlaceOf],
    not_numbers: Callable[[str], InputError],
) -> NDArray[Any]:
    """Convert the rows of a part from `start` on to a matrix, float32 or float64, NaN if missing.

    Raises:
        InputError: For a column of text or dates (built by `not_numbers` from its name), an integer
            that float64 can't hold, or an unknown category.
    """
    values = _at_once(part, frame, dialect, place_of)
    if values is not None:
        return values
    columns = []
    for name in frame.columns:
        column = frame.get_column(name).alias("")  # an expression takes ^b$ for a pattern
        if name in place_of:
            texts = _category_texts(column, dialect if part.text else None)
            if texts is None:
                raise not_numbers(name)
            places = places_of(texts.to_list(), name, place_of[name], part.label, start)
            columns.append(pl.Series(name, places))
            continue
        if part.text:
            numbers = parse(column, dialect)
            if numbers.null_count() > column.null_count():
                column = clean(column, dialect)
                numbers = parse(column, dialect)
                if numbers.null_count() > column.null_count():
                    raise not_numbers(name)
        else:
            if column_kind(column.dtype) != "number":
                raise not_numbers(name)
            numbers = column.cast(pl.Float64)
        if error := first_large(part, name, column, numbers, start):
            raise error
        columns.append(numbers.alias(name))
    return pl.DataFrame(columns).to_numpy(order="fortran")


def _at_once(
    part: Part, frame: pl.DataFrame, dialect: Dialect, place_of: Mapping[str, PlaceOf]
) -> NDArray[Any] | None:
    """Convert all columns together, which is fast; return None if one needs a closer look."""
    if any(name in place_of for name in frame.columns):
        return None
    if all(dtype in (pl.Float32, pl.Float64) for dtype in frame.dtypes):
        return frame.to_numpy(order="fortran")
    if part.text:
        numbers = frame.cast(pl.Float64, strict=False)
        if dialect.decimal_comma or numbers.null_count().rows() != frame.null_count().rows():
            return None
    elif all(column_kind(dtype) == "number" for dtype in frame.dtypes):
        numbers = frame.cast(pl.Float64)
    else:
        return None
    values = numbers.to_numpy(order="fortran")
    return None if (np.abs(values) >= LARGEST_INTEGER).any() else values


def column_kind(dtype: Any) -> str:
    """Classify a column type: "number", "date", "text" or "other"."""
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return "number"
    if dtype.is_temporal():
        return "date"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "other"


def first_large(
    part: Part, name: str, column: pl.Series, numbers: pl.Series, start: int
) -> InputError | None:
    """Build the error for a column's first integer that float64 can't hold, if there is one.

    `numbers` are the column's values in float64; `start` is the place of the first.
    """
    large = numbers.abs().fill_nan(None) >= LARGEST_INTEGER
    for row in large.arg_true().to_list():
        if is_large_integer(column[row]):
            return large_integer(name, column[row], f"row {start + row + 1} of {part.label}")
    return None


def clean(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Strip blanks; make text that means a missing value null."""
    text = text.str.strip_chars()
    return text.set(text.is_in(["", *dialect.nulls]), None)


def without_nulls(frame: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    """Make text that is one of the dialect's nulls null, as Polars' CSV reader does."""

    def read(column: pl.Series) -> pl.Series:
        if column.dtype != pl.String:
            return column
        text = column.alias("")  # an expression takes ^b$ for a pattern
        return text.set(text.is_in(dialect.nulls), None).alias(column.name)

    return pl.DataFrame([read(column) for column in frame.get_columns()])


def parse(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Parse text as float64; null if it is missing or not a number."""
    if dialect.decimal_comma:
        # With "_" for a thousands mark, text fails to parse rather than mean another number.
        text = text.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def guesses(frame: pl.DataFrame, dialect: Dialect) -> dict[str, str]:
    """Guess what columns of text hold, by name: "number", "date" or "text"."""
    numbers: set[str] = set()
    if not dialect.decimal_comma:  # all at once: one by one takes a millisecond each
        parsed = frame.cast(pl.Float64, strict=False).get_columns()
        pairs = zip(parsed, frame.get_columns(), strict=True)
        numbers = {text.name for number, text in pairs if number.null_count() == text.null_count()}
    return {
        text.name: "number" if text.name in numbers else _guess(text.alias(""), dialect)
        for text in frame.get_columns()
    }


def _guess(text: pl.Series, dialect: Dialect) -> str:
    text = clean(text, dialect)
    if parse(text, dialect).null_count() == text.null_count():
        return "number"
    dates = text.str.to_date(strict=False)
    return "date" if dates.null_count() == text.null_count() else "text"


def _category_texts(column: pl.Series, dialect: Dialect | None) -> pl.Series | None:
    """Convert a column's values to the texts of `gradline.columns.categories.texts_of`.

    A column of a text file has a dialect, a typed one has None. Return None if the values are
    neither text, numbers nor booleans.
    """
    if dialect is not None:
        return clean(column, dialect).str.replace(WHOLE.pattern, "${1}")
    dtype = column.dtype
    if dtype.is_float() or dtype.is_decimal():
        return pl.Series(texts_of(column.cast(pl.Float64).to_list(), column.name), dtype=pl.String)
    if not (
        dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null)
    ):
        return None
    texts = column.cast(pl.String).str.strip_chars().str.replace(WHOLE.pattern, "${1}")
    return texts.set(texts == "", None)
