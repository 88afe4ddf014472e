"""Measure side by side: whole processes, in time or memory, and calls in this process.

The candidates take turns, A B A B …, so a busy spell of the machine affects both.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import timeit
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

__all__ = [
    "ENVIRONMENT",
    "Commands",
    "Samples",
    "calls_in_a_sample",
    "peak_memory",
    "silent",
    "time_calls",
    "time_processes",
]

Commands = dict[str, tuple[Sequence[str], Callable[[str], None]]]  # arguments and check, by name
Samples = dict[str, list[float]]  # seconds or bytes by name, one for each turn
SHORTEST_SAMPLE = 0.02  # seconds; the clock and the loop around a call are negligible beside it
# Bytecode is cached, as pip does for the peers: the time is for starting, not compiling.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in a unit of ru_maxrss


def time_processes(commands: Commands, turns: int) -> Samples:
    """Measure the wall time of whole processes, from start to exit, by name.

    Args:
        commands: By name, the arguments of a process and a check of its stdout.
        turns: How often each runs, after one run that warms the disk's cache.
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


def peak_memory(commands: Commands, turns: int) -> Samples:
    """Measure the peak memory of whole processes, in bytes, by name.

    A small process starts each one, because on Linux a peak counts from the fork and includes the
    parent's memory.

    Args:
        commands: As in `time_processes`.
        turns: How often each is run.
    """
    samples: Samples = {name: [] for name in commands}
    for _ in range(turns):
        for name, (arguments, check) in commands.items():
            launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, *arguments]
            done = subprocess.run(
                launch, stdout=subprocess.PIPE, text=True, check=True, env=ENVIRONMENT
            )
            *lines, peak = done.stdout.splitlines(keepends=True)
            check("".join(lines))
            samples[name].append(float(peak) * PEAK_UNIT)
    return samples


def silent(stdout: str) -> None:
    """Check that a process wrote nothing."""
    assert not stdout


def time_calls(
    functions: Mapping[str, Callable[[], Any]], turns: int, budget: float = math.inf
) -> Samples:
    """Measure the time of one call by name, as means over samples without garbage collection.

    Args:
        functions: By name; the caller checks their answers.
        turns: How many samples of each are taken.
        budget: Seconds for all turns. If the first calls, which otherwise only warm up, show that
            the turns would take longer, there are fewer turns; if not even two fit, the first
            calls are the only sample.
    """
    timers = {name: timeit.Timer(function) for name, function in functions.items()}
    first = {name: [timer.timeit(1)] for name, timer in timers.items()}
    turns = int(min(turns, budget / sum(map(sum, first.values()))))
    if turns < 2:
        return first
    counts = {name: calls_in_a_sample(timer) for name, timer in timers.items()}
    samples: Samples = {name: [] for name in functions}
    for _ in range(turns):
        for name, timer in timers.items():
            samples[name].append(timer.timeit(counts[name]) / counts[name])
    return samples


def calls_in_a_sample(timer: timeit.Timer) -> int:
    """Find how many calls take a sample's time."""
    count = 1
    while timer.timeit(count) < SHORTEST_SAMPLE:
        count *= 2
    return count
