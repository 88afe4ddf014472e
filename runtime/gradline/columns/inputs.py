"""A model's rows: the table's columns by name, or the graph's own inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import FIRST, LAST
from gradline.columns.kinds import Column
from gradline.columns.levels import UNKNOWN
from gradline.columns.matrix import (
    column_labels,
    match_names,
    out_of_range,
    stack,
    to_matrix,
)
from gradline.columns.parsing import values_of
from gradline.columns.plan import NAMELESS, Plan
from gradline.columns.terms import Factor, Term
from gradline.errors import InputError

UNKNOWN_PLACE = -1  # of a level that no training row had
FLOAT64 = np.dtype(np.float64)
AT_ONCE = 1 << 18  # inputs that stay in the cache until they are predicted


def checked_unknown(unknown: str | None, plan: Plan) -> str:
    """Check the option unknown_category; None is "error" in format 1, else "missing"."""
    if unknown is None:
        return "error" if plan.format == 1 else "missing"
    if unknown not in UNKNOWN:
        what = f"unknown_category = {unknown!r}, expected one of {', '.join(UNKNOWN)}"
        raise InputError(what, code="bad-option")
    return unknown


def plan_of_inputs(plan: Plan) -> Plan:
    """Make the plan of rows that hold the graph's inputs: numbers, some with a fill value."""
    fills: dict[Term, float | None] = {(Factor(c.name),): c.fill for c in plan.columns}
    columns = zip(plan.features, plan.terms, strict=True)
    return Plan.of_columns([Column(name, fill=fills.get(term)) for name, term in columns])


def has_columns(names: Sequence[str], plan: Plan) -> bool:
    """Check whether a table has the training table's columns rather than the graph's inputs."""
    given = set(names)
    columns = {column.name for column in plan.columns}
    return columns == set(plan.features) or not given.issuperset(plan.features)


def columns_by_name(rows: Any, plan: Plan) -> dict[str, Any] | None:
    """Find the training table's columns in rows by name, in the plan's order.

    Returns None if the rows have no names, or the names of the graph's inputs.
    """
    labels = list(rows) if isinstance(rows, Mapping) else column_labels(rows)
    names = None if labels is None else _names(labels, plan)
    if labels is None or names is None or not has_columns(names, plan):
        return None
    extra = "refuse" if isinstance(rows, Mapping) else "ignore"
    match_names(names, [column.name for column in plan.columns], extra=extra, what=plan.noun)
    by_text = dict(zip(names, labels, strict=True))
    return {column.name: rows[by_text[column.name]] for column in plan.columns}


def values_of_columns(columns: Mapping[str, Any], plan: Plan, unknown: str) -> NDArray[np.float64]:
    """Read the training table's columns, shape (n, m).

    A level that no training row had is UNKNOWN_PLACE, unless `unknown` is "error".
    """
    asked = "error" if unknown == "error" else "zero"
    values = {column.name: _values(column, columns[column.name], asked) for column in plan.columns}
    return stack(values, FLOAT64, order="F")  # the plan takes column by column


def _names(labels: Sequence[Any], plan: Plan) -> list[str]:
    """Write labels as text; a nameless column may have the name that pandas gives it."""
    names = list(map(str, labels))
    if "" in names or all(column.name for column in plan.columns):
        return names
    return ["" if name == NAMELESS else name for name in names]


@dataclass(frozen=True)
class WallClock:
    """Times in whole seconds of the column's wall clock, shape (n,), as `pipeline.onnx` takes."""

    seconds: NDArray[Any]

    def __len__(self) -> int:
        return len(self.seconds)


def _values(column: Column, values: Any, unknown: str) -> Any:
    if not isinstance(values, WallClock):
        return values_of(column, values, unknown)
    seconds = np.floor(values.seconds)
    if ((seconds < FIRST) | (seconds > LAST)).any():
        what = f"the column {column.name!r} holds a time outside the years 1 to 9999"
        raise InputError(what, code="out-of-range", hint="give whole seconds since 1970-01-01")
    return seconds


