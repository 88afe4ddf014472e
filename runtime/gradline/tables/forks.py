"""Fork check for Polars: its threads stay in the parent, so a forked child would hang."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

from gradline.errors import InputError

TASKS = Path("/proc/self/task")
THREADS = re.compile(r"polars-\d|tokio-rt|async-exec")  # as Polars names them

_worked = False  # whether Polars has run in this process
_lost = False  # whether it had run in the parent before the fork


def check_polars() -> None:
    """Record that Polars is about to run in this process; refuse if it would hang.

    Raises:
        InputError: In a forked child whose parent had already run Polars.
    """
    global _worked
    if _lost:
        raise InputError(
            "this process was forked from one in which Polars had read a table: Polars' threads "
            "are not in it, and reading one here would never end",
            code="forked",
            hint='start processes with multiprocessing.get_context("spawn") or "forkserver", or '
            "give arrays: fit((X, Y))",
        )
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
        with contextlib.suppress(OSError):  # a thread that has ended
            if THREADS.match((task / "comm").read_text()):
                return True
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
