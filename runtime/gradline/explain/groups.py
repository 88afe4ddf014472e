"""Group a model's terms by the table's columns, as people think of them.

Predictions, the report, the page and the server show effects by group: one for each column with all
of its levels, calendar parts and powers, and one for each set of columns whose product is a term.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradline.columns.plan import Plan


@dataclass(frozen=True)
class Group:
    """Terms that belong together.

    Attributes:
        name: The column's name; for a product its columns' names, joined by ":".
        columns: The columns that the terms are made of.
        terms: The places of the terms among the graph's inputs, in order.
    """

    name: str
    columns: tuple[str, ...]
    terms: tuple[int, ...]


def groups_of(plan: Plan) -> list[Group]:
    """Group a plan's terms: columns first, in the table's order, then products of columns."""
    order = {column.name: place for place, column in enumerate(plan.columns)}
    found: dict[tuple[str, ...], list[int]] = {}
    for place, term in enumerate(plan.terms):
        used = sorted({factor.column for factor in term}, key=order.__getitem__)
        found.setdefault(tuple(used), []).append(place)
    keys = sorted(found, key=lambda key: (len(key), [order[name] for name in key]))
    return [Group(":".join(key), key, tuple(found[key])) for key in keys]
