"""The graph of `pipeline.onnx`: a table's raw columns in, answers out.

Each column that a term uses is an input [N, 1] of its own name: numbers and times (whole seconds)
as double, categories as text. The terms are computed in float64 and cast once to the dtype of the
same Gemm that `model.onnx` has. NaN and empty text mean a missing value.

The graph follows from the model alone, and so do its bytes: an export writes them, and a load
writes them once more and compares. Only operators that every host computes alike are used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import DAY, PARTS
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.targets import Functions
from gradline.columns.terms import Factor, Term
from gradline.package.pipeline_nodes import DOUBLE, FLOAT, INT64, GraphBuilder, Pipeline

MOST_COLUMNS = 1000  # a graph with more inputs is of no use
ML = "ai.onnx.ml"
NAN = math.nan
Columns = Mapping[str, Column]


def build_pipeline(
    plan: Plan, weights: NDArray[Any], bias: NDArray[Any], functions: Functions
) -> Pipeline:
    """Build the graph of W (k, d) and b (k,), of one dtype, over the plan's d terms.

    The output is `y`, or `/y` if a column is named `y`. All other names begin with a slash, or
    with as many as no column's name begins with.
    """
    builder = _PipelineBuilder(plan.columns)
    terms = builder.concatenated([v for run in _runs(plan) for v in builder.block(run)])
    if weights.dtype == np.float32:
        terms = builder.add("Cast", terms, to=FLOAT)
    gemm = builder.add(
        "Gemm", terms, builder.constant(weights, "W"), builder.constant(bias, "b"), transB=1
    )
    if any(functions):
        builder.in_units(gemm, weights.dtype, functions)
    return builder.finished()


def _runs(plan: Plan) -> list[list[Term]]:
    """Group the terms, in order, into runs that are computed together."""
    columns = {column.name: column for column in plan.columns}
    return [list(run) for _, run in groupby(plan.terms, lambda term: _family(term, columns))]


def _family(term: Term, columns: Columns) -> object:
    """Describe what terms of one run have in common: all but the level of one indicator."""
    if len(term) == 1 and _is_number(term[0], columns[term[0].column]):
        return "numbers"
    varied = _varied(term, columns)
    if varied is None:
        return id(term)
    part = term[varied].function in PARTS and term[varied].function
    return term[:varied], term[varied].column, part, term[varied + 1 :]


def _is_number(factor: Factor, column: Column) -> bool:
    """Check for a number, a time in days, or whether one is missing."""
    return column.kind != "category" and factor.function in (None, "time", "missing")


def _varied(term: Term, columns: Columns) -> int | None:
    """Find the last factor that is a level's or a part's indicator."""
    for place in reversed(range(len(term))):
        factor = term[place]
        if factor.is_indicator and not _is_number(factor, columns[factor.column]):
            return place
    return None


class _PipelineBuilder(GraphBuilder):
    """Computes terms and targets."""

    def block(self, run: Sequence[Term]) -> list[str]:
        """Compute a run of terms, as blocks that stand side by side."""
        first = run[0]
        if len(first) == 1 and _is_number(first[0], self.columns[first[0].column]):
            return self.numbers([term[0] for term in run])
        varied = _varied(first, self.columns)
        if varied is None:
            return [self.product([self.factor(factor) for factor in first])]
        block = self.indicators([term[varied] for term in run])
        values = [block if p == varied else self.factor(f) for p, f in enumerate(first)]
        return [self.product(values)]

    def product(self, values: Sequence[str]) -> str:
        found = values[0]
        for value in values[1:]:
            found = self.add("Mul", found, value)
        return found

    def factor(self, factor: Factor) -> str:
        """Compute one factor [N, 1]."""
        if _is_number(factor, self.columns[factor.column]):
            return self.numbers([factor])[0]
        if factor.is_indicator:
            return self.indicators([factor])
        return self.function(factor, *self.numbers([Factor(factor.column)]))

    def numbers(self, factors: Sequence[Factor]) -> list[str]:
        """Compute numbers with their fill values, times in days, and indicators of missing ones.

        A missing value's indicator is made like a number whose values are 0 and whose fill is 1.
        """
        missing = [factor.function == "missing" for factor in factors]
        fills = [1.0 if m else self.fill(f.column) for f, m in zip(factors, missing, strict=True)]
        days = [DAY if factor.function == "time" else 1 for factor in factors]
        inputs = [factor.column for factor in factors]
        if all(map(math.isnan, fills)) and not any(day > 1 for day in days):
            return inputs
        raw = found = self.concatenated(inputs)
        if any(missing):
            found = self.add("Where", self.constant([missing]), self.real(0.0), found)
        if not all(map(math.isnan, fills)):
            found = self.add("Where", self.add("IsNaN", raw), self.real(*fills), found)
        if any(day > 1 for day in days):
            found = self.add("Div", found, self.real(*days))
        return [found]

    def fill(self, name: str) -> float:
        """The column's fill value, NaN for none."""
        fill = self.columns[name].fill
        return NAN if fill is None else fill

    def function(self, factor: Factor, x: str) -> str:
        """Apply a function to a number [N, 1]."""
        if factor.function == "power":
            return self.product([x] * int(factor.argument or 0))
        if factor.function == "hinge":
            return self.hinge(factor, x)
        if factor.function == "sqrt":
            return self.add("Sqrt", x)
        if factor.function == "log1p":
            x = self.add("Add", x, self.real(1.0))
        positive = self.add("Greater", x, self.real(0.0))
        return self.add("Log", self.add("Where", positive, x, self.real(NAN)))

    def hinge(self, factor: Factor, x: str) -> str:
        above = self.add("Relu", self.add("Sub", x, self.real(float(factor.argument or 0))))
        if self.columns[factor.column].fill is not None:
            return above
        return self.add("Where", self.add("IsNaN", x), self.real(NAN), above)  # Relu may give 0

    def indicators(self, factors: Sequence[Factor]) -> str:
        """Compute indicators [N, L] of one category, or of one part of a time."""
        column = self.columns[factors[0].column]
        if column.kind == "category":
            places = self.places(column)
            wanted = [factor.place(column) for factor in factors]
            unknown, instead = self.add("Equal", places, self.whole(-1)), NAN
        else:
            places = self.part(column.name, str(factors[0].function))
            wanted = [int(factor.level or 0) for factor in factors]
            unknown = self.add("IsNaN", column.name)
            instead = NAN if column.fill is None else 0.0
        equal = self.add("Cast", self.add("Equal", places, self.whole(*wanted)), to=DOUBLE)
        return self.add("Where", unknown, self.real(instead), equal)

    def places(self, column: Column) -> str:
        """Look up the place of a category's level, −1 for an unseen one."""
        places = dict(column.places)
        if column.missing:
            places[""] = column.missing_place
        return self.add(
            "LabelEncoder",
            column.name,
            domain=ML,
            default_int64=-1,
            keys_strings=tuple(places),
            values_int64s=tuple(places.values()),
        )

    # Calendar, by integers: http://howardhinnant.github.io/date_algorithms.html#civil_from_days

    def part(self, name: str, part: str) -> str:
        """Compute the month, weekday or hour of a time in seconds."""
        known = self.add("Where", self.add("IsNaN", name), self.real(0.0), name)
        seconds = self.add("Cast", known, to=INT64)
        second = self.rest(seconds, DAY)
        if part == "hour":
            return self.add("Div", second, self.whole(3600))
        days = self.add("Div", self.add("Sub", seconds, second), self.whole(DAY))
        if part == "weekday":
            return self.rest(self.plus(days, 3), 7)  # 1970-01-01 was a Thursday
        return self.month(days)

    def month(self, days: str) -> str:
        """Compute the month of days since 1970-01-01, in years that begin on 1 March."""
        shifted = self.plus(days, 719_468)  # since 0000-03-01
        day = self.rest(shifted, 146_097)  # of the 400 years after which the calendar repeats
        leap = self.add("Add", self.over(day, 36_524), self.less(day, self.over(day, 1460)))
        year = self.over(self.less(leap, self.over(day, 146_096)), 365)
        begun = self.add("Add", self.times(year, 365), self.over(year, 4))
        of_year = self.less(day, self.less(begun, self.over(year, 100)))
        march = self.over(self.plus(self.times(of_year, 5), 2), 153)  # 0 is March
        return self.plus(self.rest(self.plus(march, 2), 12), 1)

    def plus(self, value: str, number: int) -> str:
        return self.add("Add", value, self.whole(number))

    def times(self, value: str, number: int) -> str:
        return self.add("Mul", value, self.whole(number))

    def over(self, value: str, number: int) -> str:
        return self.add("Div", value, self.whole(number))

    def less(self, value: str, other: str) -> str:
        return self.add("Sub", value, other)

    def rest(self, value: str, number: int) -> str:
        return self.add("Mod", value, self.whole(number))  # of the divisor's sign

    # Targets

    def in_units(self, z: str, dtype: np.dtype[Any], functions: Functions) -> None:
        """Turn the Gemm's answers [N, k] into the targets' units."""
        narrow = dtype == np.float32
        wide = self.add("Cast", z, to=DOUBLE) if narrow else z
        scales = self.real(*(1.0 if f is None else f.scale for f in functions))
        found = self.add("Mul", self.add("Exp", wide), scales)
        if any(f is not None and f.offset for f in functions):
            offsets = self.real(*(0.0 if f is None else f.offset for f in functions))
            found = self.add("Sub", found, offsets)
        if not all(functions):
            logged = self.constant([[f is not None for f in functions]])
            found = self.add("Where", logged, found, wide)
        if narrow:
            self.add("Cast", found, to=FLOAT)
