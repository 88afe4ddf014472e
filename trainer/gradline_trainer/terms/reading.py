"""Read a text column as training reads a target, for `gradline evaluate` and without PyTorch."""

from __future__ import annotations

from gradline.columns.kinds import Column
from gradline.formatting import count
from gradline.tables import FrameTable
from gradline_trainer.terms.deciding import Asked, text_survey
from gradline_trainer.terms.kinds import Found


def read_numbers(table: FrameTable, name: str, role: str) -> tuple[Column, list[str]]:
    """Find out how a text column writes its numbers; return its description and warnings.

    Raises:
        InputError: For a column that holds no numbers; `role` says what it is used for.
    """
    survey = text_survey(table, name, Asked(nulls=table.dialect.nulls))
    for _, _, frame in table.raw([name]):
        survey.add(frame.get_column(name))
    found = survey.decide(name)
    if found.present and found.column.kind != "number":
        raise table.not_numbers(name, role)
    column = found.column if found.present else Column(name, null=found.column.null)
    return column, [odd_note(found)] if found.odd else []


def odd_note(found: Found) -> str:
    """Write the warning about values that are no numbers in a column of numbers."""
    examples = ", ".join(map(repr, found.odd[:3]))
    verb = "counts" if found.odd_count == 1 else "count"
    return (
        f"{count(found.odd_count, 'value')} of {found.column.name!r} cannot be read as a number "
        f"and {verb} as missing: {examples}"
    )
