"""Conversion of a part's frames to matrices of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import PlaceOf, places_of
from gradline.columns.python_numbers import LARGEST_INTEGER, is_large_integer, large_integer
from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.parts import Part
from gradline.tables.text import category_texts, clean, parse

if TYPE_CHECKING:
    import polars as pl

__all__ = ["column_kind", "first_large", "numbers_of"]


def numbers_of(
    part: Part,
    frame: pl.DataFrame,
    start: int,
    dialect: Dialect,
    place_of: Mapping[str, PlaceOf],
    not_numbers: Callable[[str], InputError],
) -> NDArray[Any]:
    """Convert a frame to a matrix, float32 or float64, NaN for a missing value.

    Args:
        part: The frame's part.
        frame: Consecutive rows.
        start: The first row's place in the part.
        dialect: The dialect of text files.
        place_of: For each category column, the function from its text to its number.
        not_numbers: Builds the error for a column of text or dates from its name.

    Raises:
        InputError: For a column of text or dates, an integer that float64 can't hold, or an
            unknown category.
    """
    import polars as pl

    values = _at_once(part, frame, dialect, place_of)
    if values is not None:
        return values
    columns = []
    for name in frame.columns:
        column = frame.get_column(name).alias("")  # an expression takes ^b$ for a pattern
        if name in place_of:
            texts = category_texts(column, dialect if part.text else None)
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
    import polars as pl

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
    import polars as pl

    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return "number"
    if dtype.is_temporal():
        return "date"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "other"


def first_large(
    part: Part, name: str, column: pl.Series, numbers: pl.Series, start: int
) -> InputError | None:
    """Build the error for the column's first integer that float64 can't hold, if there is one.

    Args:
        part: The column's part.
        name: The column's name.
        column: Its values.
        numbers: The same values in float64.
        start: The place of the first value.
    """
    large = numbers.abs().fill_nan(None) >= LARGEST_INTEGER
    for row in large.arg_true().to_list():
        if is_large_integer(column[row]):
            return large_integer(name, column[row], f"row {start + row + 1} of {part.label}")
    return None
