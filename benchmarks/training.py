"""Training on arrays: `fit` against other libraries and the machine's limit, shape by shape.

Every candidate is alone in its process, with all cores, and takes turns with the others on the same
arrays. A direct solver's time counts only if its answer solves the problem, and the table shows
each answer's error. A goal is reached only if `fit` is at least as accurate, or as accurate as
float64 predictions can show.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.alone import FAST, FIT, time_alone
from benchmarks.comparison import Comparison, compare
from benchmarks.machine import READ, SYRK, SYRK64
from benchmarks.measure import Samples
from benchmarks.rivals import ITERATIVE, RIVALS
from benchmarks.synthetic import DType, draw

__all__ = ["run"]

LIMIT, LIMIT64 = "the machine's limit", "its limit in float64"
RIDGE, LINEAR = "Ridge(cholesky)", "LinearRegression"


@dataclass(frozen=True)
class Table:
    """A table, and what `fit` should reach on it.

    Attributes:
        n: Rows.
        d: Features.
        k: Targets.
        dtype: Of the arrays.
        reach: By peer, the goal: its time divided by gradline's.
    """

    n: int
    d: int
    k: int
    dtype: DType = "float64"
    reach: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How results name it."""
        return f"{self.n:,} × {self.d:,} → {self.k}, {self.dtype}"


TABLES = (
    Table(5, 3, 2, reach={LINEAR: 0.8}),
    Table(1_000, 10, 1, reach={LINEAR: 0.9}),
    Table(10_000, 20, 1, reach={LINEAR: 1.5}),
    Table(100_000, 50, 2, "float32", {RIDGE: 1.0}),
    Table(100_000, 50, 2, reach={RIDGE: 1.5}),
    Table(1_000_000, 20, 2, "float32"),
    Table(
        *(1_000_000, 20, 2),
        reach={RIDGE: 2.8, LINEAR: 12, "NumPy by hand": 1.5, "oneDAL": 0.8, LIMIT: 1 / 2},
    ),
    Table(1_000_000, 100, 2, "float32"),
    Table(1_000_000, 100, 2, reach={RIDGE: 6, "oneDAL": 1.1, LIMIT: 1 / 2}),
    Table(50_000, 500, 10, "float32", {RIDGE: 0.9}),
    Table(50_000, 500, 10, reach={RIDGE: 1.4, "oneDAL": 0.9}),
    Table(20_000, 1_024, 500, "float32", {RIDGE: 0.6}),
    Table(20_000, 1_024, 500, reach={RIDGE: 1.0, "oneDAL": 0.9}),
    Table(12_000, 2_000, 10, "float32", {RIDGE: 0.75}),
    Table(12_000, 2_000, 10, reach={RIDGE: 1.0, "oneDAL": 0.9}),
)
QUICK = (Table(5, 3, 2), Table(10_000, 100, 12, "float32"))
TURNS, BUDGET = 11, 1.5  # seconds for the samples of each candidate
QUICK_TURNS, QUICK_BUDGET = 1, 0.1
SOLVED = 0.01  # float32 costs digits: over a million rows, torch lstsq is off by 5e-4
SMALL = 1_000_000  # numbers; below, the calls' overhead decides, and neither reads nor product
# On large tables these take 10 times as long as the others, or more.
SLOW = ("numpy lstsq", "statsmodels OLS", "the tutorial's loop")
MOST = 500_000_000  # operations, n·d², up to which they are run


def run(quick: bool) -> list[Comparison]:
    """Compare table by table."""
    effort = (QUICK_TURNS, QUICK_BUDGET) if quick else (TURNS, BUDGET)
    return [line for table in (QUICK if quick else TABLES) for line in _lines(table, *effort)]


def _lines(table: Table, turns: int, budget: float) -> Iterator[Comparison]:
    print(f"  {table.name}", file=sys.stderr, flush=True)
    small = table.n * table.d < SMALL
    ours = (FIT, FAST) if small else (FIT,)  # the default arithmetic of a large table is fast
    slow = SLOW if table.n * table.d**2 > MOST else ()
    parts = () if small else (READ, *_products(table).values())
    names = (*ours, *(name for name in RIVALS if name not in slow), *parts)
    drawn = draw(table.n, table.d, table.k, table.dtype)
    samples, errors = time_alone(names, *drawn, turns, budget)
    for who in ours:
        for peer in RIVALS:
            yield _against(table, who, peer, samples, errors)
    if not small:
        yield from _against_the_machine(table, samples)


def _against(
    table: Table, who: str, peer: str, samples: Samples, errors: dict[str, float]
) -> Comparison:
    """Compare `fit` with a rival, in time and in accuracy."""
    what = f"{who}: {table.name}"
    if peer not in samples:
        return Comparison(what, peer, note="takes too long: not run")
    if peer not in ITERATIVE and not errors[peer] <= SOLVED:
        return Comparison(what, peer, note=f"off by {errors[peer]:.0e}: its time doesn't count")
    return compare(
        {what: samples[who], peer: samples[peer]},
        *(what, peer, _goal(table, peer) if who == FIT else None),
        error=errors[who],
        peer_error=errors[peer],
        resolution=(table.d + 2) * 2.0**-53,  # of a prediction, see gradline.package.rounding_bound
    )


def _against_the_machine(table: Table, samples: Samples) -> Iterator[Comparison]:
    """Compare `fit` with the larger of the product's and the read's times."""
    what = f"{FIT}: {table.name}"
    for name, product in _products(table).items():
        limit = [max(pair) for pair in zip(samples[READ], samples[product], strict=False)]
        yield compare({what: samples[FIT], name: limit}, what, name, _goal(table, name))


def _products(table: Table) -> dict[str, str]:
    """Name the products that limit a table: in its dtype, and in float64."""
    return {LIMIT: SYRK} if table.dtype == "float64" else {LIMIT: SYRK, LIMIT64: SYRK64}


def _goal(table: Table, peer: str) -> float | None:
    return 1 / table.reach[peer] if peer in table.reach else None
