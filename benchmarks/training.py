"""Training on arrays: `fit` against other libraries, shape by shape.

Each rival takes turns with `fit` in this process, on the same arrays, with all cores. A direct
solver's time counts only if its answer solves the problem, and the table shows each answer's error.
A goal is reached only if `fit` is at least as accurate, or as accurate as float64 predictions can
show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.comparison import Comparison, compare
from benchmarks.machine import block_product, block_product_share, read_once
from benchmarks.measure import time_calls
from benchmarks.rivals import ITERATIVE, RIVALS, Job
from benchmarks.synthetic import Array, DType, Solution, draw, optimum, prediction_error
from gradline_trainer.descent.arithmetic import SMALL, exact_cost

__all__ = ["run"]

SHAPES = (  # n, d, k, in the order of the memory they take
    (5, 3, 2),
    (10_000, 20, 1),
    (1_000_000, 20, 2),
    (20_000, 1024, 500),
    (1_000_000, 100, 2),
    (200_000, 500, 10),
    (50_000, 2000, 10),
)
QUICK = ((5, 3, 2), (10_000, 20, 1), (2_000, 100, 12))
DTYPES: tuple[DType, ...] = ("float32", "float64")
TURNS = 11
BUDGET = 3.0  # seconds for all turns of a rival; a slow one gets fewer, at least one
SOLVED = 0.01  # float32 costs digits: over a million rows, torch lstsq is off by 5e-4
PATIENCE = 4  # times as many if `fit` should be several times as fast
QUICK_TURNS, QUICK_BUDGET = 2, 0.1
LARGE = 10_000_000  # values above which the passes over the rows decide, not the calls' overhead
MACHINE = "the machine's product or reads"
NOT_RUN = {  # only in the full run, because they take minutes
    # The first three take a target at a time, the others 100 epochs over 500 targets.
    (20_000, 1024, 500): (
        "SGDRegressor",
        "glum",
        "polars-ols",
        "statsmodels OLS",
        "nn.Linear + optim.SGD",
        "the tutorial's loop",
    ),
    (50_000, 2000, 10): ("statsmodels OLS", "glum", "polars-ols"),
}


def run(quick: bool) -> list[Comparison]:
    """Compare shape by shape, float32 and float64."""
    shapes = QUICK if quick else SHAPES
    return [line for shape in shapes for dtype in DTYPES for line in _lines(*shape, dtype, quick)]


def _lines(n: int, d: int, k: int, dtype: DType, quick: bool) -> Iterator[Comparison]:
    what = f"fit {n:,} × {d:,} → {k}, {dtype}"
    effort = (QUICK_TURNS, QUICK_BUDGET) if quick else (TURNS, BUDGET)
    bench = _Bench(what, draw(n, d, k, dtype), *effort)
    for name in RIVALS:
        if name in NOT_RUN.get((n, d, k), ()):
            yield Comparison(what, name, note="takes minutes: not run")
        else:
            yield bench.against(name, _goal(name, n, d))
    if n > 5:
        yield bench.against_machine(goal=2.0 if n * d >= LARGE else None)
    if exact_cost(n, d, k) <= SMALL:
        yield bench.against("LinearRegression", None, arithmetic="auto")


def _goal(name: str, n: int, d: int) -> float | None:
    if n * d >= LARGE and name == "LinearRegression":
        return 1 / 12 if d <= 100 else 1 / 4
    if n * d >= LARGE and name == "Ridge(cholesky)":
        return 1 / 3 if d <= 100 else 1 / 1.3
    if n == 5 and name.endswith("lstsq"):
        return None  # bare calls, which validate nothing
    return 1.0


class _Bench:
    """One table, its solution, and the results of each method."""

    def __init__(self, what: str, data: tuple[Array, Array], turns: int, budget: float) -> None:
        self.what, (self.X, self.Y) = what, data
        self.turns, self.budget = turns, budget
        self.best = optimum(*data)
        self.resolution = (
            self.X.shape[1] + 2
        ) * 2.0**-53  # of a prediction, see gradline.package.rounding_bound
        self.answers: dict[str, Solution] = {}
        self._ours("fast")()

    def against(self, name: str, goal: float | None, arithmetic: str = "fast") -> Comparison:
        """Compare `fit` with a rival, in time and in accuracy."""
        what = self.what + (", default arithmetic" if arithmetic == "auto" else "")
        calls = {what: self._ours(arithmetic), name: RIVALS[name](self.X, self.Y)}
        kept = {key: self._keeping(key, call) for key, call in calls.items()}
        patience = PATIENCE if goal is not None and goal < 1 else 1
        samples = time_calls(kept, self.turns, patience * self.budget)
        error, peer_error = self._error(what), self._error(name)
        if name not in ITERATIVE and not peer_error <= SOLVED:
            return Comparison(what, name, note=f"off by {peer_error:.0e}: its time doesn't count")
        accuracy = {"error": error, "peer_error": peer_error, "resolution": self.resolution}
        return compare(samples, what, name, goal, **accuracy)

    def against_machine(self, goal: float | None) -> Comparison:
        """Compare `fit` with the larger of the product's and the reads' times."""
        calls: dict[str, Callable[[], Any]] = {
            self.what: self._ours("fast"),
            "product": block_product(self.X, self.Y),
            "reads": read_once(self.X),
        }
        samples = time_calls(calls, self.turns, self.budget)
        share = block_product_share(len(self.X))
        products = [seconds / share for seconds in samples["product"]]
        samples[MACHINE] = list(map(max, products, samples["reads"]))
        return compare(samples, self.what, MACHINE, goal)

    def _ours(self, arithmetic: str) -> Job:
        from gradline_trainer import fit

        def job() -> Solution:
            found = fit((self.X, self.Y), arithmetic=arithmetic)
            return found.weights.numpy(), found.bias.numpy()

        return job

    def _keeping(self, name: str, call: Job) -> Callable[[], None]:
        def kept() -> None:
            self.answers[name] = call()

        return kept

    def _error(self, name: str) -> float:
        return prediction_error(self.answers[name], self.best, self.X)
