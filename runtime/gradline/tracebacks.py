"""Show callers their own line: short tracebacks, and warnings at the line that called us."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

from gradline.errors import OURS, GradlineError, GradlineWarning, in_python

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
PACKAGES = {"gradline", *OURS}
#: Libraries between the caller and us: decorators, and pipelines that call an estimator.
BETWEEN = {"contextlib", "joblib", "numpy", "sklearn"}
_printing = ContextVar("printing", default=False)


def short_tracebacks(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a public function so that its GradlineErrors show two of our frames.

    Any other error is a bug, or the caller's own, and keeps its whole traceback.
    """

    @wraps(function)
    def call(*args: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        try:
            return function(*args, **keywords)
        except GradlineError as error:
            _shorten(error)
            raise

    return call


def _shorten(error: GradlineError) -> None:
    """Cut out the frames between the public function and the line that raised the error.

    Errors that led to it keep only the frames of libraries and of the caller.
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
        if _package(trace.tb_frame) not in PACKAGES:
            frames.append(trace)
        trace = trace.tb_next
    kept = None
    for entry in reversed(frames):
        kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept


def warn_caller(texts: Iterable[str], category: type[Warning] = GradlineWarning) -> None:
    """Issue warnings at the line that called us from outside, unless a command runs.

    Options in the texts are written as Python's arguments.
    """
    told = [] if _printing.get() else list(map(in_python, texts))
    if not told:
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_inside(frame):
        level, frame = level + 1, frame.f_back
    for text in told:
        warnings.warn(text, category, stacklevel=level)


@contextmanager
def printed_by_command() -> Iterator[None]:
    """Issue no warnings while a command runs, which prints them itself."""
    token = _printing.set(True)
    try:
        yield
    finally:
        _printing.reset(token)


def _is_inside(frame: FrameType) -> bool:
    """Check for a frame of ours, or of a library between us and the caller."""
    return _package(frame) in PACKAGES | BETWEEN


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]
