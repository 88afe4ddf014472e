"""Random plans of every kind of column and term, and raw rows for them, of any odd value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from gradline.columns.calendar import FIRST, LAST, PARTS
from gradline.columns.kinds import RARE, Column
from gradline.columns.plan import Plan
from gradline.columns.targets import TargetFunction, dump_functions
from gradline.columns.terms import Factor, Term
from gradline.package.graph import Graph, parse_graph
from gradline.package.raw_rows import RawRows
from gradline.package.rounding_bound import pipeline_bound
from gradline_export.freeze.formats import to_onnx
from gradline_export.freeze.raw_golden import exact_answers, terms_of

LOGGED = TargetFunction("log1p", 1.25, "rows")
NAMES = [
    "y",
    "x",
    "W",
    "/y",
    "//b",
    "Größe",
    "a b",
    ' "quoted"',
    "価格",
    "e\u0301",
    "`=:(),^*`",
    "'",
]
LEVELS = [
    "A",
    "B",
    "Ç",
    "price is missing",
    "true",
    "-0",
    "10115",
    str(2**60),
    str(2**60 + 1),
    "😀",
]
TIMES = [0, -1, 1, 86_399, 86_400, -86_400, -86_401, FIRST, LAST, 951_782_400, -2_203_891_200]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0**24 + 1, 2.0**53, 1e-9, 1e12 + 0.3, -7.25, 3.5, math.pi]


def random_plan(generator: Generator, columns: int, terms: int) -> Plan:
    """Make a plan of some columns, each used at least once, and up to `terms` further terms."""
    names = [NAMES[j] if j < len(NAMES) else f"c{j}" for j in generator.permutation(columns)]
    made = [random_column(generator, name) for name in names]
    found: dict[Term, None] = {}
    for column in made:
        found |= dict.fromkeys(of_column(generator, column))
    for _ in range(terms):
        factors = [_any(generator, made[generator.integers(columns)]) for _ in range(2)]
        found[tuple(factors)] = None
    plan = Plan(tuple(made), tuple(found))
    unique = dict(zip(plan.features, plan.terms, strict=True))
    return Plan.load(*Plan(tuple(made), tuple(unique.values())).dump().values())


def random_column(generator: Generator, name: str) -> Column:
    kind = ["number", "time", "category"][generator.integers(3)]
    filled = generator.random() < 0.5
    if kind == "number":
        return Column(name, fill=float(generator.normal()) + 3 if filled else None)
    if kind == "time":
        return Column(
            name, "time", fill=float(generator.integers(10**9)) + 0.25 if filled else None
        )
    levels = sorted(generator.permutation(LEVELS)[: generator.integers(1, len(LEVELS))].tolist())
    rare = tuple(levels[-2:]) if len(levels) > 3 and generator.random() < 0.5 else ()
    reference = levels[0] if generator.random() < 0.5 else None
    return Column(name, "category", tuple(levels), reference, missing=filled, rare=rare)


def of_column(generator: Generator, column: Column) -> list[Term]:
    """Make the terms of one column: a block of indicators, or a number and its functions."""
    name = column.name
    if column.kind == "category":
        found = [Factor(name, level=level) for level in column.levels if level not in column.rare]
        found += [Factor(name, level=RARE)] if column.rare else []
        found += [Factor(name, "missing")] if column.missing else []
    elif column.kind == "time":
        part = list(PARTS)[generator.integers(3)]
        found = [Factor(name, "time"), Factor(name, "missing")]
        found += [Factor(name, part, level=level) for level in list(PARTS[part].values)[1:]]
    else:
        found = [Factor(name), Factor(name, "missing"), *_functions(name)]
        found = [found[j] for j in sorted(generator.choice(len(found), 3, replace=False))]
    return [(factor,) for factor in found]


def _functions(name: str) -> list[Factor]:
    plain = [Factor(name, function) for function in ("log", "log1p", "sqrt")]
    return [*plain, *(Factor(name, "power", p) for p in (2, 3)), Factor(name, "hinge", 1.5)]


def _any(generator: Generator, column: Column) -> Factor:
    terms = of_column(generator, column)
    return terms[generator.integers(len(terms))][0]


def random_columns(generator: Generator, plan: Plan, n: int) -> dict[str, list[Any]]:
    """Make n raw rows: numbers, times, levels, unseen ones, and None for a missing value."""
    return {column.name: _values(generator, column, n) for column in plan.columns}


def _values(generator: Generator, column: Column, n: int) -> list[Any]:
    if column.kind == "category":
        known = [*column.levels, "unseen", "a" if "A" in column.levels else "A "]
    elif column.kind == "time":
        known = [*TIMES, *generator.integers(FIRST, LAST, 10).tolist()]
        known += generator.integers(-(10**9), 2 * 10**9, 10).tolist()
    else:
        known = [*NUMBERS, *np.exp(generator.normal(0, 3, 20)).tolist()]
    known = known if column.kind == "category" else list(map(float, known))
    picked = [known[j] for j in generator.integers(len(known), size=n)]
    return [None if generator.random() < 0.08 else value for value in picked]


def rows_of(columns: dict[str, list[Any]], targets: int) -> RawRows:
    """Make raw rows that have no answers yet."""
    empty = np.empty((0, targets))
    return RawRows(columns, empty, empty)


def random_graph(
    generator: Generator,
    plan: Plan,
    dtype: str,
    functions: list[TargetFunction | None],
    weights: NDArray[Any] | None = None,
) -> Graph:
    """Make a graph of format 2 with random weights."""
    k, d = len(functions), len(plan.terms)
    found = generator.normal(size=(k, d)) if weights is None else weights
    logged = [f is not None for f in functions]
    found[logged] /= 1e12  # so that exp(z) is finite for any row
    described = plan.dump()
    if any(functions):
        described["target_functions"] = dump_functions(functions)
    names = [f"t{j}" for j in range(k)]
    bias = generator.normal(size=k).astype(dtype)
    data = to_onnx(found.astype(dtype), bias, "random", plan.features, names, described, 2)
    return parse_graph(data)


def graph_of(seed: int, columns: int = 5, terms: int = 4, dtype: str = "float64") -> Graph:
    generator = np.random.default_rng(seed)
    functions = [[None], [None, LOGGED], [LOGGED]][generator.integers(3)]
    return random_graph(generator, random_plan(generator, columns, terms), dtype, functions)


def check(answers: NDArray[Any], columns: dict[str, list[Any]], graph: Graph) -> None:
    """Check answers against the exact value of Plan.compute's terms."""
    x = terms_of(rows_of(columns, 1).values(graph.plan), graph)
    bound = pipeline_bound(x, graph.plan, graph.weights, graph.bias, graph.functions)
    finite = np.isfinite(x).all(axis=1)
    exact = np.full(bound.shape, np.nan)
    exact[finite] = exact_answers(x[finite], graph)
    largest = float(np.finfo(graph.dtype).max) / 2
    usable = np.isnan(x).any(axis=1) | (finite & (np.abs(exact) + bound < largest).all(axis=1))
    exact, bound, found = exact[usable], bound[usable], answers[usable].astype(np.float64)
    assert (np.isnan(exact) == np.isnan(found)).all()
    known = ~np.isnan(exact)
    worst = (np.abs(found - exact)[known] / bound[known]).max(initial=0.0)
    assert worst <= 1, f"off by {worst} of the bound"
