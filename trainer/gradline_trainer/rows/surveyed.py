"""What the training rows show of one column, before its terms are chosen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gradline.columns.formula import Wanted
from gradline.columns.kinds import Column, Kind
from gradline.columns.plan import Plan


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
        runs: These days, since 1970-01-01, as the first and last of each run without a gap.
        mean: The (weighted) mean of the values; NaN for a category, and if there is none.
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
    runs: tuple[tuple[int, int], ...] = ()
    mean: float = math.nan
    reason: str | None = None
    flag: str = ""

    @property
    def present(self) -> int:
        """How many training rows have a value."""
        return self.rows - self.missing


def fill_of(column: Column, mean: float) -> float:
    """Turn a mean into the value that fills missing ones; a time's is a whole second."""
    return float(math.floor(mean)) if column.kind == "time" else mean


def runs_of(days: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Divide days into runs without a gap, as their first and last."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][1] + 1:
            runs[-1][1] = day
        else:
            runs.append([day, day])
    return tuple((first, last) for first, last in runs)


@dataclass(frozen=True)
class Survey:
    """What was asked of a table's columns and what was found: the terms can be decided from it.

    Attributes:
        wanted: What each `-f` asks for; None for the default terms.
        one_hot: Columns that are categories because the caller said so.
        most: The most levels of a category.
        missing: The option of this name.
        found: What the training rows show of the columns in use, in table order.
        fixed: The columns and terms of the model if they were not decided but given, as by --like.
    """

    wanted: tuple[Wanted, ...] | None
    one_hot: tuple[str, ...]
    most: int
    missing: str
    found: tuple[Surveyed, ...]
    fixed: Plan | None = None


@dataclass(frozen=True)
class Decision:
    """What was decided about a column, for people.

    Attributes:
        column: The column's name.
        what: The decision in a few words.
        flag: The option that would change it.
        taken: Whether the column has a term.
    """

    column: str
    what: str
    flag: str
    taken: bool
