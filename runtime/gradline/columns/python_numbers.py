"""Python's own numbers: integers of any length, decimals and fractions, as float64 or as text.

Python converts at most 4,300 digits between int and text; a decimal converts any length.
"""

from __future__ import annotations

import math
import numbers
from decimal import Decimal
from typing import SupportsFloat

from gradline.errors import InputError, in_quotes

LARGEST_INTEGER = 2**53  # the last one up to which float64 holds every integer
SHOWN_DIGITS = 24


def is_number(value: object) -> bool:
    """Check whether a value is a number of any type, but not text."""
    return hasattr(value, "__float__") and not isinstance(value, str | bytes)


def as_float(value: SupportsFloat) -> float:
    """Convert a number to float64; raise OverflowError for a finite number beyond its range."""
    number = float(value)  # raises OverflowError for a large integer or fraction
    if math.isinf(number) and value != number:
        raise OverflowError(f"{type(value).__name__} beyond float64")
    return number


def digits(value: int) -> str:
    """Write an integer in decimal digits, however many there are."""
    return str(Decimal(value))


def is_large_integer(value: object) -> bool:
    """Check whether a cell is an integer beyond 2^53, or its text."""
    if isinstance(value, str):
        text = value.strip().lstrip("+-").lstrip("0")
        if not (text.isascii() and text.isdigit()):
            return False
        return len(text) > len(str(LARGEST_INTEGER)) or int(text) > LARGEST_INTEGER
    return isinstance(value, numbers.Integral) and abs(int(value)) > LARGEST_INTEGER


def large_integer(name: str, value: object, place: str) -> InputError:
    """Build the error for an integer that float64 cannot hold, at a place like "row 3 of t.csv"."""
    found = f"the column {name!r} holds the integer {brief(value)} in {place}"
    hint = f"--exclude {in_quotes(name)}, or divide it first (an identifier is not a feature)"
    what = f"{found}: float64 is exact only up to 2^53"
    return InputError(what, code="large-integer", hint=hint)


def hint_for_prediction(error: InputError) -> None:
    """Replace the hint about a large integer, if a model exists: its columns are decided."""
    if error.code == "large-integer":
        error.command_hint = "correct it, or write it with a point (1e16, 123.0) to have it rounded"
        error.__notes__ = [error.hint]


def brief(value: object) -> str:
    """Format a number for messages; shorten a long one to its first digits and their count."""
    try:
        text = digits(value) if isinstance(value, int) else str(value).strip()
    except ValueError:  # a fraction of two long integers
        return f"a {type(value).__name__}"
    if len(text) <= SHOWN_DIGITS:
        return text
    return f"{text[:SHOWN_DIGITS]}… ({sum(map(str.isdigit, text)):,} digits)"
