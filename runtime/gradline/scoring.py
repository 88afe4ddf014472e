"""A table's rows as a graph's inputs, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gradline.by_column import has_columns
from gradline.categories import place_finder
from gradline.encoding import Column, expand
from gradline.inputs import match_names

if TYPE_CHECKING:
    from gradline.tables import FrameTable

__all__ = ["table_inputs"]


def table_inputs(
    table: FrameTable, columns: Sequence[Column], features: Sequence[str], unknown_category: str
) -> Iterator[NDArray[np.float64]]:
    """Yield the graph's inputs of a table's rows, shape (rows, d), NaN where a value is missing.

    Args:
        table: With the columns that were trained on, or the graph's own inputs.
        columns: What was trained on; none where they are the graph's inputs.
        features: The graph's d inputs.
        unknown_category: "error", or "zero" for a category that no training row had.

    Raises:
        InputError: For a missing column, values that are not numbers, or an unknown category.
    """
    by_columns = has_columns(table.names, columns, features)
    read = columns if by_columns else [Column(name) for name in features]
    names = [column.name for column in read]
    match_names(table.names, names, extra="ignore")
    categories = [column for column in read if column.kind == "category"]
    coded = table.with_categories({c.name: place_finder(c, unknown_category) for c in categories})
    for block in coded.blocks(names):
        yield expand(block.values, read)
