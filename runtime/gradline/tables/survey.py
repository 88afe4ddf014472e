"""What a column of text holds, and the error where it was to hold numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.numbers import first_large
from gradline.tables.opening import readable
from gradline.tables.parts import BLOCK_ROWS, Part
from gradline.tables.text import clean, parse

__all__ = ["TextColumn", "not_numbers", "survey"]

THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")


@dataclass(frozen=True)
class TextColumn:
    """The content of a text column: counts of values and numbers, and some other values.

    Attributes:
        present: How many values are not missing.
        numbers: How many of them are numbers.
        odd: Some of the others.
        first: The place of the first of these.
        large: The error for the first integer that float64 can't hold; None if there is none.
    """

    present: int
    numbers: int
    odd: list[str]
    first: str
    large: InputError | None = None


def survey(parts: Sequence[Part], column: str, dialect: Dialect) -> TextColumn:
    """Return how many of a text column's values are numbers, over all the parts."""
    import polars as pl
    from polars import selectors

    present = numbers = 0
    first = ""
    odd: list[str] = []
    large: InputError | None = None
    for part in parts:
        frame = part.frame.select(selectors.by_name(column).cast(pl.String))
        rows = 0
        with readable(part.path, dialect.separator):
            for batch in frame.collect_batches(chunk_size=BLOCK_ROWS):
                text = clean(batch.to_series().alias(""), dialect)
                numeric = parse(text, dialect)
                large = large or first_large(part, column, text, numeric, rows)
                bad = text.is_not_null() & numeric.is_null()
                if bad.any():
                    row = rows + int(bad.arg_true()[0]) + 1
                    first = first or f"row {row} of {part.label}"
                    odd += text.filter(bad).head(3).to_list()
                present += len(text) - text.null_count()
                numbers += len(text) - text.null_count() - int(bad.sum())
                rows += len(text)
    return TextColumn(present, numbers, odd[:3], first, large)


def not_numbers(
    name: str, kind: str, look: Callable[[], TextColumn], dialect: Dialect, role: str = "feature"
) -> InputError:
    """Return the error for a chosen column that holds something else than numbers.

    Args:
        name: The column's.
        kind: What it seems to hold: see `FrameTable.kinds`.
        look: Reads the column, where that would say more.
        dialect: The files'.
        role: What it was chosen as: only a feature can be left out, or taken for a category.
    """
    if kind in ("date", "other"):
        what = "dates" if kind == "date" else "values that are not numbers"
        return InputError(
            f"the column {name!r} holds {what}, expected numbers",
            code="not-numeric",
            hint="convert it to numbers first, or choose other columns",
        )
    found = look()
    if found.numbers == found.present:
        if found.large is not None:
            return found.large
        return InputError(
            f"the column {name!r} is text, though all of its values are numbers",
            code="not-numeric",
            hint="cast it to numbers first",
        )
    examples = ", ".join(map(repr, found.odd)) or "text"
    return InputError(
        f"the column {name!r} is text: {found.present - found.numbers} of {found.present} "
        f"values are not numbers, such as {examples}"
        + (f"; the first stands in {found.first}" if found.first else ""),
        code="not-numeric",
        hint=_mend(name, found, dialect, role),
    )


def _mend(name: str, found: TextColumn, dialect: Dialect, role: str) -> str:
    odd = found.odd
    if odd and all(map(THOUSANDS.fullmatch, odd)):
        return "remove the thousands marks, or give --decimal-comma where 1,005 is about one"
    if any("," in value for value in odd) and not dialect.decimal_comma:
        return "give --decimal-comma where 1,5 means one and a half"
    if role != "feature":
        return f"mend them, name what means missing with --null TOKEN, or choose another {role}"
    category = "" if found.numbers else f"take it for a category with --one-hot {name!r}, "
    return (
        f"mend them, name what means missing with --null TOKEN, {category}or leave the column out "
        f"with --exclude {name!r}"
    )
