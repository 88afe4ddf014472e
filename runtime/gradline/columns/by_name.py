"""Encoding of rows with named columns, as `Model.predict` takes them, as the graph's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradline.columns.categories import is_missing, place_finder, places_of, texts_of
from gradline.columns.encoding import Column
from gradline.columns.matrix import column_labels, match_names


def has_columns(names: Sequence[str], columns: Sequence[Column], features: Sequence[str]) -> bool:
    """Check whether a table has the training table's columns rather than the graph's inputs."""
    given = set(names)
    return bool(columns) and (
        given.issuperset(column.name for column in columns) or not given.issuperset(features)
    )


def as_inputs(
    rows: object, columns: Sequence[Column], features: Sequence[str], unknown: str
) -> object:
    """Encode rows with the training table's columns as the graph's inputs, by name.

    Rows without names, or with the names of the graph's inputs, are returned unchanged.
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
