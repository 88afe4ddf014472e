"""The plan of a model: the table's columns, and the terms that its inputs are made of.

Training, prediction, serving, explanation and the report compute their inputs here, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import PARTS
from gradline.columns.grouping import Grouped, Layout, code_of, lay_out
from gradline.columns.kinds import Column, dump_column, load_column
from gradline.columns.terms import Factor, Term, dump_term, load_term, name_of

Array = NDArray[np.float64]
NAMELESS = "Unnamed: 0"


@dataclass(frozen=True)
class Plan:
    """The table's columns, m of them, and the d terms that are made of them.

    Attributes:
        columns: The columns that a term uses.
        terms: Each a product of factors; one input of the graph.
        format: The package format that the plan needs, 1 or 2.
    """

    columns: tuple[Column, ...]
    terms: tuple[Term, ...]
    format: int = 2

    @cached_property
    def features(self) -> list[str]:
        """The names of the graph's d inputs."""
        if self.is_plain:
            return [column.name for column in self.columns]
        if self.format == 1:
            return [name for column in self.columns for name in column.features]
        return list(map(name_of, self.terms))

    @cached_property
    def is_plain(self) -> bool:
        """Whether each column is a number and a term by itself, in order."""
        own = [(Factor(column.name),) for column in self.columns]
        return list(self.terms) == own and all(c.kind == "number" for c in self.columns)

    @cached_property
    def has_gaps(self) -> bool:
        """Whether rows can have filled values or unknown levels."""
        return any(c.fill is not None or c.kind == "category" for c in self.columns)

    @property
    def noun(self) -> str:
        """What messages call a column."""
        return "feature" if self.format == 1 else "column"

    def compute(self, values: Array) -> Array:
        """Compute the terms, shape (n, d), of rows of the columns, shape (n, m).

        A number is itself, a time is in seconds, a category is the place of its level (see
        `Column.places`). NaN is a missing value, or an unknown level; −1 is a level for which all
        indicators are 0. Outside a function's domain the term is NaN.
        """
        if self.is_plain:
            fills = np.array([math.nan if c.fill is None else c.fill for c in self.columns])
            if np.isnan(fills).all():
                return values
            return np.where(np.isnan(values), fills, values)
        found = np.zeros((len(values), len(self.terms)))
        self.fill(values, found)
        return found

    def fill(self, values: Array, found: NDArray[Any]) -> None:
        """Compute the terms like `compute` into an array of zeros.

        Args:
            values: Rows of the columns, shape (n, m).
            found: The array, of any float dtype, shape (n, d), C-contiguous.

        Raises:
            FloatingPointError: If a value is outside the range of the array's dtype.
        """
        table = _Values(self, values)
        own, runs = self._places
        with np.errstate(all="ignore"):
            computed = [table.product(self.terms[j]) for j in own]
            firsts = np.arange(0, found.size, len(self.terms))
            for run in runs:
                run.fill(table.codes(run.factor), found, firsts)
        with np.errstate(all="ignore", over="raise"):
            for j, column in zip(own, computed, strict=True):
                found[:, j] = column

    @cached_property
    def layout(self) -> Layout:
        """How the terms are divided into groups of indicators and other terms."""
        return lay_out(self.columns, self.terms)

    def group(self, values: Array) -> Grouped:
        """Compute the terms of complete rows like `compute`, but indicators as codes."""
        with np.errstate(all="ignore"):
            return self.layout.group(_Values(self, values), len(values))

    @cached_property
    def _places(self) -> tuple[list[int], list[_Run]]:
        """Divide the terms into those computed one by one, and runs of indicators of a column."""
        known = {column.name: column for column in self.columns}
        own: list[int] = []
        runs: list[_Run] = []
        start = 0
        for _, group in groupby(self.terms, _family):
            terms = list(group)
            run = _Run.of([term[0] for term in terms], start, known) if len(terms) > 1 else None
            if run is None:
                own += range(start, start + len(terms))
            else:
                runs.append(run)
            start += len(terms)
        return own, runs

    @cached_property
    def named(self) -> Plan:
        """The plan with a name for a first column without one, since a graph's inputs have names.

        It is the name that pandas gives such a column.
        """
        names = {column.name for column in self.columns}
        if "" not in names:
            return self
        name = NAMELESS
        while name in names:
            name += "'"
        columns = [c if c.name else replace(c, name=name) for c in self.columns]
        terms = [tuple(f if f.column else replace(f, column=name) for f in t) for t in self.terms]
        return replace(self, columns=tuple(columns), terms=tuple(terms))

    def select(self, places: Sequence[int]) -> Plan:
        """Keep some of the terms, and the columns that they use."""
        terms = tuple(self.terms[j] for j in places)
        used = {factor.column for term in terms for factor in term}
        return replace(self, columns=tuple(c for c in self.columns if c.name in used), terms=terms)

    def dump(self) -> dict[str, Any]:
        """Build the members `columns` and `terms` of a schema of format 2."""
        return {
            "columns": [dump_column(column) for column in self.columns],
            "terms": [dump_term(term) for term in self.terms],
        }

    @classmethod
    def load(cls, columns: Any, terms: Any) -> Plan:
        """Parse what `dump` built; raise ValueError for anything else."""
        if not isinstance(columns, list) or not isinstance(terms, list) or not terms:
            raise ValueError("no list of columns, or no list of terms")
        plan = cls(tuple(map(load_column, columns)), tuple(map(load_term, terms)))
        known = {column.name: column for column in plan.columns}
        if len(known) < len(plan.columns):
            raise ValueError("a name appears twice")
        used = {factor.column for term in plan.terms for factor in term}
        if used != set(known):
            raise ValueError("the terms use other columns")
        for term in plan.terms:
            for factor in term:
                factor.check(known[factor.column])
        if len(set(plan.features)) < len(plan.features):
            raise ValueError("a term appears twice")
        return plan

    @classmethod
    def of_columns(cls, columns: Sequence[Column]) -> Plan:
        """Make the plan of a package of format 1: numbers as they are, and indicators."""
        terms: list[Term] = []
        for column in columns:
            if column.kind == "category":
                levels = [level for level in column.levels if level != column.reference]
                terms += [(Factor(column.name, level=level),) for level in levels]
            else:
                terms.append((Factor(column.name),))
        return cls(tuple(columns), tuple(terms), 1)


