"""Polars, imported at its first use, and refused in a forked child.

Arrays and the light install don't need Polars. A forked child does not inherit Polars' threads, so
a call there would hang.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradline.errors import InputError, needs_extra

__all__ = ["check_polars", "pl"]

TASKS = Path("/proc/self/task")
THREADS = re.compile(r"polars-\d|tokio-rt|async-exec")  # as Polars names them

if TYPE_CHECKING:
    import polars as pl
else:

    class _Polars:
        def __getattr__(self, name: str) -> Any:
            try:
                import polars
            except ImportError:  # needs_extra takes microseconds, too long for every access
                with needs_extra():
                    raise
            return getattr(polars, name)

    pl = _Polars()

_worked = False  # whether Polars has run in this process
_lost = False  # whether it had run in the parent before the fork


def check_polars() -> None:
    """Record that Polars is about to run in this process; refuse if it would hang."""
    global _worked
    if _lost:
        what = "this process was forked from one in which Polars had read a table: Polars' threads "
        what += "are not in it, and reading one here would never end"
        hint = 'start processes with multiprocessing.get_context("spawn") or "forkserver", or '
        hint += "give arrays: fit(X, y)"
        raise InputError(what, code="forked", hint=hint)
    _worked = True


def _before_fork() -> None:
    global _worked
    _worked = _worked or _has_threads()


def _after_fork() -> None:
    global _lost
    _lost = _lost or _worked


def _has_threads() -> bool:
    """Check whether calls outside gradline have started Polars' threads here."""
    if "polars" not in sys.modules or not TASKS.is_dir():
        return "polars" in sys.modules  # only Linux tells the threads' names
    for task in TASKS.iterdir():
        with suppress(OSError):  # a thread that has ended
            if THREADS.match((task / "comm").read_text()):
                return True
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
