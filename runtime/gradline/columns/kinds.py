"""The columns of a table: each has a kind, and says how its values are read.

A number is a float64. A time is in whole seconds since 1970-01-01T00:00Z, by the wall clock of the
column's zone. A category is the place of its level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Kind = Literal["number", "time", "category"]
KINDS = ("number", "time", "category")
RARE = "(rare)"  # the level that all rare levels share
BOOLEANS = frozenset({"true", "false"})
#: Text that means a missing value, in every kind of column.
NULLS = ("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "\\N")
#: Further ones in a column that is otherwise numbers or times; in a category they are levels.
NUMBER_NULLS = (*NULLS, "None", "-", "--", ".", "?")


@dataclass(frozen=True)
class Column:
    """A column of the table that the model was trained on.

    Attributes:
        name: Its name, verbatim.
        kind: "number", "time" or "category".
        levels: A category's values as text; in format 2 sorted by code point.
        reference: The level without an indicator; None if every level has one.
        fill: The value that replaces a missing one; None leaves the answer missing.
        missing: Whether a category's missing value is a level of its own.
        rare: The levels that share one indicator, `NAME=(rare)`.
        null: Text that means a missing value, beside empty text.
        parse: How numbers are written, beyond plain ones: `thousands`, `currency` (texts),
            `percent`, `brackets` (true).
        format: How times are written, in the letters of strptime; None for ISO 8601.
        zone: The zone whose wall clock the times show; None for times without a zone.
    """

    name: str
    kind: Kind = "number"
    levels: tuple[str, ...] = ()
    reference: str | None = None
    fill: float | None = None
    missing: bool = False
    rare: tuple[str, ...] = ()
    null: tuple[str, ...] = ()
    parse: Mapping[str, Any] = field(default_factory=dict, hash=False)
    format: str | None = None
    zone: str | None = None

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each level; rare levels share one, next after the missing value's."""
        rare = set(self.rare)
        shared = len(self.levels) + 1
        return {
            level: shared if level in rare else place for place, level in enumerate(self.levels)
        }

    @property
    def features(self) -> list[str]:
        """The names of the graph's inputs that the column becomes in format 1."""
        if self.kind != "category":
            return [self.name]
        return [f"{self.name}={level}" for level in self.levels if level != self.reference]

    @property
    def missing_place(self) -> int:
        """The place of a missing value, if it is a level of its own."""
        return len(self.levels)

    @property
    def is_boolean(self) -> bool:
        """Whether the levels are `true` and `false`, which are also written True and TRUE."""
        return self.kind == "category" and BOOLEANS.issuperset(self.levels)


def dump_column(column: Column) -> dict[str, Any]:
    """Build the JSON object of a column of format 2; members at their default are left out."""
    entry: dict[str, Any] = {"name": column.name, "kind": column.kind}
    if column.kind == "category":
        entry["levels"] = list(column.levels)
        entry["reference"] = column.reference
    optional = {
        "missing": column.missing,
        "rare": list(column.rare),
        "fill": column.fill,
        "null": list(column.null),
        "parse": dict(column.parse),
        "format": column.format,
        "zone": column.zone,
    }
    # A fill value may be 0.
    given = {k: v for k, v in optional.items() if v is not None and v is not False}
    return entry | {k: v for k, v in given.items() if v not in ([], {})}


def load_column(entry: Any) -> Column:
    """Parse what `dump_column` built; raise ValueError for anything else."""
    if not isinstance(entry, dict) or entry.get("kind") not in KINDS:
        raise ValueError("an entry has no known kind")
    name = entry.get("name")
    if not isinstance(name, str):
        raise ValueError("an entry has no name")
    lists = {key: _texts(entry.get(key, []), key, name) for key in ("levels", "rare", "null")}
    fill, parse = entry.get("fill"), entry.get("parse", {})
    if fill is not None and (type(fill) is not float or not math.isfinite(fill)):
        raise ValueError(f"the fill value of {name!r} is not a finite number")
    if not isinstance(parse, dict) or not all(_is_rule(*item) for item in parse.items()):
        raise ValueError(f"the rule to parse {name!r} is not known")
    for key in ("reference", "format", "zone"):
        if not (entry.get(key) is None or isinstance(entry[key], str)):
            raise ValueError(f"the {key} of {name!r} is not text")
    column = Column(
        name,
        entry["kind"],
        reference=entry.get("reference"),
        fill=fill,
        missing=entry.get("missing", False) is True,
        parse=parse,
        format=entry.get("format"),
        zone=entry.get("zone"),
        **lists,
    )
    if wrong := _fault(column):
        raise ValueError(f"{wrong}: {name!r}")
    if dump_column(column) != entry:
        raise ValueError(f"the entry of {name!r} has unknown members")
    return column


def _texts(values: Any, key: str, name: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
        raise ValueError(f"the {key} of {name!r} are not a list of texts")
    if len(set(values)) < len(values):
        raise ValueError(f"the {key} of {name!r} hold a text twice")
    return tuple(values)


def _is_rule(key: str, value: Any) -> bool:
    if key in ("brackets", "percent"):
        return value is True
    return key in ("currency", "thousands") and isinstance(value, str) and len(value) == 1


def _fault(column: Column) -> str | None:
    """Find what does not fit a column's kind."""
    levels: Sequence[str] = column.levels
    if column.kind != "category" and (levels or column.rare or column.missing or column.reference):
        return "levels without a category"
    if column.kind == "category" and (column.fill is not None or column.parse or column.format):
        return "a category with a fill value or a format"
    if column.kind == "category" and (not levels or list(levels) != sorted(levels)):
        return "a category without levels in order"
    if not set(column.rare).issubset(levels):
        return "a rare level that is not one of the levels"
    if column.reference is not None and column.reference not in levels:
        return "a reference that is not one of the levels"
    if column.kind != "time" and (column.format or column.zone):
        return "a time's format without a time"
    if column.kind != "number" and column.parse:
        return "a rule to parse numbers without numbers"
    return None
