"""The types of what `fit` is given, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gradline.errors import InputError

__all__ = ["check_arguments"]


def check_arguments(table: Any, sample_weight: Any, separator: Any, **names: Any) -> None:
    """Check that names are text, and that weights come as the table does.

    Args:
        table: What `fit` learns from; a tuple is a pair (X, Y).
        sample_weight: A name, or for a pair an array.
        separator: One character, or None.
        **names: A name, several, or None, by the argument's own name.

    Raises:
        InputError: Naming the argument and what was expected.
    """
    for role, given in names.items():
        if not (given is None or isinstance(given, str) or _all_text(given)):
            raise _unexpected(
                role, given, "text, or a list of texts", "a column labelled 0 is called '0'"
            )
    if not (separator is None or isinstance(separator, str)):
        raise _unexpected("separator", separator, "one character", "such as ';'")
    if isinstance(table, tuple):
        if isinstance(sample_weight, str):
            expected, hint = "an array of shape (n,)", "a pair (X, Y) has no named columns"
            raise _unexpected("sample_weight", sample_weight, expected, hint)
    elif not (sample_weight is None or isinstance(sample_weight, str)):
        expected = "the name of a column of the table"
        hint = "put the weights into the table, or give arrays: fit((X, Y), sample_weight=w)"
        raise _unexpected("sample_weight", sample_weight, expected, hint)


def _all_text(names: object) -> bool:
    several = isinstance(names, Iterable) and not isinstance(names, Iterator | bytes)
    return several and all(isinstance(name, str) for name in names)  # type: ignore[attr-defined]


def _unexpected(role: str, given: object, expected: str, hint: str) -> InputError:
    shown = repr(given) if len(repr(given)) <= 60 else f"a {type(given).__name__}"
    return InputError(f"{role} = {shown}, expected {expected}", code="bad-option", hint=hint)