def compute_inputs(
    values: NDArray[Any], plan: Plan, unknown: str, dtype: np.dtype[Any] | None = None
) -> NDArray[Any]:
    """Compute the graph's inputs, shape (n, d), of values that may have UNKNOWN_PLACE.

    They are cast to `dtype`; without one they stay float64, or a plain plan's values as they are.

    Raises:
        InputError: For an input outside the range of `dtype`.
    """
    if plan.is_plain:
        if not plan.has_gaps and values.dtype == dtype and values.flags.c_contiguous:
            return values  # for one row a copy takes longer than the prediction
        inputs = plan.compute(values)
        return inputs if dtype is None else to_matrix(inputs, plan.features, dtype)
    found = np.zeros((len(values), len(plan.terms)), dtype or FLOAT64)
    size = _rows_at_once(plan)
    for start in range(0, len(values), size):
        _fill(values, start, plan, unknown, found[start : start + size])
    return found


def blocks_of_inputs(
    values: NDArray[Any], plan: Plan, unknown: str, dtype: np.dtype[Any]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield what `compute_inputs` computes, block by block, with the place of the first row.

    A block is valid until the next: all are made in one array, which stays in the cache.
    """
    size = max(1, min(len(values), _rows_at_once(plan)))
    block = np.zeros((size, len(plan.terms)), dtype)
    # Without rows there is one block without rows.
    for start in range(0, max(1, len(values)), size):
        found = block[: len(values) - start]
        if start:
            found.fill(0)
        _fill(values, start, plan, unknown, found)
        yield start, found


def _rows_at_once(plan: Plan) -> int:
    """Choose a power of two, so that a table's blocks are divided without a short rest."""
    return 1 << (max(1, AT_ONCE // len(plan.terms)).bit_length() - 1)


def _fill(values: NDArray[Any], start: int, plan: Plan, unknown: str, found: NDArray[Any]) -> None:
    """Compute the inputs of the rows from `start` on into an array of zeros."""
    block = values[start : start + len(found)]
    if unknown == "missing" and _has_unknown_levels(block, plan):
        block = np.where(unknown_levels(block, plan), np.nan, block)
    try:
        plan.fill(block, found)
    except FloatingPointError:
        raise out_of_range(plan.compute(block), found.dtype, plan.features, start) from None


def _has_unknown_levels(values: NDArray[np.float64], plan: Plan) -> bool:
    categories = (j for j, column in enumerate(plan.columns) if column.kind == "category")
    return any((values[:, j] == UNKNOWN_PLACE).any() for j in categories)


def unknown_levels(values: NDArray[np.float64], plan: Plan) -> NDArray[np.bool_]:
    """Find the levels that no training row had, shape (n, m)."""
    found = np.zeros(values.shape, np.bool_, order="F")
    for j, column in enumerate(plan.columns):  # other columns cost no pass over their values
        if column.kind == "category":
            found[:, j] = values[:, j] == UNKNOWN_PLACE
    return found


@dataclass(frozen=True)
class Gaps:
    """Values that rows lack. A row has no answer if one is missing and was not filled.

    Attributes:
        values: The rows of the plan's columns, shape (n, m).
        plan: The plan.
    """

    values: NDArray[Any]
    plan: Plan

    @property
    def columns(self) -> list[str]:
        """The names of the m columns."""
        return [column.name for column in self.plan.columns]

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """Whether a missing value was replaced by the column's fill value, shape (n, m)."""
        return self._missing(filled=True)

    @cached_property
    def unknown(self) -> NDArray[np.bool_]:
        """Whether a category has a level that no training row had, shape (n, m)."""
        return unknown_levels(self.values, self.plan)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Whether a value is missing that nothing replaces, shape (n, m)."""
        return self._missing(filled=False)

    def _missing(self, *, filled: bool) -> NDArray[np.bool_]:
        found = np.zeros(self.values.shape, np.bool_, order="F")
        for j, column in enumerate(self.plan.columns):
            if (column.fill is not None) is filled:
                found[:, j] = np.isnan(self.values[:, j])
        return found

    @property
    def rows(self) -> NDArray[np.bool_]:
        """Whether a row has a gap, shape (n,)."""
        found: NDArray[np.bool_] = np.any(self.filled | self.unknown | self.missing, axis=1)
        return found

    def at(self, places: NDArray[np.intp]) -> Gaps:
        """Take some of the rows."""
        return Gaps(self.values[places], self.plan)
