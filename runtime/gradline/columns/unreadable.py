"""Errors for a value that its column cannot hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradline.columns.kinds import Column
from gradline.columns.python_numbers import brief, large_integer
from gradline.errors import InputError, nearest

EMPTY = "correct it, or leave it empty if it is missing"


class UnknownCategoryError(InputError):
    """A category that is not among the `known` ones of the training rows."""

    column: str
    text: str
    row: int  # the first that has it, from 0
    known: Sequence[str]


class Unreadable(Exception):  # noqa: N818 - caught here, never seen by a caller
    """A value that its column cannot hold: what was expected, and the next step."""

    def __init__(self, expected: str, code: str, hint: str = EMPTY) -> None:
        super().__init__(expected)
        self.expected, self.code, self.hint = expected, code, hint


def unreadable(column: Column, value: Any, fault: Unreadable, row: int, label: str) -> InputError:
    """Build the error for a value of a column, in a row of the table, counted from 0."""
    place = f"row {row + 1} of {label}"
    if fault.code == "unknown-category":
        return unknown_category(column.name, fault.expected, column.levels, row, label)
    if fault.code == "large-integer":
        return large_integer(column.name, value, place)
    shown = repr(value) if isinstance(value, str | bool) else brief(value)
    what = f"the column {column.name!r} holds {shown} in {place}, expected {fault.expected}"
    return InputError(what, code=fault.code, hint=fault.hint)


def unknown_category(
    name: str, text: str, known: Sequence[str], row: int, label: str
) -> UnknownCategoryError:
    """Build the error for a level that no training row had, first seen in `row`, from 0."""
    what = f"the column {name!r} has the unknown category {text!r} in row {row + 1} of {label}"
    hint = f"{nearest(text, known)} (--unknown-category zero makes every indicator 0)"
    error = UnknownCategoryError(what, code="unknown-category", hint=hint)
    error.column, error.text, error.row, error.known = name, text, row, known
    return error
