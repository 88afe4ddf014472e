"""A part's frames as matrices of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
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

__all__ = ["NotNumbersError", "first_large", "kind_of", "numbers_of"]


class NotNumbersError(Exception):
    """A column holds something else.

    Attributes:
        column: Its name.
    """

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


def numbers_of(
    part: Part,
    frame: pl.DataFrame,
    start: int,
    dialect: Dialect,
    place_of: Mapping[str, PlaceOf] = MappingProxyType({}),
) -> NDArray[Any]:
    """Return a frame as a matrix, in float32 or float64, NaN where a value is missing.

    Args:
        part: What the frame is of.
        frame: Consecutive rows.
        start: The place of the first one.
        dialect: Of a text file.
        place_of: For each category column, what turns its text into its number.

    Raises:
        NotNumbersError: For text or dates in a column.
        InputError: For an integer that float64 can't hold, or a value that is no category.
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
                raise NotNumbersError(name)
            places = places_of(texts.to_list(), name, place_of[name], part.label, start)
            columns.append(pl.Series(name, places))
            continue
        if part.text:
            numbers = parse(column, dialect)
            if numbers.null_count() > column.null_count():
                column = clean(column, dialect)
                numbers = parse(column, dialect)
                if numbers.null_count() > column.null_count():
                    raise NotNumbersError(name)
        else:
            if kind_of(column.dtype) != "number":
                raise NotNumbersError(name)
            numbers = column.cast(pl.Float64)
        if error := first_large(part, name, column, numbers, start):
            raise error
        columns.append(numbers.alias(name))
    return pl.DataFrame(columns).to_numpy(order="fortran")


def _at_once(
    part: Part, frame: pl.DataFrame, dialect: Dialect, place_of: Mapping[str, PlaceOf]
) -> NDArray[Any] | None:
    """Return the columns together, which is quick, or None where one needs a closer look."""
    import polars as pl

    if any(name in place_of for name in frame.columns):
        return None
    if all(kind in (pl.Float32, pl.Float64) for kind in frame.dtypes):
        return frame.to_numpy(order="fortran")
    if part.text:
        numbers = frame.cast(pl.Float64, strict=False)
        if dialect.decimal_comma or numbers.null_count().rows() != (frame.null_count().rows()):
            return None
    elif all(kind_of(kind) == "number" for kind in frame.dtypes):
        numbers = frame.cast(pl.Float64)
    else:
        return None
    values = numbers.to_numpy(order="fortran")
    return None if (np.abs(values) >= LARGEST_INTEGER).any() else values


def kind_of(dtype: Any) -> str:
    """Return what a column of this type holds: "number", "date", "text" or "other"."""
    import polars as pl

    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return "number"
    if dtype.is_temporal():
        return "date"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "other"


def first_large(
    part: Part, name: str, column: pl.Series, numbers: pl.Series, start: int
) -> InputError | None:
    """Build the error for the column's first integer that float64 can't hold; None if none.

    Args:
        part: What the column belongs to.
        name: The column's name.
        column: Its original values.
        numbers: The same values in float64.
        start: The place of the first value.
    """
    large = numbers.abs().fill_nan(None) >= LARGEST_INTEGER
    for row in large.arg_true():
        value = column[int(row)]
        if is_large_integer(value):
            place = f"row {start + int(row) + 1} of {part.label}"
            return large_integer(name, value, place)
    return None
