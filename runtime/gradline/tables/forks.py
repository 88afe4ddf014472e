"""Polars after a fork: its threads stay behind in the parent, and the child would wait for ever."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

from gradline.errors import InputError

__all__ = ["check_polars"]

TASKS = Path("/proc/self/task")
THREADS = re.compile(r"polars-\d|tokio-rt|async-exec")  # as Polars names them

_worked = False  # whether Polars has worked in this process
_lost = False  # whether it had in a process that this one was forked from


def check_polars() -> None:
    """Note that Polars is about to work in this process, where it can.

    Raises:
        InputError: In the forked child of a process where it has worked already.
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
    """Return whether Polars has threads here that somebody else's call has started."""
    if "polars" not in sys.modules or not TASKS.is_dir():
        return "polars" in sys.modules  # beyond Linux nobody says what threads are called
    for task in TASKS.iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended
            if THREADS.match((task / "comm").read_text()):
                return True
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
