"""Compare exact with fast arithmetic by shape: `python -m benchmarks.arithmetic [--all]`.

The constants of `exact_cost` come from this grid. For each shape it shows the processor time of one
thread in fast and in exact arithmetic (medians of alternating turns), the formula's value, and what
"auto" chooses. --all also measures exact arithmetic that takes more than a second by the formula.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from gradline_trainer import fit
from gradline_trainer.descent.arithmetic import SMALL, exact_cost

ROWS = (5, 30, 100, 1_000, 10_000, 100_000)
FEATURES = (1, 10, 30, 100, 400, 900)
TARGETS = (1, 10, 50)
TURNS = 5
MOST = 1_000_000_000  # limit of the formula's value without --all
MOST_NUMBERS = 20_000_000
ALLOWED = 3.0, 0.05  # times fast's time, or seconds


def main() -> None:
    """Measure the grid and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="also shapes that take minutes")
    most = float("inf") if parser.parse_args().all else MOST
    torch.set_num_threads(1)
    print("| n × d → k | ridge | fast, ms | exact, ms | formula, million | auto |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    with threadpool_limits(1):
        _times(rng, 30, 3, 1, 0.0)  # load late imports before timing
        for n in ROWS:
            for d in FEATURES:
                for k in TARGETS:
                    if n * (d + k) <= MOST_NUMBERS and exact_cost(n, d, k) <= most:
                        for ridge in (0.0, 1.0):
                            print(_line(rng, n, d, k, ridge), flush=True)


def _line(rng: np.random.Generator, n: int, d: int, k: int, ridge: float) -> str:
    """Measure one shape, for one line of the table."""
    cost = exact_cost(n, d, k)
    fast, exact = _times(rng, n, d, k, ridge)
    auto = "exact" if cost <= SMALL else "fast"
    times, seconds = ALLOWED
    late = auto == "exact" and exact > max(times * fast, seconds)
    return (
        f"| {n:,} × {d} → {k} | {ridge:g} | {1e3 * fast:.1f} | {1e3 * exact:.1f} | "
        f"{cost / 1e6:.1f} | {auto}{', too late' * late} |"
    )


def _times(rng: np.random.Generator, n: int, d: int, k: int, ridge: float) -> tuple[float, float]:
    """Measure the median seconds of fast and of exact arithmetic."""
    X = rng.standard_normal((n, d))
    Y = X @ rng.standard_normal((d, k)) + rng.standard_normal((n, k))
    samples: dict[str, list[float]] = {"fast": [], "exact": []}
    for _ in range(TURNS):
        for arithmetic, seconds in samples.items():
            started = time.process_time()
            fit((X, Y), arithmetic=arithmetic, ridge=ridge)
            seconds.append(time.process_time() - started)
        if samples["exact"][0] > 1:
            break
    fast, exact = (statistics.median(seconds) for seconds in samples.values())
    return fast, exact


if __name__ == "__main__":
    main()
