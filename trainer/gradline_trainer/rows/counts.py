"""What a pass over the rows counts, and the errors for the faults that it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gradline.columns.terms import Factor
from gradline.errors import InputError
from gradline.formatting import count
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.domains import without_value
from gradline_trainer.rows.logarithms import no_logarithm


@dataclass
class Fault:
    """How often one kind of fault occurs in a column, and where first."""

    count: int
    first: str
    term: Factor | None = None  # that has no value for these


@dataclass
class Counts:
    """What a pass over the rows has counted."""

    blocks: int = 0
    read: int = 0  # rows
    dropped: int = 0
    held_out: int = 0
    training: int = 0  # rows of positive weight
    unknown: int = 0  # dropped too: held-out rows with a category that no training row has
    filled: int = 0  # missing values, filled with a mean
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)  # by kind and column

    def add(self, later: Counts) -> None:
        """Add the counts of a pass over later rows."""
        for name in ("blocks", "read", "dropped", "held_out", "training", "unknown", "filled"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        for key, fault in later.faults.items():
            self.faults.setdefault(key, replace(fault, count=0)).count += fault.count


def fault_error(faults: Mapping[tuple[str, str], Fault], columns: Columns) -> InputError:
    """Build the error for the first of some faults: column, count and first row."""
    what, column = next(iter(faults))
    fault = faults[what, column]
    if what == "no logarithm":
        beyond = ("even of 1 + y", column) in faults
        return no_logarithm(columns, column, fault.count, fault.first, beyond=beyond)
    if fault.term is not None:
        return without_value(what, fault.term, fault.count, fault.first)
    others = sum(kind == what for kind, _ in faults) - 1
    code, hint = {
        "missing": ("missing-value", "--missing drop leaves such rows out"),
        "no category": (
            "missing-value",
            "categories have no mean: use --missing drop, or write a word in its place",
        ),
        "infinite": ("infinite-value", "correct or remove these rows"),
        "negative": ("bad-weight", "sample weights must be 0 or more"),
    }[what]
    return InputError(
        f"the column {column!r} has "
        f"{count(fault.count, what.replace('no category', 'missing') + ' value')}, "
        f"the first in {fault.first}"
        + f"; {others} more column{'s have' if others > 1 else ' has'} some"
        * (others > 0),
        code=code,
        hint=hint,
    )
