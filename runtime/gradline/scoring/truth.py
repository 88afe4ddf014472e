"""Read the targets and the weight of a labelled table, as training does.

A package does not record how its target was written. So we try plain numbers first. For other text,
such as a currency sign, the trainer surveys the column by its own rules, if it is installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gradline.columns.kinds import NUMBER_NULLS, Column
from gradline.errors import InputError, nearest_column
from gradline.tables import FrameTable
from gradline.tables.lazy_polars import pl


def check_truth(table: FrameTable, targets: Iterable[str], weight: str | None) -> None:
    """Check that the table has each target and the weight, once.

    Raises:
        InputError: Naming the column, and the nearest one that the table has.
    """
    times = Counter(table.names)
    for name in targets:
        if name not in times:
            what = f"the table has no column {name!r} to compare the predictions with"
            hint = nearest_column(name, table.names)
            hint = "give a table with the true values" if hint == "leave it out" else hint
            raise InputError(what, code="missing-target", hint=hint)
        if name == weight:
            what = f"{name!r} is a target and the sample weight"
            raise InputError(what, code="repeated-column", hint="give it one role")
    if weight is not None and weight not in times:
        hint = nearest_column(weight, table.names)
        raise InputError(f"unknown sample weight {weight!r}", code="unknown-column", hint=hint)
    for name in (*targets, *([weight] if weight else [])):
        if times[name] > 1:
            what = f"the table has {times[name]} columns named {name!r}"
            hint = "rename them in the table"
            raise InputError(what, code="duplicate-column", hint=hint)


def plain_readings(table: FrameTable, names: Sequence[str]) -> list[Column]:
    """Describe columns as plain numbers; true is 1."""
    nulls = tuple(dict.fromkeys((*NUMBER_NULLS, *table.dialect.nulls)))
    booleans = {name for name in names if table.dtype(name) == pl.Boolean}
    return [Column(name, null=() if name in booleans else nulls) for name in names]


def surveyed_readings(
    table: FrameTable, columns: Sequence[Column], weight: str | None
) -> tuple[list[Column], list[str]] | None:
    """Find out how columns of text write their numbers; None without the trainer.

    Returns:
        The columns, and warnings about values that count as missing.

    Raises:
        InputError: For text that is not numbers.
    """
    from importlib.metadata import entry_points

    for wing in entry_points(group="gradline", name="read-numbers"):
        survey = wing.load()
        found, notes = [], []
        for column in columns:
            role = "sample weight" if column.name == weight else "target"
            is_text = bool(column.null) and table.is_text(column.name)
            read, more = survey(table, column.name, role) if is_text else (column, [])
            found.append(read)
            notes += more
        return found, notes
    return None
