"""Surveys of text columns, and the error for a column that should hold numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.lazy_polars import pl
from gradline.tables.numbers import clean, first_large, parse
from gradline.tables.opening import readable
from gradline.tables.parts import BLOCK_ROWS, Part

THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")


@dataclass(frozen=True)
class TextColumn:
    """The content of a text column.

    Attributes:
        present: The count of values that are not missing.
        numbers: The count of values that are numbers.
        odd: Some other values.
        first: The place of the first of them.
        large: The error for the first integer that float64 can't hold; None if there is none.
    """

    present: int
    numbers: int
    odd: list[str]
    first: str
    large: InputError | None = None


def survey(parts: Sequence[Part], column: str, dialect: Dialect) -> TextColumn:
    """Count the values and numbers of a text column, over all the parts."""
    present = odd_count = 0
    first = ""
    odd: list[str] = []
    large: InputError | None = None
    for part in parts:
        frame = part.frame.select(pl.selectors.by_name(column).cast(pl.String))
        rows = 0
        with readable(part.path, part.separator):
            for batch in frame.collect_batches(chunk_size=BLOCK_ROWS):
                text = clean(batch.to_series().alias(""), dialect)
                parsed = parse(text, dialect)
                large = large or first_large(part, column, text, parsed, rows)
                is_odd = text.is_not_null() & parsed.is_null()
                if is_odd.any():
                    first = first or f"row {rows + is_odd.arg_true()[0] + 1} of {part.label}"
                    odd += text.filter(is_odd).head(3).to_list()
                present += len(text) - text.null_count()
                odd_count += int(is_odd.sum())
                rows += len(text)
    return TextColumn(present, present - odd_count, odd[:3], first, large)


def not_numbers(
    name: str, kind: str, look: Callable[[], TextColumn], dialect: Dialect, role: str = "feature"
) -> InputError:
    """Build the error for a column, chosen as `role`, that does not hold numbers.

    `look` surveys the column; it is called only for text.
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
        return found.large or InputError(
            f"the column {name!r} is text, though all of its values are numbers",
            code="not-numeric",
            hint="cast it to numbers first",
        )
    examples = ", ".join(map(repr, found.odd)) or "text"
    return InputError(
        f"the column {name!r} is text: {found.present - found.numbers} of {found.present} "
        f"values are not numbers, such as {examples}"
        + (f"; the first is in {found.first}" if found.first else ""),
        code="not-numeric",
        hint=_next_step(name, found, dialect, role),
    )


def _next_step(name: str, found: TextColumn, dialect: Dialect, role: str) -> str:
    if found.odd and all(map(THOUSANDS.fullmatch, found.odd)):
        return "remove the thousands marks, or give --decimal-comma if 1,005 is about one"
    if any("," in value for value in found.odd) and not dialect.decimal_comma:
        return "give --decimal-comma if 1,5 means one and a half"
    correct = "correct them, give texts that mean missing with --null TOKEN"
    if role != "feature":
        return f"{correct}, or choose another {role}"
    category = "" if found.numbers else f"take it for a category with --one-hot {name!r}, "
    return f"{correct}, {category}or leave the column out with --exclude {name!r}"
