"""Two ways of measuring side by side: whole processes, and calls in this process.

What is compared takes turns, A B A B …, so that a busy spell of the machine falls on both.
"""

from __future__ import annotations

import os
import subprocess
import timeit
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

__all__ = ["Samples", "silent", "time_calls", "time_processes"]

Samples = dict[str, list[float]]  # seconds by name, one for each turn
SHORTEST_SAMPLE = 0.02  # seconds; the clock and the loop around a call vanish beside it
# Bytecode is cached, as pip does for the peers: what is timed is starting, not compiling.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def time_processes(
    commands: Mapping[str, tuple[Sequence[str], Callable[[str], None]]], turns: int
) -> Samples:
    """Return the wall time of whole processes, from start to exit, by name.

    Args:
        commands: By name, the arguments of a process, and a check of what it wrote to stdout.
        turns: How often each is run, after one run that warms the disk's cache.
    """
    samples: Samples = {name: [] for name in commands}
    for turn in range(turns + 1):
        for name, (arguments, check) in commands.items():
            started = perf_counter()
            done = subprocess.run(
                arguments, stdout=subprocess.PIPE, text=True, check=True, env=ENVIRONMENT
            )
            elapsed = perf_counter() - started
            check(done.stdout)
            if turn:
                samples[name].append(elapsed)
    return samples


def silent(stdout: str) -> None:
    """Check that a process wrote nothing."""
    assert not stdout


def time_calls(functions: Mapping[str, Callable[[], Any]], turns: int) -> Samples:
    """Return the time of one call by name, each a mean over a sample without garbage collection.

    Args:
        functions: By name; what they return was checked before.
        turns: How many samples of each are taken.
    """
    timers = {name: timeit.Timer(function) for name, function in functions.items()}
    counts = {name: _calls_in_a_sample(timer) for name, timer in timers.items()}
    samples: Samples = {name: [] for name in functions}
    for _ in range(turns):
        for name, timer in timers.items():
            samples[name].append(timer.timeit(counts[name]) / counts[name])
    return samples


def _calls_in_a_sample(timer: timeit.Timer) -> int:
    count = 1
    while timer.timeit(count) < SHORTEST_SAMPLE:  # which warms up, too
        count *= 2
    return count
