"""The levels of a category: how values of any type are written as one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from gradline.columns.kinds import Column
from gradline.columns.python_numbers import digits
from gradline.columns.texts import BOOLEAN_TEXTS, WHOLE, read_level
from gradline.columns.times import date_seconds, iso_text, seconds_of
from gradline.columns.unreadable import Unreadable
from gradline.errors import InputError

#: Values of the option unknown_category.
UNKNOWN = ("error", "missing", "zero")


def level_of(value: Any, is_boolean: bool = False) -> str:
    """Write a category's value, which is not missing, as its level; raise `Unreadable`."""
    if isinstance(value, str):
        return read_level(value, is_boolean)
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return digits(int(value)) if whole else repr(float(value))
    if isinstance(value, np.datetime64):
        return iso_text(float(seconds_of(np.array([value]))[0]), False)
    if isinstance(value, date):
        seconds, offset = date_seconds(value)
        return iso_text(seconds, offset is not None)
    return level_of_format_1(value)


def level_of_format_1(value: Any, is_boolean: bool = False) -> str:
    """Write a category's value, which is not missing, as its level in format 1."""
    if isinstance(value, str):
        return WHOLE.sub(r"\1", value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return digits(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    hint = "give text, integers or booleans"
    raise Unreadable("categories", "not-a-category", hint)


def place_finder(column: Column, unknown: str) -> Callable[[str], float]:
    """Build the function that maps a level to its place.

    For an unknown level it gives NaN ("missing") or −1 ("zero"), or raises KeyError with the known
    ones ("error").
    """
    if unknown not in UNKNOWN:
        what = f"unknown_category = {unknown!r}, expected one of {', '.join(UNKNOWN)}"
        raise InputError(what, code="bad-option")
    places = column.places
    spelt = {} if column.null else boolean_places(column)

    def place_of(text: str) -> float:
        place = places.get(text, spelt.get(text))
        if place is not None:
            return place
        if unknown == "error":
            raise KeyError(column.levels)
        return -1.0 if unknown == "zero" else np.nan

    return place_of


def boolean_places(column: Column) -> dict[str, int]:
    """Map each spelling of a boolean to its place, if exactly one level is a spelling of it."""
    found: dict[str, int] = {}
    for spelling, boolean in BOOLEAN_TEXTS.items():
        levels = [level for level in column.levels if BOOLEAN_TEXTS.get(level) == boolean]
        if len(levels) == 1:
            found[spelling] = column.places[levels[0]]
    return found
