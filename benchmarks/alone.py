"""Time candidates in turns, each alone in a process of its own.

The threads of some libraries spin for a while after a call. In one process they would slow the
next candidate. So each candidate waits in its own process, on the same arrays, and takes one sample
when its turn comes, A B C A B C ….
"""

from __future__ import annotations

import subprocess
import sys
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any, Literal

import numpy as np

from benchmarks.machine import LIMITS
from benchmarks.measure import ENVIRONMENT, Samples, calls_in_a_sample
from benchmarks.rivals import RIVALS, Job
from benchmarks.synthetic import Array, optimum, prediction_error

__all__ = ["FAST", "FIT", "time_alone"]

FIT, FAST = "fit", 'fit, arithmetic="fast"'
ROOT = Path(__file__).parents[1]
PAUSE = 0.05  # seconds; the threads of the last candidate fall asleep meanwhile


def time_alone(
    names: Sequence[str], X: Array, Y: Array, turns: int, budget: float
) -> tuple[Samples, dict[str, float]]:
    """Measure the seconds of a call, by candidate and turn, and the error of each answer.

    Args:
        names: The candidates: FIT, FAST, and keys of `RIVALS` and `LIMITS`.
        X: Features, shape (n, d).
        Y: Targets, shape (n, k).
        turns: How many samples of each are taken, after one call that warms up.
        budget: Seconds for the samples of a candidate. Once they are used up, it takes no more
            turns, and the others go on.

    Returns:
        The samples, and the errors of the first answers as `prediction_error` measures them.
    """
    samples: Samples = {name: [] for name in names}
    spent = dict.fromkeys(names, 0.0)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        _save(Path(folder), X, Y)
        workers = {name: stack.enter_context(_worker(name, folder)) for name in names}
        for worker in workers.values():
            _answer(worker)  # once its library is imported
        errors = {name: _ask(worker) for name, worker in workers.items()}
        for _ in range(turns):
            for name, worker in workers.items():
                if spent[name] < budget:
                    sleep(PAUSE)
                    started = perf_counter()
                    samples[name].append(_ask(worker))
                    spent[name] += perf_counter() - started
    return samples, errors


def _save(folder: Path, X: Array, Y: Array) -> None:
    W, b = optimum(X, Y)
    for name, array in {"X": X, "Y": Y, "W": W, "b": b}.items():
        np.save(folder / f"{name}.npy", array)


@contextmanager
def _worker(name: str, folder: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.alone", name, folder]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ask(worker: subprocess.Popen[str]) -> float:
    assert worker.stdin
    worker.stdin.write("\n")
    worker.stdin.flush()
    return _answer(worker)


def _answer(worker: subprocess.Popen[str]) -> float:
    assert worker.stdout
    line = worker.stdout.readline()
    assert line, f"{worker.args!r} ended"
    return float(line)


def main() -> None:
    """Answer each line on stdin: the first with the error, each other one with a sample."""
    name, folder = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # a library may print
    X, Y, W, b = (np.load(Path(folder) / f"{array}.npy") for array in ("X", "Y", "W", "b"))
    job = _candidate(name)(X, Y)

    def first() -> float:
        found = job()
        return 0.0 if found is None else prediction_error(found, (W, b), X)

    timer, count = timeit.Timer(job), 0
    print(0.0, file=answers, flush=True)
    for _ in sys.stdin:
        if count:
            answer = timer.timeit(count) / count
        else:
            answer, count = first(), calls_in_a_sample(timer)
        print(answer, file=answers, flush=True)


def _candidate(name: str) -> Callable[[Array, Array], Callable[[], Any]]:
    if name in (FIT, FAST):
        return lambda X, Y: _fit(X, Y, "auto" if name == FIT else "fast")
    return RIVALS[name] if name in RIVALS else LIMITS[name]


def _fit(X: Array, Y: Array, arithmetic: Literal["auto", "fast"]) -> Job:
    from gradline_trainer import fit

    def job() -> tuple[Array, Array]:
        found = fit((X, Y), arithmetic=arithmetic)
        return found.weights.numpy(), found.bias.numpy()

    return job


if __name__ == "__main__":
    main()
