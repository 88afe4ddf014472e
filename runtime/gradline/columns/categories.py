"""Category values, of whatever type, as the text that names their level.

The integer 3, the float 3.0 and the texts "3" and "3.0" are all the level "3"; a boolean is "true"
or "false"; text is stripped of surrounding blanks, and an empty one is missing, as None and NaN
are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.encoding import Column
from gradline.columns.python_numbers import digits
from gradline.errors import InputError, nearest

__all__ = [
    "UNKNOWN",
    "WHOLE",
    "PlaceOf",
    "UnknownCategoryError",
    "is_missing",
    "place_finder",
    "places_of",
    "texts_of",
    "without_missing",
]

#: A whole number with a fraction of zeros, as it is written where a column has gaps.
WHOLE = re.compile(r"^(-?(?:0|[1-9][0-9]*))\.0+$")
#: What a category that no training row had may do at prediction.
UNKNOWN = ("error", "zero")
#: From a category's text to its place; KeyError, with the known texts, where it has none.
PlaceOf = Callable[[str], int]


class UnknownCategoryError(InputError):
    """A category that no training row had.

    Attributes:
        column: The column's name.
        text: The category.
        row: Its first row's place in the table, from 0.
        known: The categories that training rows had.
    """

    column: str
    text: str
    row: int
    known: Sequence[str]


def without_missing(values: Sequence[Any]) -> list[Any]:
    """Return values with None in place of NaN and of pandas' NA and NaT."""
    return [None if is_missing(value) else value for value in values]


def is_missing(value: object) -> bool:
    """Return whether a Python value is None, NaN, or pandas' NA or NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def texts_of(values: object, name: str) -> list[str | None]:
    """Return the text of each value of a column, None where it is missing.

    Raises:
        InputError: For values that are neither text, numbers nor booleans.
    """
    if hasattr(values, "to_pylist"):  # NumPy's view of pyarrow's dictionaries has no nulls
        values = values.to_pylist()
    # NumPy would turn the NaN in ["a", nan] into text.
    array = np.asarray(values, object if isinstance(values, list | tuple) else None)
    if array.ndim != 1:
        raise InputError(
            f"the column {name!r} has {array.ndim} dimensions, expected one value per row",
            code="wrong-shape",
            hint="give a list of values, one per row, even for a single row",
        )
    if array.dtype.kind in "iufb":  # few values, many rows
        distinct, rows = np.unique(array, return_inverse=True)
        texts = [_text(value, name) for value in distinct.tolist()]
        return [texts[row] for row in rows.tolist()]
    return [_text(value, name) for value in array.tolist()]


def _text(value: Any, name: str) -> str | None:
    if isinstance(value, str):
        return WHOLE.sub(r"\1", value.strip()) or None
    if is_missing(value):
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return digits(int(value))
    if isinstance(value, float | np.floating):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    raise InputError(
        f"the column {name!r} holds {type(value).__name__}: {value!r}, expected categories",
        code="not-a-category",
        hint="give text, integers or booleans",
    )


def places_of(
    texts: Sequence[str | None],
    name: str,
    place_of: PlaceOf,
    label: str = "the table",
    start: int = 0,
) -> NDArray[np.float64]:
    """Return each text's place as `place_of` has it, NaN for None, shape (n,).

    Args:
        texts: n values of a column.
        name: The column's.
        place_of: Asked once for each distinct text, in the order of the rows.
        label: What messages call the table.
        start: The first row's place in it.

    Raises:
        UnknownCategoryError: Where `place_of` raises KeyError, naming the first such row.
    """
    places = {}
    for text in dict.fromkeys(texts):
        try:
            places[text] = np.nan if text is None else place_of(text)
        except KeyError as error:
            row = start + texts.index(text)
            raise _unknown(name, str(text), row, label, known=error.args[0]) from None
    return np.array([places[text] for text in texts], np.float64)


def place_finder(column: Column, unknown: str) -> PlaceOf:
    """Return the function from a category's text to its place in the column's levels.

    Args:
        column: A category.
        unknown: "error" lets the function raise KeyError for another text, with the levels;
            "zero" gives -1, for which all indicators are 0.

    Raises:
        InputError: For another value of `unknown`.
    """
    if unknown not in UNKNOWN:
        raise InputError(
            f"unknown_category = {unknown!r}, expected one of {', '.join(UNKNOWN)}",
            code="bad-option",
        )
    places = {level: place for place, level in enumerate(column.levels)}

    def place_of(text: str) -> int:
        if text in places:
            return places[text]
        if unknown == "error":
            raise KeyError(column.levels)
        return -1

    return place_of


def _unknown(
    name: str, text: str, row: int, label: str, known: Sequence[str]
) -> UnknownCategoryError:
    """Return the error for a category that no training row had."""
    error = UnknownCategoryError(
        f"the column {name!r} has the unknown category {text!r} in row {row + 1} of {label}",
        code="unknown-category",
        hint=f"{nearest(text, known)} (--unknown-category zero makes every indicator 0)",
    )
    error.column, error.text, error.row, error.known = name, text, row, known
    return error
