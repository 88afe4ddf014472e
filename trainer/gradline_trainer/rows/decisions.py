"""What was decided about a table's columns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """A decision about one column, for people.

    Attributes:
        column: The column's name.
        what: What was decided, in a few words, such as "category, 3 levels".
        flag: The option that would change it.
        taken: Whether a term uses the column.
    """

    column: str
    what: str
    flag: str
    taken: bool
