"""What the training rows show of one column, before its terms are chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from gradline.columns.kinds import Column, Kind


@dataclass(frozen=True)
class Surveyed:
    """What the training rows show of a column.

    Attributes:
        column: The column as it would be recorded: kind, levels, reference, missing, fill (the
            mean, where training rows miss some numbers or times), null, parse, format, zone. Its
            kind is "category" where a term asks for `category(NAME)`.
        kind: The kind that its values have by themselves.
        place: Its place in the table; the first column is 0.
        rows: The training rows.
        missing: How many of them have no value.
        counts: A category's training rows by level, without missing ones.
        parts: A time's training rows by month, weekday and hour; `{"month": {3: 31}}`.
        minimum: The least number or time; NaN if there is none.
        maximum: The greatest number or time; NaN if there is none.
        days: How many different days a time has.
        reason: Why the column is left out unless a term asks for it, such as "text that is all
            different"; None if it may be taken.
        flag: The option that would take it in despite the reason; empty for `-f '*' -f NAME`.
    """

    column: Column
    kind: Kind
    place: int
    rows: int
    missing: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    minimum: float = math.nan
    maximum: float = math.nan
    days: int = 0
    reason: str | None = None
    flag: str = ""

    @property
    def present(self) -> int:
        """How many training rows have a value."""
        return self.rows - self.missing
