"""Raw golden rows of a plan with every kind of column and term: made in Python, for other hosts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import FIRST, LAST
from gradline.columns.kinds import RARE, Column
from gradline.columns.plan import Plan
from gradline.columns.targets import TargetFunction, dump_functions
from gradline.columns.terms import Factor

__all__ = ["PLAN", "TARGETS", "Raw", "RawModel", "raw_rows", "values_of"]

Array = NDArray[np.float64]
Raw = dict[str, list[Any]]  # a number, a text or None for each row, by column

ODD = 'Größe "β", x'
PLAN = Plan(
    (
        Column("price"),
        Column("qty", fill=3.7),
        Column("share"),
        Column("size", fill=1e6 / 3),
        Column(ODD, "category", ("A", "B", "d", "e", "Ç"), "A", missing=True, rare=("d", "e")),
        Column("open", "category", ("false", "true"), "false"),
        Column("zip", "category", ("02134", "10115", str(2**60), str(2**60 + 1))),
        Column("at", "time", fill=1.4e9 + 0.25, zone="Europe/Berlin"),
        Column("day", "time"),
    ),
    (
        *[(Factor(name),) for name in ("price", "qty", "size")],
        (Factor("qty", "missing"),),
        *[(Factor(ODD, level=level),) for level in ("B", "Ç", RARE)],
        (Factor(ODD, "missing"),),
        (Factor("open", level="true"),),
        *[(Factor("zip", level=level),) for level in ("02134", "10115", str(2**60))],
        (Factor("zip", "category", level=str(2**60 + 1)),),
        (Factor("at", "time"),),
        (Factor("at", "missing"),),
        *[(Factor("at", "month", level=month),) for month in range(2, 13)],
        *[(Factor("at", "weekday", level=day),) for day in range(6)],
        *[(Factor("at", "hour", level=hour),) for hour in (0, 6, 12, 23)],
        *[(Factor("day", "month", level=month),) for month in (1, 2, 12)],
        *[(Factor("day", "weekday", level=day),) for day in (0, 6)],
        (Factor("share", "log"),),
        (Factor("qty", "log1p"),),
        (Factor("size", "sqrt"),),
        (Factor("price", "power", 2),),
        (Factor("share", "power", 5),),
        (Factor("qty", "hinge", 30.1),),
        (Factor("share", "log"), Factor(ODD, level="B")),
        (Factor("open", level="true"), Factor(ODD, level="Ç")),
        (Factor("price"), Factor("qty"), Factor("share")),
        (Factor("at", "time"), Factor("open", level="true")),
        (Factor("day", "month", level=1), Factor("price")),
    ),
)
TARGETS = ["y", "z", "w"]
FUNCTIONS = [None, TargetFunction("log", 1.25, "rows"), TargetFunction("log1p", 1.5, "moments")]
EDGES = [0, -1, 1, 86_399, 86_400, -86_400, -86_401, FIRST, LAST, 951_782_400, -2_203_891_200]


def raw_rows(n: int, seed: int, *, answered: bool) -> Raw:
    """Draw rows of the plan's columns; if not `answered`, some have no answer."""
    random = np.random.default_rng(seed)

    def some(values: Array, share: float, spoilt: list[Any]) -> list[Any]:
        hit = random.random(n) < share
        chosen = random.integers(0, len(spoilt), n)
        return [spoilt[c] if h else v for v, h, c in zip(values.tolist(), hit, chosen, strict=True)]

    times = np.where(
        random.random(n) < 0.5, random.integers(FIRST, LAST, n), random.integers(-(10**9), 2**31, n)
    )
    times[: len(EDGES)] = EDGES[:n]
    unknown: list[Any] = [] if answered else ["unseen", "D", "a"]
    none: list[Any] = [] if answered else [None]
    levels = {column.name: [*column.levels] for column in PLAN.columns if column.levels}
    texts = {name: [*known, *unknown, *none] for name, known in levels.items()}
    texts[ODD] += [None]
    chosen = {
        name: [known[place] for place in random.integers(0, len(known), n)]
        for name, known in texts.items()
    }
    return {
        "price": some(random.normal(3, 2, n), 0.1, [0.0, 16777217.0, 1e-30, *none]),
        "qty": some(random.integers(0, 60, n) + 0.1, 0.1, [None, *([] if answered else [-1.0])]),
        "share": some(np.exp(random.normal(-1, 1, n)), 0.05, [1.0, *([] if answered else [0, -2])]),
        "size": some(random.random(n) * 1e7, 0.1, [None]),
        **chosen,
        "at": some(times, 0.1, [None]),
        "day": some(times[::-1], 0.1, [86_400.0, *none]),
    }


