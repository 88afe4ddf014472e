"""Rows that have the columns of the table that was trained on, as the graph's inputs by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradline.columns.categories import is_missing, place_finder, places_of, texts_of
from gradline.columns.encoding import Column
from gradline.columns.matrix import column_labels, match_names

__all__ = ["as_inputs", "has_columns"]


def has_columns(names: Sequence[str], columns: Sequence[Column], features: Sequence[str]) -> bool:
    """Return whether a table is to be read by its columns, not by the graph's own inputs.

    Args:
        names: The table's.
        columns: What the package was trained on; none where they are the graph's inputs.
        features: The graph's inputs, which a table may have instead.
    """
    given = set(names)
    return bool(columns) and (
        given.issuperset(column.name for column in columns) or not given.issuperset(features)
    )


def as_inputs(
    rows: object, columns: Sequence[Column], features: Sequence[str], unknown: str
) -> object:
    """Return the graph's inputs by name, from rows that have the table's columns by name.

    Rows without names, or with those of the graph's inputs, are returned as they are.

    Args:
        rows: What `Model.predict` takes.
        columns: What the package was trained on.
        features: The graph's inputs.
        unknown: What a category that is none of the levels does: see `place_finder`.

    Raises:
        InputError: For a column that is missing, or a category that is unknown.
    """
    labels = list(rows) if isinstance(rows, Mapping) else column_labels(rows)
    if labels is None or not has_columns(list(map(str, labels)), columns, features):
        return rows
    extra = "refuse" if isinstance(rows, Mapping) else "ignore"
    match_names(list(map(str, labels)), [column.name for column in columns], extra=extra)
    places = {str(label): label for label in labels}
    inputs: dict[str, object] = {}
    for column in columns:
        values = rows[places[column.name]]  # type: ignore[index]
        if column.kind == "category":
            texts = texts_of(values, column.name)
            block = column.indicators(places_of(texts, column.name, place_finder(column, unknown)))
            inputs |= zip(column.features, block.T, strict=True)
        else:
            inputs[column.name] = values if column.fill is None else _with_nan(values)
    return inputs


def _with_nan(values: Any) -> object:
    array = np.asarray(values)
    if array.dtype.kind != "O":
        return values
    return [np.nan if is_missing(value) else value for value in array.tolist()]
