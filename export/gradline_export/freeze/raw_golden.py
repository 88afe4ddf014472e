"""Golden rows of the table's own columns: synthetic, and none of the training rows.

They have each column's ends, missing values, an unseen level, a number outside a function's domain,
each level if there is room, and seeded draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Context, Decimal
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import DAY
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.targets import TargetFunction
from gradline.columns.terms import Factor
from gradline.package.graph import Graph
from gradline.package.raw_rows import RawRows, Values
from gradline.package.rounding_bound import pipeline_bound, row_count
from gradline_export.freeze.parity import LARGEST, SMALLEST, exact_sums, to_float

Ends = tuple[float, float]
Array = NDArray[np.float64]
CENTURY = (-631_152_000.0, 2_524_608_000.0)  # 1950 to 2050, for times of unknown range
DIGITS = Context(prec=60, traps=[])
#: How a term's value gives its column's, by function, the best known range first.
INVERSES: dict[str | None, Callable[[float, float], float]] = {
    None: lambda value, _: value,
    "time": lambda value, _: float(round(value * DAY)),
    "log": lambda value, _: math.exp(value),
    "log1p": lambda value, _: math.expm1(value),
    "sqrt": lambda value, _: value**2,
    "power": lambda value, exponent: math.copysign(abs(value) ** (1 / exponent), value),
    "hinge": lambda value, start: value + start,
}
DOMAIN = {"log": -1.0, "sqrt": -1.0, "log1p": -2.0}  # a number outside of it


def raw_rows(extremes: tuple[Array, Array], graph: Graph, seed: int) -> RawRows:
    """Make up to `row_count(m)` rows of m columns, with the exact answers and their bounds.

    `extremes` are the features' ends, shape (d,) or longer.
    """
    plan, n = graph.plan.named, row_count(len(graph.plan.columns))
    generator = np.random.default_rng([seed, 2])
    columns = {
        column.name: _values(column, _ends(column, plan, extremes), n, generator)
        for column in plan.columns
    }
    if n > 6:
        _spoil(columns, plan)
    empty = np.empty((0, len(graph.targets)))
    keep = np.flatnonzero(_admissible(RawRows(columns, empty, empty).values(plan), graph))
    kept = {name: [values[row] for row in keep] for name, values in columns.items()}
    x = terms_of(RawRows(kept, empty, empty).values(plan), graph)
    bounds = pipeline_bound(x, plan, graph.weights, graph.bias, graph.functions)
    return RawRows(kept, exact_answers(x, graph), bounds)


def _ends(column: Column, plan: Plan, extremes: tuple[Array, Array]) -> Ends:
    """Find a range of a column, from those of the terms that are made of it alone."""
    low, high = extremes
    for function, inverse in INVERSES.items():
        for j, term in enumerate(plan.terms):
            if _is_of(term, column, function):
                argument = float(term[0].argument or 0)
                ends = _inverted(inverse, float(low[j]), float(high[j]), argument)
                if all(map(math.isfinite, ends)):
                    return min(ends), max(ends)
    if column.kind == "time":
        return CENTURY
    typical = 1.0 if column.fill is None else column.fill
    return min(typical / 2, typical * 2), max(typical / 2, typical * 2)


def _is_of(term: tuple[Factor, ...], column: Column, function: str | None) -> bool:
    factor = term[0]
    plain = factor.column == column.name and factor.level is None
    return len(term) == 1 and plain and factor.function == function


def _inverted(
    inverse: Callable[[float, float], float], low: float, high: float, argument: float
) -> Ends:
    try:
        return inverse(low, argument), inverse(high, argument)
    except OverflowError:
        return math.inf, math.inf


def _values(column: Column, ends: Ends, n: int, generator: np.random.Generator) -> Values:
    """Make n values: two ends, a missing one, a typical one, and draws."""
    may_miss = column.missing or column.fill is not None
    numbers = _numbers(column, ends, generator)
    drawn: Iterator[float | str] = cycle(column.levels) if column.levels else numbers
    found: Values = [next(drawn), next(drawn), None, next(drawn)]
    while len(found) < n:
        found.append(None if may_miss and generator.random() < 0.1 else next(drawn))
    return found


def _numbers(column: Column, ends: Ends, generator: np.random.Generator) -> Iterator[float]:
    whole = column.kind == "time"
    low, high = (float(math.floor(end)) if whole else end for end in ends)
    middle = (low + high) / 2 if column.fill is None else column.fill
    first: Sequence[float] = (low, high, math.floor(middle) if whole else middle)
    yield from map(float, first)
    while True:
        share = generator.random()
        value = low * (1 - share) + high * share
        yield float(math.floor(value)) if whole else value


def _spoil(columns: dict[str, Values], plan: Plan) -> None:
    """Put an unseen level into the last row, and numbers outside of domains into the one before."""
    category = next((c for c in plan.columns if c.kind == "category"), None)
    if category is not None:
        unseen = "?"
        while unseen in category.levels:
            unseen += "?"
        columns[category.name][-1] = unseen
    for term in plan.terms:
        for factor in term:
            if factor.function in DOMAIN:
                columns[factor.column][-2] = DOMAIN[factor.function]


def terms_of(values: Array, graph: Graph) -> NDArray[np.floating]:
    """Compute the terms of rows of columns (n, m) in the graph's dtype, shape (n, d)."""
    with np.errstate(over="ignore"):
        found: NDArray[np.floating] = graph.plan.compute(values).astype(graph.dtype)
        return found


def _admissible(values: Array, graph: Graph) -> NDArray[np.bool_]:
    """Choose the rows for which the rounding bound holds, or whose answer is missing."""
    x = terms_of(values, graph)
    size = np.abs(x.astype(np.float64))
    absent, finite = np.isnan(size).any(axis=1), np.isfinite(size).all(axis=1)
    size[~finite] = 0
    sums = size @ np.abs(graph.weights.T.astype(np.float64)) + np.abs(graph.bias)
    fits = finite & (sums <= LARGEST).all(axis=1) & ((size == 0) | (size >= SMALLEST)).all(axis=1)
    answers = exact_answers(np.where(fits[:, None], x, 0).astype(graph.dtype), graph)
    fits &= (np.abs(answers) <= np.finfo(graph.dtype).max).all(axis=1)
    chosen: NDArray[np.bool_] = fits | absent
    return chosen


def exact_answers(x: NDArray[np.floating], graph: Graph) -> Array:
    """Compute the exact answers for terms x (n, d), in the targets' units, rounded once."""
    found = np.full((len(x), len(graph.targets)), np.nan)
    known = ~np.isnan(x).any(axis=1)
    sums, exponent = exact_sums(x[known], graph.weights, graph.bias)
    scale = DIGITS.power(2, exponent)
    for j, function in enumerate(graph.functions):
        if function is None:
            found[known, j] = [to_float(total, exponent) for total in sums[:, j]]
        else:
            found[known, j] = [_in_units(total, scale, function) for total in sums[:, j]]
    return found


def _in_units(total: int, scale: Decimal, function: TargetFunction) -> float:
    z = DIGITS.multiply(Decimal(total), scale)
    grown = DIGITS.multiply(DIGITS.exp(z), Decimal(function.scale))
    return float(DIGITS.subtract(grown, Decimal(function.offset)))