def _family(term: Term) -> object:
    factor = term[0]
    if len(term) == 1 and factor.is_indicator:
        return factor.column, factor.function in PARTS and factor.function
    return id(term)


@dataclass(frozen=True)
class _Run:
    """Adjacent indicators of one column, or of one part of its times; at most one of them is 1."""

    factor: Factor  # one of them
    terms: slice
    places: NDArray[np.intp]  # for each code from −1 on, the place of its term, else the first
    ones: Array  # whether the code has a term
    spreads: bool  # whether a missing code makes them missing

    @classmethod
    def of(cls, factors: Sequence[Factor], start: int, known: Mapping[str, Column]) -> _Run | None:
        """Look up the places of indicators; return None if two of them are equal."""
        column = known[factors[0].column]
        codes = [code_of(factor, column) for factor in factors]
        if len(set(codes)) < len(codes):
            return None
        places, ones = np.full(max(codes) + 3, start), np.zeros(max(codes) + 3)
        places[np.add(codes, 1)] = np.arange(start, start + len(codes))
        ones[np.add(codes, 1)] = 1.0
        spreads = column.kind == "category" or column.fill is None
        return cls(factors[0], slice(start, start + len(codes)), places, ones, spreads)

    def fill(self, codes: Array, found: NDArray[Any], firsts: NDArray[np.intp]) -> None:
        """Set the indicators of codes, shape (n,), in rows of 0 that begin at `firsts`."""
        # A missing code and one that is too large are clipped to an end, which has no term.
        kinds = (codes + 1.0).astype(np.intp)
        places = self.places.take(kinds, mode="clip")
        ones = self.ones.astype(found.dtype)  # a small array: a cast of each row takes longer
        found.reshape(-1)[firsts + places] = ones.take(kinds, mode="clip")
        if self.spreads and (missing := np.isnan(codes)).any():
            found[missing, self.terms] = np.nan


class _Values:
    """The columns' values, and what several terms share of them."""

    def __init__(self, plan: Plan, values: Array) -> None:
        self.columns = {column.name: column for column in plan.columns}
        self.values = dict(zip(self.columns, values.T, strict=True))
        self.parts: dict[tuple[str, str], Array] = {}

    def product(self, factors: Sequence[Factor]) -> Array:
        """Multiply factors from the left, shape (n,)."""
        found = self.factor(factors[0])
        for factor in factors[1:]:
            found = found * self.factor(factor)
        return found

    def factor(self, factor: Factor) -> Array:
        """Compute one factor, shape (n,)."""
        column = self.columns[factor.column]
        if factor.is_indicator:
            return self._indicator(factor, column)
        values = self.values[factor.column]
        if column.fill is not None:
            values = np.where(np.isnan(values), column.fill, values)
        return factor.apply(values)

    def _indicator(self, factor: Factor, column: Column) -> Array:
        codes = self.codes(factor)
        found: Array = (codes == code_of(factor, column)).astype(np.float64)
        if column.kind == "category" or column.fill is None:
            found[np.isnan(codes)] = np.nan
        return found

    def codes(self, factor: Factor) -> Array:
        """Compute a column's codes, shape (n,): an indicator is 1 for one of them."""
        values: Array = self.values[factor.column]
        if self.columns[factor.column].kind == "category":
            return values
        if factor.function == "missing":
            return np.isnan(values).astype(np.float64)
        return self._part(factor.column, str(factor.function))

    def _part(self, name: str, part: str) -> Array:
        if (name, part) not in self.parts:
            self.parts[name, part] = PARTS[part].of(self.values[name])
        return self.parts[name, part]
