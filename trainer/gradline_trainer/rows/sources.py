"""Whatever people call a table, as one that can be read in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradline.columns.matrix import column_labels
from gradline.errors import InputError
from gradline.tables import Dialect, open_files
from gradline.tables.frames import open_frame
from gradline_trainer.rows.arrays import ArrayTable, matrix_of
from gradline_trainer.rows.columns import Columns, Table, choose_columns

__all__ = ["open_table"]

Names = Sequence[str] | str | None


def open_table(
    table: Any,
    targets: Names,
    features: Names,
    exclude: Sequence[str] | str,
    sample_weight: Any,
    dialect: Dialect,
    one_hot: Sequence[str] | str = (),
) -> tuple[Table, Columns]:
    """Return the table, ready to be read, and what its columns are used for; see `fit`.

    Raises:
        InputError: For a table, or a column name, that does not fit.
    """
    source: Table
    if isinstance(table, tuple):
        source, targets, features, sample_weight = _pair(table, targets, features, sample_weight)
    elif isinstance(table, str | Path):
        source = open_files(table, dialect)
    else:
        source = table if isinstance(table, ArrayTable) else open_frame(table)
    return source, choose_columns(source, targets, features, exclude, sample_weight, one_hot)


def _pair(pair: Any, targets: Any, features: Any, weights: Any) -> tuple[ArrayTable, Any, Any, Any]:
    """Return a pair (X, Y), and perhaps weights, as a table, and its columns' names."""
    if len(pair) != 2:
        raise InputError(
            f"a tuple of {len(pair)} is no table", code="unknown-table", hint="give (X, Y)"
        )
    parts = [matrix_of(pair[0], "X"), matrix_of(pair[1], "Y")]
    if features is None:
        features = _labels(pair[0]) or [f"x{j}" for j in range(parts[0].shape[1])]
    if targets is None:
        targets = _labels(pair[1]) or [f"y{j}" for j in range(parts[1].shape[1])]
    features, targets = ([n] if isinstance(n, str) else list(n) for n in (features, targets))
    labels, name = [features, targets], None
    if weights is not None:
        parts.append(matrix_of(weights, "sample_weight"))
        name = "sample_weight"
        while name in (*features, *targets):
            name += "_"
        labels.append([name])
    for what, names, part in zip(("X", "Y", "sample_weight"), labels, parts, strict=False):
        if len(names) != part.shape[1]:
            raise InputError(
                f"{what} has {part.shape[1]} columns, expected {len(names)}, one for each name",
                code="wrong-shape",
                hint="give one name per column",
            )
    if len({part.shape[0] for part in parts}) > 1:
        raise InputError(
            f"X, Y and weights have {', '.join(str(part.shape[0]) for part in parts)} rows",
            code="wrong-shape",
            hint="give one row of each per observation",
        )
    table = ArrayTable(parts, [label for names in labels for label in names])
    return table, targets, features, name


def _labels(table: Any) -> list[str] | None:
    labels = column_labels(table)
    return None if labels is None else list(map(str, labels))
