"""Read a caller's rows, in any form that `gradline.Model.predict` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import (
    Gaps,
    checked_unknown,
    columns_by_name,
    compute_inputs,
    has_columns,
    values_of_columns,
)
from gradline.columns.matrix import column_labels, match_names, to_matrix
from gradline.columns.plan import NAMELESS, Plan
from gradline.columns.records import columns_of, is_records
from gradline.errors import InputError


@dataclass(frozen=True)
class Rows:
    """A caller's n rows, as values of a plan's m columns.

    Attributes:
        values: Shape (n, m): NaN if missing, −1 for an unknown level.
        plan: The model's plan, or the plan of the graph's inputs.
        unknown: What an unknown level becomes: "missing", "zero" or "error".
        dtype: The graph's dtype.
        columns: The columns as they were given, by name; empty for rows of the graph's inputs.
    """

    values: NDArray[Any]
    plan: Plan
    unknown: str
    dtype: np.dtype[Any]
    columns: Mapping[str, Any]

    @cached_property
    def inputs(self) -> NDArray[Any]:
        """The graph's inputs, shape (n, d), C-contiguous, missing values filled."""
        return compute_inputs(self.values, self.plan, self.unknown, self.dtype)

    @property
    def gaps(self) -> Gaps:
        """The filled and missing values, and the unknown levels."""
        return Gaps(self.values, self.plan)


def read_rows(rows: Any, plan: Plan, own: Plan, unknown: str | None, dtype: np.dtype[Any]) -> Rows:
    """Read rows of any form; see `gradline.Model.predict`.

    Args:
        rows: The caller's rows.
        plan: The model's plan.
        own: The plan of the graph's inputs.
        unknown: The option unknown_category.
        dtype: The graph's dtype.

    Raises:
        InputError: Naming the wrong column, row, shape or dtype.
    """
    unknown = checked_unknown(unknown, plan)
    rows = by_columns(rows, plan)
    if plan is not own and (columns := columns_by_name(rows, plan)) is not None:
        return Rows(values_of_columns(columns, plan, unknown), plan, unknown, dtype, columns)
    try:
        return Rows(to_matrix(rows, own.features, dtype), own, unknown, dtype, {})
    except InputError as error:
        if plan is own or error.code not in ("not-numeric", "wrong-shape"):
            raise
        hint = _by_name(rows, plan) or error.command_hint
        raise InputError(str(error), code=error.code, hint=hint) from error.__cause__


def _by_name(rows: Any, plan: Plan) -> str:
    """Write a hint for values without names, of a model that has columns; empty for a frame."""
    if isinstance(rows, Mapping) or column_labels(rows) is not None:
        return ""
    names = [column.name for column in plan.columns]
    listed = ", ".join(map(repr, names[:8])) + ", …" * (len(names) > 8)
    return f"give the columns by name, such as pandas.DataFrame(rows, columns=[{listed}])"


def by_columns(rows: Any, plan: Plan) -> Any:
    """Turn records into columns; return anything else unchanged.

    Records are a mapping of single values, a row of a pandas frame (a Series whose index has the
    names), a list of either, and a Polars Series of structs.

    Raises:
        InputError: For a record with a missing or an extra column, and for a mapping that mixes
            lists and single values.
    """
    if isinstance(rows, Mapping):
        return {name: [rows[name]] for name in rows} if _is_record(rows) else rows
    if isinstance(rows, list | tuple):
        return _of_list(rows, plan) if rows and not isinstance(rows[0], list | tuple) else rows
    if _is_pandas_row(rows):
        return {name: [value] for name, value in _of_pandas(rows, plan).items()}
    if type(rows).__module__.startswith("polars.") and hasattr(rows, "struct"):
        fields = getattr(rows.dtype, "fields", None)
        return rows if fields is None else rows.struct.unnest()
    return rows


def _of_list(rows: Sequence[Any], plan: Plan) -> Any:
    if _is_pandas_row(rows[0]):
        rows = [_of_pandas(row, plan) if _is_pandas_row(row) else row for row in rows]
    return columns_of(rows, _names(list(map(str, rows[0])), plan)) if is_records(rows) else rows


def _names(given: Sequence[str], plan: Plan) -> list[str]:
    """List the names that rows must have: of the table's columns, or of the graph's inputs."""
    if not has_columns(given, plan):
        return plan.features
    is_pandas_name = "" not in given and NAMELESS in given
    names = (column.name for column in plan.columns)
    return [NAMELESS if is_pandas_name and not name else name for name in names]


def _is_record(columns: Mapping[Any, Any]) -> bool:
    """Check whether a mapping has single values; refuse one that has lists, too."""
    single = [name for name, values in columns.items() if _is_single(values)]
    if not single or len(single) == len(columns):
        return bool(single)
    other = next(name for name in columns if name not in single)
    what = f"the column {single[0]!r} is a single value, and {other!r} has several"
    hint = "give every column a list of values, or every column one value"
    raise InputError(what, code="wrong-shape", hint=hint)


def _is_single(value: object) -> bool:
    if type(value) is list:  # most often, and the other checks take longer
        return False
    if isinstance(value, (str, bytes, np.generic)):
        return True
    return not hasattr(value, "__len__") or getattr(value, "ndim", None) == 0


def _is_pandas_row(row: object) -> bool:
    """Check for a pandas Series whose index has names, not only numbers."""
    if type(row).__module__.partition(".")[0] != "pandas" or not hasattr(row, "index"):
        return False
    labels = getattr(row.index, "dtype", None)
    return (
        hasattr(row, "to_dict")
        and not hasattr(row, "columns")
        and labels is not None
        and (not isinstance(labels, np.dtype) or labels.kind == "O")
    )


def _of_pandas(row: Any, plan: Plan) -> dict[str, Any]:
    """Take a plan's columns from a row of a pandas frame, which may have more."""
    labels = list(map(str, row.index))
    names = _names(labels, plan)
    match_names(labels, names, extra="ignore", what=plan.noun)
    values = dict(zip(labels, row.array, strict=True))
    return {name: values[name] for name in names}