def values_of(rows: Raw) -> Array:
    """Turn raw rows into the values that `Plan.compute` takes, shape (n, m)."""
    return np.array([[_value(c, v) for v in rows[c.name]] for c in PLAN.columns]).T


def _value(column: Column, value: Any) -> float:
    if column.kind != "category":
        return math.nan if value is None else float(value)
    if value is None:
        return column.missing_place if column.missing else math.nan
    return column.places.get(value, math.nan)


@dataclass(frozen=True)
class RawModel:
    """A model of the plan, with weights of its own.

    Attributes:
        document: `schema`, `weights`, `bias` and `raw`, which is as in golden.json.
    """

    document: dict[str, Any]

    @classmethod
    def of(cls, dtype: str, seed: int) -> RawModel:
        """Draw weights in float32 or float64; answer raw rows exactly, with their bounds."""
        random = np.random.default_rng(seed)
        d = len(PLAN.terms)
        rows = raw_rows(64, seed, answered=True)
        terms = PLAN.compute(values_of(rows))
        size = np.maximum(np.abs(terms).max(axis=0), 1.0)
        weights = (random.standard_normal((len(TARGETS), d)) / size / 4).astype(dtype)
        bias = random.standard_normal(len(TARGETS)).astype(dtype)
        outputs, bounds = _exact(terms, weights, bias)
        schema = {"features": PLAN.features, "targets": TARGETS, "dtype": dtype, **PLAN.dump()}
        schema["target_functions"] = dump_functions(FUNCTIONS)
        raw = {"columns": rows, "outputs": outputs.tolist(), "bounds": bounds.tolist()}
        wide = {"weights": weights.astype(float).tolist(), "bias": bias.astype(float).tolist()}
        return cls({"schema": schema, **wide, "raw": raw})

    @property
    def row_count(self) -> int:
        """How many raw golden rows there are."""
        return len(self.document["raw"]["outputs"])


def _exact(terms: Array, weights: NDArray[Any], bias: NDArray[Any]) -> tuple[Array, Array]:
    """Answer exactly, and bound what a host may answer, both of shape (n, k), in units."""
    kind = np.finfo(weights.dtype)
    u, tiny, m = float(kind.eps) / 2, float(kind.tiny), terms.shape[1] + 3
    gamma = m * u / (1 - m * u)
    off = np.array([sum(map(_operations, term)) + len(term) - 1 for term in PLAN.terms]) * 2.0**-53
    x, w, b = terms.astype(weights.dtype), weights.astype(float), bias.astype(float)
    exact = np.array(
        [
            [float(_dot(row, w[k]) + Fraction(b[k])) for k in range(len(b))]
            for row in x.astype(float)
        ]
    )
    size = np.abs(terms) @ np.abs(w).T
    bounds = gamma * (size + np.abs(b)) + 2 * m * tiny + np.abs(terms) @ (np.abs(w) * off).T
    for k, function in enumerate(FUNCTIONS):
        if function is not None:
            grown = np.exp(exact[:, k]) * function.scale
            exact[:, k] = function.units(exact[:, k])
            bounds[:, k] = grown * (np.expm1(bounds[:, k]) + 8 * 2.0**-53) + grown * u + tiny
    return exact, bounds


def _dot(row: Array, weights: Array) -> Fraction:
    products = zip(row.tolist(), weights.tolist(), strict=True)
    return sum((Fraction(x) * Fraction(w) for x, w in products), Fraction(0))


def _operations(factor: Factor) -> int:
    """Count what a function's error is made of, in units of 2⁻⁵³."""
    if factor.function == "power":
        return int(factor.argument or 0) - 1
    return {"log": 4, "log1p": 5, "sqrt": 4, "hinge": 1, "time": 1}.get(str(factor.function), 0)
