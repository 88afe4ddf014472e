"""Rows as records: a list of objects, each with a value for every column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradline.errors import InputError, nearest


def is_records(rows: object) -> bool:
    """Check for a list of mappings from a column's name to one value."""
    return isinstance(rows, list | tuple) and bool(rows) and isinstance(rows[0], Mapping)


def columns_of(
    records: Sequence[Any], names: Sequence[str], what: str = "record", first: int = 1
) -> dict[str, list[Any]]:
    """Turn records into columns: the n values of each name.

    Args:
        records: Mappings with exactly these names as keys.
        names: The columns.
        what: What messages call a record.
        first: The number that messages give the first one.

    Raises:
        InputError: For a record that is no mapping, lacks a name or has another.
    """
    known = dict.fromkeys(names)
    for place, record in enumerate(records, first):
        if not isinstance(record, Mapping):
            found = f"{what} {place} is a {type(record).__name__}, expected values by column name"
            raise InputError(found, code="not-a-record", hint="give the same form to every row")
        if record.keys() == known.keys():
            continue
        for name in record:
            if name not in known:
                found = f"{what} {place} has the unknown column {name!r}"
                hint = nearest(str(name), known, record) or "leave it out"
                raise InputError(found, code="unknown-feature", hint=hint)
        missing = next(name for name in known if name not in record)
        found = f"{what} {place} lacks the column {missing!r}"
        hint = "give every column in each row; None or null is a missing value"
        raise InputError(found, code="missing-feature", hint=hint)
    return {name: [record[name] for record in records] for name in names}
