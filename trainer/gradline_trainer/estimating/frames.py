"""Read frames with text, categories, booleans or times, for training and for prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.carriers import carry
from gradline.columns.inputs import FLOAT64, compute_inputs, unknown_levels
from gradline.columns.kinds import Column
from gradline.columns.matrix import column_labels, is_sparse, stack
from gradline.columns.parsing import read_carried
from gradline.columns.plan import Plan
from gradline.errors import InputError
from gradline.formatting import free_name
from gradline.tables import FrameTable
from gradline.tables.frames import open_frame
from gradline.tables.lazy_polars import pl
from gradline_trainer.rows.arrays import matrix_of
from gradline_trainer.rows.columns import refuse_duplicates
from gradline_trainer.terms.kinds import typed_kind

Array = NDArray[np.float64]


def has_terms(X: Any, terms: Sequence[str] | str | None) -> bool:
    """Check whether X's columns become terms; otherwise each has one weight, as in a matrix.

    Raises:
        InputError: For a frame with two columns of one name ("duplicate-column"), and for terms
            without a frame ("bad-option").
    """
    labels = column_labels(X)
    names = list(map(str, labels or ()))
    refuse_duplicates(names, names)
    if terms is None:
        return labels is not None and not _is_plain(X)
    if not isinstance(terms, Sequence) or not all(isinstance(term, str) for term in terms):
        raise InputError(
            f"terms = {terms!r}, expected '*', a term or a list of terms",
            code="bad-option",
            hint="such as terms=['price', 'log(size)']",
        )
    if labels is not None and terms:
        return True
    what = f"X is {type(X).__name__} without column names" if terms else "no term is named"
    raise InputError(
        f"terms = {terms!r}, but {what}",
        code="bad-option",
        hint="give a frame, such as pandas.DataFrame(X, columns=names), and terms of its columns; "
        "or terms=None for one weight per column",
    )


def _is_plain(X: Any) -> bool:
    """Check whether a frame's columns are all numbers, and none is of booleans."""
    kinds = [getattr(dtype, "kind", None) for dtype in getattr(X, "dtypes", ())]
    if kinds and all(kind is not None and kind in "fiu" for kind in kinds):  # pandas
        return True
    frame = open_frame({str(place): column_at(X, place) for place in range(X.shape[1])})
    types = {dtype for found in frame.dtypes.values() for dtype in found}
    return all(dtype.is_numeric() or dtype == pl.Null for dtype in types)


def missing_value(X: Any, names: Sequence[str] | None) -> InputError:
    """Build the error for the first missing value in X."""
    where = ""
    if not is_sparse(X):
        row, column = np.argwhere(np.isnan(matrix_of(X, "X")))[0].tolist()
        name = repr(str(names[column])) if names is not None else str(column + 1)
        where = f": row {row + 1} has no value in the column {name}"
    return InputError(
        f"X contains NaN{where}",
        code="missing-value",
        hint="fill it with LinearRegression(missing='mean'), or leave such rows out of the "
        "training with missing='drop'",
    )


def column_at(X: Any, place: int) -> Any:
    """Take a column of a frame or a matrix."""
    if hasattr(X, "iloc"):
        return X.iloc[:, place]
    if hasattr(X, "column"):  # pyarrow
        return X.column(place)
    return X[:, place]


def table_of_frame(
    X: Any,
    names: Sequence[str],
    y: NDArray[Any],
    targets: Sequence[str],
    sample_weight: Any,
) -> tuple[FrameTable, str | None]:
    """Join a frame's columns, the targets (n,) or (n, k) and the weights (n,) to a table.

    Returns the table, and the name of the column of weights.

    Raises:
        InputError: For targets or weights that are no numbers or of another shape.
    """
    columns = {name: column_at(X, place) for place, name in enumerate(names)}
    columns |= dict(zip(targets, matrix_of(y, "y").T, strict=True))
    if sample_weight is None:
        return open_frame(columns), None
    weights = matrix_of(sample_weight, "sample_weight")
    if weights.shape != (len(y), 1):
        raise InputError(
            f"sample_weight has the shape {np.shape(sample_weight)}, expected ({len(y)},)",
            code="wrong-shape",
            hint="give one weight per row",
        )
    weight = free_name("sample_weight", columns)
    return open_frame(columns | {weight: weights[:, 0]}), weight


def without_terms(table: FrameTable, names: Sequence[str], missing: str) -> list[str]:
    """List the columns that give no term: categories with one value, and columns without values.

    In a category a missing value counts as a value. With `missing` "error", a column without values
    is not listed: training refuses it.
    """
    frame = table.parts[0].frame.select(names).collect()
    found = []
    for name, column in zip(names, frame.get_columns(), strict=True):
        is_category = typed_kind(table.dtype(name)) in ("text", "category")
        numbers = column.dtype.is_float()
        gaps = column.null_count() + (int(column.is_nan().sum() or 0) if numbers else 0)
        is_empty = gaps == len(column) and missing != "error"
        if is_empty or (is_category and column.n_unique() <= 1):
            found.append(name)
    return found


def read_frame(X: Any, names: Sequence[str], plan: Plan) -> tuple[Array, Array]:
    """Read a frame, or a matrix of any dtype, as values (n, m) and terms (n, d).

    Raises:
        InputError: For a value that a column cannot have.
    """
    places = {name: place for place, name in enumerate(names)}
    columns = {c.name: _read(c, column_at(X, places[c.name])) for c in plan.columns}
    values = stack(columns, FLOAT64, order="F")
    return values, compute_inputs(values, plan, "missing", FLOAT64)


def _read(column: Column, values: Any) -> Array:
    # As training does, read numbers from text.
    return read_carried(
        column, carry(values, column.name), "zero", label="X", start=0, is_text=True
    )


def describe_unanswered(values: Array, plan: Plan, unanswered: Any) -> str:
    """Count the rows (n,) of values (n, m) without an answer, and say why the first has none."""
    row = int(np.argmax(unanswered))
    rows = f"{int(unanswered.sum())} of {len(values)} rows have no answer (NaN)"
    names = [column.name for column in plan.columns]
    for unknown, why in ((True, "a level that no training row had"), (False, "no value")):
        found = unknown_levels(values, plan)[row] if unknown else np.isnan(values[row])
        if found.any():
            return f"{rows}: row {row + 1} has {why} in {names[int(np.argmax(found))]!r}"
    return f"{rows}: row {row + 1} is outside the domain of a term's function"
