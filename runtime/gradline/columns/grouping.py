"""Terms as coded groups: a category of many levels is one code per row, not many columns.

Sums and products of indicators are counts and group sums. They take a code for each row, so a
matrix of the indicators is never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import PARTS
from gradline.columns.kinds import Column
from gradline.columns.terms import Factor, Term

Array = NDArray[np.float64]
Family = tuple[str, str | None]  # a column, and a part of its times or "missing"
GROUPED = 32  # multiplications that take as long as one addition to a group's sum


@dataclass(frozen=True)
class Group:
    """Terms that are the number v if the row's code is theirs, else 0.

    Attributes:
        codes: Shape (n,), from 0 to s − 1.
        places: Each code's place among the d terms, shape (s,); −1 if it has no term.
        value: v, shape (n,); None if it is 1.
    """

    codes: NDArray[np.intp]
    places: NDArray[np.intp]
    value: Array | None


@dataclass(frozen=True)
class Grouped:
    """The terms of n complete rows.

    Attributes:
        dense: The values of the q terms that are in no group, shape (n, q).
        places: Their places among the d terms, shape (q,).
        groups: All other terms. Groups with equal codes share one array.
    """

    dense: Array
    places: NDArray[np.intp]
    groups: list[Group]


class Computing(Protocol):
    """Computes factors from the values of columns."""

    def product(self, factors: Sequence[Factor]) -> Array:
        """Multiply factors from the left, shape (n,)."""

    def codes(self, factor: Factor) -> Array:
        """Compute a column's codes, shape (n,): an indicator is 1 for one of them."""


@dataclass(frozen=True)
class _Coding:
    """The joint codes of some columns that have terms."""

    factors: Term  # an indicator of each column or part
    sizes: list[int]  # more than the largest code of each
    joint: NDArray[np.intp]  # ascending

    def number(self, table: Computing) -> NDArray[np.intp]:
        """Number each row's joint code among those with terms, shape (n,); others come last."""
        codes = [table.codes(factor) for factor in self.factors]
        # A level without an indicator is −1, and a part of a missing time is NaN.
        known = np.logical_and.reduce([code >= 0 for code in codes])
        found = np.zeros(len(known), np.intp)
        for code, size in zip(codes, self.sizes, strict=True):
            found = found * size + np.where(known, code, 0.0).astype(np.intp)
        count = len(self.joint)
        if len(codes) == 1:
            numbers = np.full(self.sizes[0], count)
            numbers[self.joint] = np.arange(count)
            found = numbers[found]
        else:
            places = np.searchsorted(self.joint, found)
            same = self.joint[np.minimum(places, count - 1)] == found
            found = np.where(same, places, count)
        found[~known] = count
        return found


@dataclass(frozen=True)
class Layout:
    """How terms are divided into groups and dense columns.

    Attributes:
        terms: All d terms.
        dense: The places of the terms in no group.
        codings: The distinct codes.
        groups: Each group's coding, numeric factors, and codes' places.
    """

    terms: tuple[Term, ...]
    dense: list[int]
    codings: list[_Coding]
    groups: list[tuple[int, Term, NDArray[np.intp]]]

    @property
    def width(self) -> int:
        """How many numbers a row has: dense terms and groups."""
        return len(self.dense) + len(self.groups)

    def pays(self, targets: int) -> bool:
        """Check whether group sums take less time than products of matrices, beside k targets."""
        others = len(self.dense) + targets
        m, g = len(self.terms) - len(self.dense), len(self.groups)
        return m * (m + 2 * others) > GROUPED * g * (g + 2 * others)

    def group(self, table: Computing, rows: int) -> Grouped:
        """Compute the terms of complete rows."""
        dense = np.empty((rows, len(self.dense)))
        for i, j in enumerate(self.dense):
            dense[:, i] = table.product(self.terms[j])
        codes = [coding.number(table) for coding in self.codings]
        groups = [
            Group(codes[i], places, table.product(numbers) if numbers else None)
            for i, numbers, places in self.groups
        ]
        return Grouped(dense, np.array(self.dense, np.intp), groups)


def code_of(factor: Factor, column: Column) -> int:
    """Find the code for which an indicator is 1."""
    if column.kind == "category":
        return factor.place(column)
    return 1 if factor.function == "missing" else int(factor.level or 0)


def lay_out(columns: Sequence[Column], terms: Sequence[Term]) -> Layout:
    """Divide terms into groups; a term that would be a group of its own stays dense."""
    known = {column.name: column for column in columns}
    codings: dict[tuple[Family, ...], _Coding] = {}
    members: dict[tuple[tuple[Family, ...], Term], dict[int, int]] = {}
    for j, term in enumerate(terms):
        indicators = tuple(factor for factor in term if factor.is_indicator)
        numbers = tuple(factor for factor in term if not factor.is_indicator)
        families = tuple(_family(factor, known[factor.column]) for factor in indicators)
        if families not in codings:
            sizes = [_size(factor, known[factor.column]) for factor in indicators]
            codings[families] = _Coding(indicators, sizes, np.empty(0, np.intp))
        code = 0
        for factor, size in zip(indicators, codings[families].sizes, strict=True):
            code = code * size + code_of(factor, known[factor.column])
        # A term with the same values as an earlier one has no code of its own.
        members.setdefault((families, numbers), {}).setdefault(code, j)
    grouped = {key: found for key, found in members.items() if key[0] and len(found) > 1}
    used = list(dict.fromkeys(families for families, _ in grouped))
    for families in used:
        codes = {code for key, found in grouped.items() if key[0] == families for code in found}
        codings[families] = replace(codings[families], joint=np.array(sorted(codes), np.intp))
    groups = []
    for (families, numbers), found in grouped.items():
        joint = codings[families].joint
        places = np.full(len(joint) + 1, -1, np.intp)
        places[np.searchsorted(joint, list(found))] = list(found.values())
        groups.append((used.index(families), numbers, places))
    taken = {j for found in grouped.values() for j in found.values()}
    dense = [j for j in range(len(terms)) if j not in taken]
    return Layout(tuple(terms), dense, [codings[families] for families in used], groups)


def _family(factor: Factor, column: Column) -> Family:
    """Name what an indicator tells apart: levels, values of a part, or missing values."""
    return factor.column, None if column.kind == "category" else factor.function


def _size(factor: Factor, column: Column) -> int:
    """Count the codes that an indicator may have."""
    if column.kind == "category":
        return column.missing_place + 2
    return 2 if factor.function == "missing" else PARTS[str(factor.function)].values.stop
