"""Columns of format 1: their JSON, and the order of levels.

A number column is one of the graph's inputs; its missing values are filled if the package records
a fill value. A category column becomes 0/1 indicators named NAME=level, one for each level except
the reference, if there is one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gradline.columns.kinds import Column

INTEGER = re.compile(r"0|-?[1-9][0-9]*")


def in_order(levels: Sequence[str]) -> tuple[str, ...]:
    """Sort levels by number if all are integers, else by code point."""
    # int() accepts at most 4,300 digits.
    return tuple(sorted(levels, key=Decimal if all(map(INTEGER.fullmatch, levels)) else None))


def dump_columns(columns: Sequence[Column]) -> list[dict[str, Any]] | None:
    """Build the JSON list of the `gradline.columns` metadata; None if all are plain numbers."""
    if not any(column.kind == "category" or column.fill is not None for column in columns):
        return None
    entries = []
    for column in columns:
        entry: dict[str, Any] = {"name": column.name, "kind": column.kind}
        if column.kind == "category":
            entry["levels"] = list(column.levels)
        optional = {"reference": column.reference, "fill": column.fill}
        entries.append(entry | {key: value for key, value in optional.items() if value is not None})
    return entries


def parse_columns(document: object, features: Sequence[str]) -> list[Column]:
    """Parse what `dump_columns` built for the inputs `features`; raise ValueError otherwise."""
    if not isinstance(document, list):
        raise ValueError("it is not a list")
    columns = [_column(entry) for entry in document]
    if len({column.name for column in columns}) < len(columns):
        raise ValueError("a name appears twice")
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
        raise ValueError(f"a level of {name!r} is not text")
    if len(set(levels)) < len(levels) or in_order(levels) != tuple(levels):
        raise ValueError(f"the levels of {name!r} are not in order, each once")
    if (entry["kind"] == "category") != bool(levels):
        raise ValueError(f"levels without a category, or a category without levels: {name!r}")
    if reference is not None and reference not in levels:
        raise ValueError(f"the reference of {name!r} is not one of its levels")
    if fill is not None and (levels or type(fill) is not float or not math.isfinite(fill)):
        raise ValueError(f"the fill value of {name!r} is not a finite number")
    return Column(name, entry["kind"], tuple(levels), reference, fill)
