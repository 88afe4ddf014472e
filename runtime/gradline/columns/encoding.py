"""What stands between a table's columns and the graph's inputs: indicators and fill values.

The graph stays y = x @ W.T + b. A number column is one input, its missing values filled where
the package records a fill value. A category column is one indicator, 0 or 1, for each of its
levels but the reference, if there is one, named NAME=level.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Column", "dump_columns", "expand", "fill_values", "in_order", "parse_columns"]

INTEGER = re.compile(r"0|-?[1-9][0-9]*")  # as the text of an integer column's values


@dataclass(frozen=True)
class Column:
    """A column of the table that features come from.

    Attributes:
        name: Verbatim.
        kind: "number", or "category" for one whose values are names.
        levels: A category's values as text, in the order of `in_order`, the reference included.
        reference: The level without an indicator, of which all indicators are 0; None where every
            level has one.
        fill: What stands for a missing number; None where a missing one gives NaN.
    """

    name: str
    kind: Literal["number", "category"] = "number"
    levels: tuple[str, ...] = ()
    reference: str | None = None
    fill: float | None = None

    @property
    def features(self) -> list[str]:
        """The names of the graph's inputs that the column becomes."""
        if self.kind == "number":
            return [self.name]
        return [f"{self.name}={level}" for level in self.levels if level != self.reference]

    def indicators(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a category's indicators, shape (n, m).

        Args:
            places: Each value's place in `levels`, shape (n,); -1 makes every indicator 0, NaN
                (a missing value) makes every one NaN.
        """
        own = [place for place, level in enumerate(self.levels) if level != self.reference]
        block: NDArray[np.float64] = (np.array(own)[:, None] == places).astype(np.float64)
        block[:, np.isnan(places)] = np.nan
        return block.T


def in_order(levels: Sequence[str]) -> tuple[str, ...]:
    """Return levels in numeric order where all are integers, else in code-point order."""
    # int() accepts at most 4,300 digits.
    return tuple(sorted(levels, key=Decimal if all(map(INTEGER.fullmatch, levels)) else None))


def expand(values: NDArray[np.float64], columns: Sequence[Column]) -> NDArray[np.float64]:
    """Return the graph's inputs, shape (n, d).

    Args:
        values: Shape (n, columns): numbers, and each category's place in its levels.
        columns: What they are; where none has levels or a fill value, `values` is returned as is.
    """
    inputs = values
    if any(column.levels for column in columns):
        parts = zip(values.T, columns, strict=True)
        inputs = np.hstack([c.indicators(part) if c.levels else part[:, None] for part, c in parts])
    fills = fill_values(columns)
    return inputs if fills is None else np.where(np.isnan(inputs), fills, inputs)


def fill_values(columns: Sequence[Column]) -> NDArray[np.float64] | None:
    """Return the fill value of each of the graph's inputs, shape (d,), NaN where it has none.

    None where no column has one.
    """
    if all(column.fill is None for column in columns):
        return None
    fills = [math.nan if c.fill is None else c.fill for c in columns for _ in c.features]
    return np.array(fills, np.float64)


def dump_columns(columns: Sequence[Column]) -> list[dict[str, Any]] | None:
    """Return the list that `gradline.columns` holds as JSON; None where all are plain numbers."""
    if not any(column.kind == "category" or column.fill is not None for column in columns):
        return None
    entries = []
    for column in columns:
        entry: dict[str, Any] = {"name": column.name, "kind": column.kind}
        if column.kind == "category":
            entry["levels"] = list(column.levels)
        if column.reference is not None:
            entry["reference"] = column.reference
        if column.fill is not None:
            entry["fill"] = column.fill
        entries.append(entry)
    return entries


def parse_columns(document: object, features: Sequence[str]) -> list[Column]:
    """Return the columns that `gradline.columns` describes.

    Args:
        document: The parsed JSON.
        features: The graph's inputs, which the columns must make.

    Raises:
        ValueError: Where it is anything but what `dump_columns` returns for these inputs.
    """
    if not isinstance(document, list):
        raise ValueError("it is not a list")
    columns = [_column(entry) for entry in document]
    if len({column.name for column in columns}) < len(columns):
        raise ValueError("a name stands twice")
    if [name for column in columns for name in column.features] != list(features):
        raise ValueError("its columns do not make the graph's inputs")
    if dump_columns(columns) != document:
        raise ValueError("an entry is not of the form {name, kind, levels, reference, fill}")
    return columns


def _column(entry: Any) -> Column:
    if not isinstance(entry, dict) or entry.get("kind") not in ("number", "category"):
        raise ValueError("an entry has no known kind")
    name, levels = entry.get("name"), entry.get("levels", [])
    reference, fill = entry.get("reference"), entry.get("fill")
    if not isinstance(name, str) or not isinstance(levels, list):
        raise ValueError("an entry has no name or no list of levels")
    if not all(isinstance(level, str) and level for level in levels):
        raise ValueError(f"a level of {name!r} is no text")
    if len(set(levels)) < len(levels) or in_order(levels) != tuple(levels):
        raise ValueError(f"the levels of {name!r} are not in order, each once")
    if (entry["kind"] == "category") != bool(levels):
        raise ValueError(f"levels without a category, or a category without levels: {name!r}")
    if reference is not None and reference not in levels:
        raise ValueError(f"the reference of {name!r} is none of its levels")
    if fill is not None and (levels or type(fill) is not float or not math.isfinite(fill)):
        raise ValueError(f"the fill value of {name!r} is no finite number")
    return Column(name, entry["kind"], tuple(levels), reference, fill)
