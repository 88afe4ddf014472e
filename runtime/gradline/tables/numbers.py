"""Convert columns of numbers, or of their text, to float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import texts_of
from gradline.columns.kinds import Column
from gradline.columns.python_numbers import LARGEST_INTEGER, is_large_integer, large_integer
from gradline.columns.texts import WHOLE
from gradline.errors import InputError
from gradline.tables.files import Dialect, is_number
from gradline.tables.lazy_polars import pl
from gradline.tables.parts import OddColumnsError, Part


def column_kind(dtype: Any) -> str:
    """Classify a column type: "number", "date", "text" or "other"."""
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return "number"
    if dtype.is_temporal():
        return "date"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "other"


def clean(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Strip blanks; make text that means a missing value null."""
    text = text.str.strip_chars()
    return text.set(text.is_in(["", *dialect.nulls]), None)


def parse_numbers(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Parse text as float64; null if it is missing or not a number."""
    if dialect.decimal_comma:
        # Thousands marks become "_", so such text fails to parse instead of giving a wrong number.
        text = text.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def first_large(
    part: Part, name: str, column: pl.Series, numbers: pl.Series, start: int
) -> InputError | None:
    """Build the error for a column's first integer that float64 can't hold, if there is one.

    `numbers` are the column's values in float64; `start` is the place of the first.
    """
    if column.dtype.is_float():
        return None
    large = numbers.abs().fill_nan(None) >= LARGEST_INTEGER
    for row in large.arg_true().to_list():
        if is_large_integer(column[row]):
            return large_integer(name, column[row], f"row {start + row + 1} of {part.label}")
    return None


def plain_numbers(
    part: Part, name: str, column: pl.Series, start: int, dialect: Dialect
) -> pl.Series | None:
    """Convert numbers, or their text, to float64; None if a value is no number.

    Raises:
        InputError: For an integer that float64 can't hold. `start` is the place of the first row.
    """
    if part.text:
        numbers = parse_numbers(column, dialect)
        if numbers.null_count() > column.null_count():
            column = clean(column, dialect)
            numbers = parse_numbers(column, dialect)
    elif column_kind(column.dtype) != "number":
        return None
    else:
        numbers = column.cast(pl.Float64)
    if numbers.null_count() > column.null_count():
        return None
    if error := first_large(part, name, column, numbers, start):
        raise error
    return numbers


def check_integers(part: Part, columns: Sequence[str], values: NDArray[Any]) -> None:
    """Raise an OddColumnsError for parsed numbers that may be integers too large for float64.

    Only their text tells. `values` are of shape (n, columns).
    """
    odd = {columns[j] for j in _large_columns(values)}.intersection(part.numbers)
    if odd:
        raise OddColumnsError(sorted(odd))


def needs_text(column: Column) -> bool:
    """Check whether a column of a text file has to be read as text: it may not be plain numbers."""
    return column.kind != "number" or bool(column.parse) or any(map(is_number, column.null))


def is_plain(column: Column, values: pl.Series) -> bool:
    """Check whether a column's values are read as plain numbers: in format 1, or by their type."""
    return column.kind == "number" and (not column.null or values.dtype.is_numeric())


def guesses(frame: pl.DataFrame, dialect: Dialect) -> dict[str, str]:
    """Guess what columns of text hold, by name: "number", "date" or "text".

    A column of nulls alone is left out.
    """
    frame = frame.select(column for column in frame if column.null_count() < len(frame))
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
    if parse_numbers(text, dialect).null_count() == text.null_count():
        return "number"
    dates = text.str.to_date(strict=False)
    return "date" if dates.null_count() == text.null_count() else "text"


def category_texts(column: pl.Series, dialect: Dialect | None) -> pl.Series | None:
    """Convert a column's values to the texts of `texts_of`; None if they can't be categories.

    A column of a text file has a dialect, a typed one has None.
    """
    if dialect is not None:
        return clean(column, dialect).str.replace(WHOLE.pattern, "${1}")
    dtype = column.dtype
    if dtype.is_float() or dtype.is_decimal():
        return pl.Series(texts_of(column.cast(pl.Float64).to_list(), column.name), dtype=pl.String)
    if column_kind(dtype) not in ("number", "text"):
        return None
    texts = column.cast(pl.String).str.strip_chars().str.replace(WHOLE.pattern, "${1}")
    return texts.set(texts == "", None)


def numbers_at_once(frame: pl.DataFrame, dialect: Dialect | None) -> NDArray[Any] | None:
    """Convert columns to a matrix; None if one is no plain numbers, or has large integers.

    Columns of a text file have a dialect, typed ones have None.
    """
    if all(dtype in (pl.Float32, pl.Float64) for dtype in frame.dtypes):
        return frame.to_numpy(order="fortran")
    if dialect is not None:
        numbers = frame.cast(pl.Float64, strict=False)
        missing = frame.null_count().rows()
        if dialect.decimal_comma or numbers.null_count().rows() != missing:
            return None
    elif all(column_kind(dtype) == "number" for dtype in frame.dtypes):
        numbers = frame.cast(pl.Float64)
    else:
        return None
    values = numbers.to_numpy(order="fortran")
    return None if _large_columns(values) else values


def _large_columns(values: NDArray[Any]) -> list[int]:
    """List the columns with values of 2^53 and more, by their places.

    The minimum and the maximum need no arrays of their own. They decide unless there is a NaN.
    """
    if not values.size or (values.min() > -LARGEST_INTEGER and values.max() < LARGEST_INTEGER):
        return []
    found: list[int] = np.flatnonzero((np.abs(values) >= LARGEST_INTEGER).any(axis=0)).tolist()
    return found
