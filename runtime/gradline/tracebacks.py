"""Keep tracebacks short: an error of ours shows the call and the line that raised it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import ParamSpec, TypeVar

from gradline.errors import OURS, GradlineError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
PACKAGES = {"gradline", *OURS}


def short_tracebacks(door: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a public function: its GradlineErrors show two of our frames.

    Any other error is a bug, or the caller's own, and keeps its whole traceback.
    """

    @wraps(door)
    def call(*args: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        try:
            return door(*args, **keywords)
        except GradlineError as error:
            _shorten(error)
            raise

    return call


def _shorten(error: GradlineError) -> None:
    """Cut out the frames between the public function and the line that raised the error.

    Errors that led to it lose our frames, and keep those of libraries and of the caller.
    """
    first = last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if first is not None and last is not first:
        first.tb_next = last
    earlier = error.__cause__ or error.__context__
    while earlier is not None:
        earlier.__traceback__ = _of_others(earlier.__traceback__)
        earlier = earlier.__cause__ or earlier.__context__


def _of_others(trace: TracebackType | None) -> TracebackType | None:
    frames = []
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if package not in PACKAGES:
            frames.append(trace)
        trace = trace.tb_next
    kept = None
    for entry in reversed(frames):
        kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept
