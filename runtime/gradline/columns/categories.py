"""Category values of any type, as the text of their level, and rows that hold them by name.

The integer 3, the float 3.0 and the texts "3" and "3.0" are all the level "3". A boolean is "true"
or "false". Text loses its surrounding blanks; empty text is missing, like None and NaN.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import Column
from gradline.columns.matrix import column_labels, match_names
from gradline.columns.plan import Plan
from gradline.columns.python_numbers import digits
from gradline.errors import InputError, nearest

#: A whole number with a fraction of zeros, as pandas writes integers in a column with gaps.
WHOLE = re.compile(r"^(-?(?:0|[1-9][0-9]*))\.0+$")
#: Values of the option unknown_category.
UNKNOWN = ("error", "zero")
#: Maps a category's text to its place; raises KeyError with the known texts for any other.
PlaceOf = Callable[[str], int]


class UnknownCategoryError(InputError):
    """A category that is not among the `known` ones of the training rows."""

    column: str
    text: str
    row: int  # the first that has it, from 0
    known: Sequence[str]


def is_missing(value: object) -> bool:
    """Check whether a value is None, NaN, or pandas' NA or NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def texts_of(values: object, name: str) -> list[str | None]:
    """Convert a column's values to text, None if missing."""
    if hasattr(values, "to_pylist"):  # pyarrow: NumPy's view of a dictionary array has no nulls
        values = values.to_pylist()
    # NumPy would turn the NaN in ["a", nan] into text.
    array = np.asarray(values, object if isinstance(values, list | tuple) else None)
    if array.ndim != 1:
        what = f"the column {name!r} has {array.ndim} dimensions, expected one value per row"
        hint = "give a list of values, one per row, even for a single row"
        raise InputError(what, code="wrong-shape", hint=hint)
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
    what = f"the column {name!r} holds {type(value).__name__}: {value!r}, expected categories"
    raise InputError(what, code="not-a-category", hint="give text, integers or booleans")


def places_of(
    texts: Sequence[str | None],
    name: str,
    place_of: PlaceOf,
    label: str = "the table",
    start: int = 0,
) -> NDArray[np.float64]:
    """Look up each text's place, NaN for None, shape (n,).

    `place_of` is called once for each distinct text, in the order of the rows, which begin at the
    row `start` of the table. Its KeyError becomes an UnknownCategoryError.
    """
    places: dict[str | None, float] = {}
    for text in dict.fromkeys(texts):
        try:
            places[text] = np.nan if text is None else place_of(text)
        except KeyError as error:
            row, known = start + texts.index(text), error.args[0]
            place = f"row {row + 1} of {label}"
            what = f"the column {name!r} has the unknown category {text!r} in {place}"
            hint = f"{nearest(str(text), known)} (--unknown-category zero makes every indicator 0)"
            unknown = UnknownCategoryError(what, code="unknown-category", hint=hint)
            unknown.column, unknown.text, unknown.row, unknown.known = name, str(text), row, known
            raise unknown from None
    return np.array([places[text] for text in texts], np.float64)


def place_finder(column: Column, unknown: str) -> PlaceOf:
    """Build the function that maps a category's text to its place in the column's levels.

    For an unknown text it raises KeyError with the levels ("error"), or gives -1 ("zero").
    """
    if unknown not in UNKNOWN:
        what = f"unknown_category = {unknown!r}, expected one of {', '.join(UNKNOWN)}"
        raise InputError(what, code="bad-option")
    places = {level: place for place, level in enumerate(column.levels)}

    def place_of(text: str) -> int:
        if text in places:
            return places[text]
        if unknown == "error":
            raise KeyError(column.levels)
        return -1

    return place_of


def has_columns(names: Sequence[str], columns: Sequence[Column], features: Sequence[str]) -> bool:
    """Check whether a table has the training table's columns rather than the graph's inputs."""
    given = set(names)
    return bool(columns) and (
        given.issuperset(column.name for column in columns) or not given.issuperset(features)
    )


def as_inputs(
    rows: object, columns: Sequence[Column], features: Sequence[str], unknown: str
) -> object:
    """Encode rows with the training table's columns as the graph's inputs, by name.

    Rows without names, or with the names of the graph's inputs, are returned unchanged.
    """
    labels = list(rows) if isinstance(rows, Mapping) else column_labels(rows)
    if labels is None or not has_columns(list(map(str, labels)), columns, features):
        return rows
    extra = "refuse" if isinstance(rows, Mapping) else "ignore"
    match_names(list(map(str, labels)), [column.name for column in columns], extra=extra)
    by_text = {str(label): label for label in labels}
    inputs: dict[str, object] = {}
    for column in columns:
        values = rows[by_text[column.name]]  # type: ignore[index]
        if column.kind == "category":
            texts = texts_of(values, column.name)
            places = places_of(texts, column.name, place_finder(column, unknown))
            block = Plan.of_columns([column]).compute(places[:, None])
            inputs |= zip(column.features, block.T, strict=True)
        else:
            inputs[column.name] = values if column.fill is None else _with_nan(values)
    return inputs


def _with_nan(values: Any) -> object:
    array = np.asarray(values)
    if array.dtype.kind != "O":
        return values
    return [np.nan if is_missing(value) else value for value in array.tolist()]
