"""A traceback of our own errors shows the call and the line that raised it; a bug shows all."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from gradline.errors import InputError
from gradline.tracebacks import short_tracebacks


def frames_of(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def raises(kind: type[Exception], depth: int) -> None:
    if depth:
        raises(kind, depth - 1)
    raise kind("no")


@short_tracebacks
def door(kind: type[Exception], depth: int = 9) -> None:
    """Say no."""
    raises(kind, depth)


def test_the_call_and_the_line_that_raised_it_are_left() -> None:
    with pytest.raises(InputError) as caught:
        door(InputError)
    assert frames_of(caught.value)[1:] == ["call", "raises"]


def test_a_bug_keeps_every_frame() -> None:
    with pytest.raises(KeyError) as caught:
        door(KeyError)
    assert len(frames_of(caught.value)) > 10


def test_an_earlier_error_keeps_frames_that_are_not_ours() -> None:
    class Odd:
        def __float__(self) -> float:
            raise ValueError("odd")

    @short_tracebacks
    def convert(value: Any) -> float:
        try:
            return float(value)
        except ValueError as error:
            raise InputError("no number") from error

    with pytest.raises(InputError) as caught:
        convert(Odd())
    assert caught.value.__cause__ is not None
    assert frames_of(caught.value.__cause__) == ["convert", "__float__"]


def test_the_decorated_function_is_described_as_before() -> None:
    assert (door.__name__, door.__doc__) == ("door", "Say no.")
