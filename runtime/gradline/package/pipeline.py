"""The graph of `pipeline.onnx`: a table's raw columns in, answers out.

Each column that a term uses is an input [N, 1] of its own name: numbers and times (whole seconds)
as double, categories as text. The terms are computed in float64 and cast once to the dtype of the
same Gemm that `model.onnx` has. NaN and empty text mean a missing value.

The graph follows from the model alone, and so do its bytes: an export writes them, and a load
writes them once more and compares. Only operators that every host computes alike are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
WIDE = 16  # a category of more indicators is a block of its own
MERGED = 8  # terms for each change between numbers and categories, up to which they are merged
ML = "ai.onnx.ml"
NAN = math.nan


def build_pipeline(
    plan: Plan, weights: NDArray[Any], bias: NDArray[Any], functions: Functions
) -> Pipeline:
    """Build the graph of W (k, d) and b (k,), of one dtype, over the plan's d terms.

    The output is `y`, or `/y` if a column is named `y`. All other names begin with a slash, or
    with as many as no column's name begins with.
    """
    builder = _PipelineBuilder(plan.columns)
    terms = builder.concatenated(builder.terms(plan.terms))
    if weights.dtype == np.float32:
        terms = builder.add("Cast", terms, to=FLOAT)
    gemm = builder.add(
        "Gemm", terms, builder.constant(weights, "W"), builder.constant(bias, "b"), transB=1
    )
    if any(functions):
        builder.in_units(gemm, weights.dtype, functions)
    return builder.finished()


class _PipelineBuilder(GraphBuilder):
    """Computes terms and targets, neighbours together in blocks [N, L].

    One row costs about a microsecond for each node; many rows cost more the wider the blocks are.
    """

    def terms(self, terms: Sequence[Term]) -> list[str]:
        """Compute all terms, as blocks that stand side by side."""
        found: list[str] = []
        pieces = [list(piece) for _, piece in groupby(terms, self.family)]
        for narrow, run in groupby(pieces, self.is_narrow):
            if narrow:
                found += self.narrow([[term[0] for term in piece] for piece in run])
            else:
                found += map(self.block, run)
        return found

    def family(self, term: Term) -> object:
        """Describe what neighbours that are one block have in common."""
        first = term[0]
        place = self.varied(term)
        if len(term) == 1 and self.is_number(first):
            return "numbers"
        if place is not None:  # all but the level, or the value of a part
            part = term[place].function in PARTS and term[place].function
            return term[:place], term[place].column, part, term[place + 1 :]
        if len(term) == 1:
            return first.function, first.argument if first.function == "power" else None
        return id(term)

    def is_number(self, factor: Factor) -> bool:
        """Check for a number, a time in days, or whether one is missing."""
        category = self.columns[factor.column].kind == "category"
        return not category and factor.function in (None, "time", "missing")

    def is_level(self, factor: Factor) -> bool:
        """Check for an indicator of a category."""
        return self.columns[factor.column].kind == "category"

    def varied(self, term: Term) -> int | None:
        """Find the last factor that is a level's or a part's indicator."""
        found = (j for j, f in enumerate(term) if f.is_indicator and not self.is_number(f))
        return max(found, default=None)

    def is_narrow(self, piece: Sequence[Term]) -> bool:
        """Check for numbers, or for a category of few indicators."""
        first = piece[0][0]
        few = self.is_level(first) and len(piece) <= WIDE
        return len(piece[0]) == 1 and (few or self.is_number(first))

    def narrow(self, pieces: Sequence[Sequence[Factor]]) -> list[str]:
        """Compute numbers and categories of few indicators in as few blocks as is worth it."""
        factors = [factor for piece in pieces for factor in piece]
        if len(pieces) > 2 and len(factors) <= MERGED * len(pieces):
            return self.merged(factors)
        found: list[str] = []
        for level, group in groupby(factors, self.is_level):
            run = list(group)
            found += [self.indicators(run)] if level else self.numbers(run)
        return found

    def merged(self, factors: Sequence[Factor]) -> list[str]:
        """Compute numbers and indicators each as if all were of their kind, then choose."""
        levels = list(map(self.is_level, factors))
        if all(levels):
            return [self.indicators(factors)]
        some_level, some_number = factors[levels.index(True)], factors[levels.index(False)]
        pairs = list(zip(factors, levels, strict=True))
        indicators = self.indicators([f if level else some_level for f, level in pairs])
        numbers = self.numbers([some_number if level else f for f, level in pairs])
        chosen = self.constant([levels])
        return [self.add("Where", chosen, indicators, self.concatenated(numbers))]

    def block(self, run: Sequence[Term]) -> str:
        """Compute a run of terms of one family."""
        first = run[0]
        place = self.varied(first)
        if place is not None:
            block = self.indicators([term[place] for term in run])
            values = [block if j == place else self.factor(f) for j, f in enumerate(first)]
            return self.product(values)
        if len(first) == 1:
            return self.function([term[0] for term in run])
        return self.product([self.factor(factor) for factor in first])

    def product(self, values: Sequence[str]) -> str:
        found = values[0]
        for value in values[1:]:
            found = self.add("Mul", found, value)
        return found

    def factor(self, factor: Factor) -> str:
        """Compute one factor [N, 1]."""
        if self.is_number(factor):
            return self.numbers([factor])[0]
        return self.indicators([factor]) if factor.is_indicator else self.function([factor])

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

    def function(self, factors: Sequence[Factor]) -> str:
        """Apply one function to numbers [N, L]."""
        first = factors[0]
        x = self.concatenated(self.numbers([Factor(factor.column) for factor in factors]))
        if first.function == "power":
            return self.product([x] * int(first.argument or 0))
        if first.function == "hinge":
            starts = self.real(*(float(factor.argument or 0) for factor in factors))
            above = self.add("Relu", self.add("Sub", x, starts))
            if all(self.columns[factor.column].fill is not None for factor in factors):
                return above
            return self.add("Where", self.add("IsNaN", x), self.real(NAN), above)  # Relu may give 0
        if first.function == "sqrt":
            return self.add("Sqrt", x)
        if first.function == "log1p":
            x = self.add("Add", x, self.real(1.0))
        positive = self.add("Greater", x, self.real(0.0))
        return self.add("Log", self.add("Where", positive, x, self.real(NAN)))

    def indicators(self, factors: Sequence[Factor]) -> str:
        """Compute indicators [N, L] of categories, or of one part of a time."""
        column = self.columns[factors[0].column]
        if column.kind == "category":
            columns = [self.columns[factor.column] for factor in factors]
            places = {column.name: self.places(column) for column in dict.fromkeys(columns)}
            several = [places[column.name] for column in columns] if len(places) > 1 else []
            found = self.concatenated(several or list(places.values()))
            wanted = [f.place(column) for f, column in zip(factors, columns, strict=True)]
            unknown, instead = self.add("Equal", found, self.whole(-1)), NAN
        else:
            found = self.part(column.name, str(factors[0].function))
            wanted = [int(factor.level or 0) for factor in factors]
            unknown = self.add("IsNaN", column.name)
            instead = NAN if column.fill is None else 0.0
        equal = self.add("Cast", self.add("Equal", found, self.whole(*wanted)), to=DOUBLE)
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
