"""Columns and terms that are left out by default, and why."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gradline.columns.plan import Plan
from gradline.columns.terms import quoted
from gradline.errors import InputError
from gradline.tables import FrameTable
from gradline.tables.agreement import SAME_TYPES
from gradline.tables.pandas_index import index_names
from gradline.tables.parts import mixed_schemas
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.surveyed import Decision
from gradline_trainer.terms.deciding import differing
from gradline_trainer.terms.decisions import added
from gradline_trainer.terms.default_terms import is_identifier, is_index
from gradline_trainer.terms.kinds import typed_kind
from gradline_trainer.terms.request import Request

NESTED = "values that are neither numbers, times nor text"


def left_out_by_name(table: FrameTable, request: Request) -> dict[str, Decision]:
    """Find index columns and identifiers, which are left out unless they are named."""
    found = {}
    written = frozenset() if table.has_text_files else index_names(table.parts[0])
    for name in request.candidates:
        if name in request.named or name in request.one_hot or not request.has_defaults:
            continue
        what = None
        counts_rows = is_index(name, table.names.index(name)) and table.kinds[name] == "number"
        if counts_rows or (name in written and table.kinds[name] != "date"):
            what = "left out: an index column"
        elif is_identifier(name):
            what = "left out: an identifier by its name"
        if what:
            found[name] = Decision(name, what, added(quoted(name)), False)
    return found


def left_out_by_type(table: FrameTable, request: Request) -> dict[str, Decision]:
    """Find columns that some file lacks, of two kinds in two files, or of a type without a kind.

    Raises:
        InputError: If one of the latter is named.
    """
    found = {}
    for name in request.lacking:
        what = f"left out: {table.agreement.lacking[name][1]} has no such column"
        found[name] = Decision(name, what, excluded(name), False)
    for name in request.candidates:
        is_category = name in request.asked.categories
        if typed_kind(table.dtype(name)) == "nested":
            if name in request.named or is_category:
                raise _without_kind(name, table.dtype(name))
            found[name] = Decision(name, f"left out: {NESTED}", excluded(name), False)
        elif not is_category and (told := differing(table, name)):
            if name in request.named:
                raise mixed_schemas(f"the column {name!r} has {told}", SAME_TYPES)
            flag = added(f"category({quoted(name)})")
            found[name] = Decision(name, f"left out: {told}", flag, False)
    return found


def excluded(name: str) -> str:
    """Write the option that leaves a column out."""
    return f"--exclude {shlex.quote(name)}"


def _without_kind(name: str, dtype: Any) -> InputError:
    return InputError(
        f"the column {name!r} holds {dtype}, expected numbers, times or text",
        code="not-numeric",
        hint="convert the column first, or leave it out",
    )


def without(columns: Columns, reasons: Mapping[str, str]) -> Columns:
    """Leave out superfluous terms, and say so in the decisions."""
    plan = columns.plan
    names = plan.features
    if plan.format == 1:  # the levels of --one-hot may not be known yet, and are never left out
        selected = Plan.of_columns([c for c in plan.columns if c.name not in reasons])
    else:
        selected = plan.select([j for j, name in enumerate(names) if name not in reasons])
    left = {column.name for column in selected.columns}
    decisions = []
    for decision in columns.decisions:
        gone = {
            name: reasons[name]
            for name, term in zip(names, plan.terms, strict=True)
            if name in reasons and term[0].column == decision.column
        }
        decisions.append(_amended(decision, gone, taken=decision.column in left))
    return replace(columns, plan=selected, decisions=tuple(decisions))


def _amended(decision: Decision, gone: Mapping[str, str], *, taken: bool) -> Decision:
    """Add to a decision the terms that turned out to add nothing."""
    if not gone:
        return decision
    flag = added(quoted(decision.column))
    if not taken:
        why = next(iter(gone.values()))
        return Decision(decision.column, f"left out: {why}", flag, False)
    found = "; ".join(f"{name} left out: {why}" for name, why in gone.items())
    return replace(decision, what=f"{decision.what}; {found}", flag=flag)
