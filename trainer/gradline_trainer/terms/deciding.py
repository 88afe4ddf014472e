"""Decide what kind a column is, from its type, its text and what the caller says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gradline.columns.kinds import NUMBER_NULLS, Column, Kind
from gradline.tables import FrameTable
from gradline_trainer.terms.kinds import Found, TextSurvey, typed_kind

SHOWN = {"number": "numbers", "time": "times", "nested": "nested values"}
SHOWN |= {"text": "text", "category": "categories"}


@dataclass(frozen=True)
class Asked:
    """What the caller says about the columns' kinds.

    Attributes:
        nulls: Further texts that mean a missing value.
        formats: The time format of some columns, by name.
        categories: Columns that are categories, whatever they hold.
        most: The most levels of a category.
    """

    nulls: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)
    categories: frozenset[str] = frozenset()
    most: int = 1000


def differing(table: FrameTable, name: str) -> str | None:
    """Tell which kinds a column has in different files; None if it is the same in all.

    Text files have no types, and typed files beside them are read as text.
    """
    if table.has_text_files:
        return None
    found: dict[str, str] = {}
    for dtype, label in table.dtypes.get(name, {}).items():
        kind = typed_kind(dtype)
        zoned = kind == "time" and getattr(dtype, "time_zone", None)
        group = "zoned" if zoned else "category" if kind == "text" else kind
        found.setdefault(group, f"{'times with a zone' if zoned else SHOWN[kind]} in {label}")
    return " and ".join(list(found.values())[:2]) if len(found) > 1 else None


def needs_counts(table: FrameTable, name: str, asked: Asked) -> bool:
    """Check whether a column's distinct values must be counted to know what it is."""
    dtype = table.dtype(name)
    return name in asked.categories or typed_kind(dtype) == "category" or table.is_text(name)


def decide(table: FrameTable, name: str, texts: Mapping[str, TextSurvey], asked: Asked) -> Found:
    """Decide what a column is, from its text or its type."""
    is_typed = typed_kind(table.dtype(name)) in ("number", "time")
    if name in texts and not (is_typed and name not in asked.categories):
        return texts[name].decide(name, as_category=name in asked.categories)
    dtype = table.dtype(name)
    nulls = (*NUMBER_NULLS, *asked.nulls)
    if typed_kind(dtype) == "time":
        zones = {getattr(other, "time_zone", None) for other in table.dtypes[name]}
        zone = zones.pop() if len(zones) == 1 else "UTC"
        return Found(Column(name, "time", null=nulls, zone=zone))
    return Found(Column(name, null=nulls))


def text_survey(table: FrameTable, name: str, asked: Asked) -> TextSurvey:
    """Start the count of a column's texts."""
    return TextSurvey(
        asked.nulls,
        separator=table.separator,
        decimal_comma=table.dialect.decimal_comma,
        time_format=asked.formats.get(name),
        most=asked.most,
    )


def own_kind(table: FrameTable, name: str, texts: Mapping[str, TextSurvey], asked: Asked) -> Kind:
    """Find the kind that a column has if it is not asked for as a category."""
    return decide(table, name, texts, replace(asked, categories=frozenset())).column.kind
