"""Columns of text that should hold numbers: whether they do, and the errors if they don't."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gradline.errors import InputError, in_quotes
from gradline.tables.files import Dialect
from gradline.tables.lazy_polars import pl
from gradline.tables.numbers import clean, first_large, parse_numbers
from gradline.tables.opening import readable
from gradline.tables.parts import BLOCK_ROWS, Part

THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")
DECIMAL_COMMA = re.compile(r"[+-]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]*),[0-9]+")


@dataclass(frozen=True)
class TextColumn:
    """The content of a text column."""

    present: int  # values that are not missing
    numbers: int
    odd: list[str]  # some values that are not numbers
    first: str  # the place of the first of them
    large: InputError | None = None  # the error for the first integer that float64 can't hold

    @classmethod
    def of(cls, name: str, parts: Sequence[Part], dialect: Dialect) -> TextColumn:
        """Count the values and numbers of a text column, over all the parts."""
        present = odd_count = 0
        first = ""
        odd: list[str] = []
        large: InputError | None = None
        for part in parts:
            frame = part.frame.select(pl.selectors.by_name(name).cast(pl.String))
            rows = 0
            with readable(part.path, part.separator):
                for batch in frame.collect_batches(chunk_size=BLOCK_ROWS):
                    text = clean(batch.to_series().alias(""), dialect)
                    parsed = parse_numbers(text, dialect)
                    large = large or first_large(part, name, text, parsed, rows)
                    is_odd = text.is_not_null() & parsed.is_null()
                    if is_odd.any():
                        first = first or f"row {rows + is_odd.arg_true()[0] + 1} of {part.label}"
                        odd += text.filter(is_odd).unique(maintain_order=True).head(3).to_list()
                    present += len(text) - text.null_count()
                    odd_count += int(is_odd.sum())
                    rows += len(text)
        return cls(present, present - odd_count, list(dict.fromkeys(odd))[:3], first, large)

    def not_numbers(self, name: str, dialect: Dialect, role: str) -> InputError:
        """Build the error for the column, chosen as `role`, which should hold numbers."""
        if self.numbers == self.present:
            what = f"the column {name!r} is text, though all of its values are numbers"
            cast = InputError(what, code="not-numeric", hint="cast it to numbers first")
            return self.large or cast
        examples = ", ".join(map(repr, self.odd)) or "text"
        what = (
            f"the column {name!r} is text: {self.present - self.numbers} of {self.present} values "
            f"are not numbers, such as {examples}"
        )
        if self.first:
            what += f"; the first is in {self.first}"
        return InputError(what, code="not-numeric", hint=self._next_step(name, dialect, role))

    def _next_step(self, name: str, dialect: Dialect, role: str) -> str:
        if self.odd and all(map(THOUSANDS.fullmatch, self.odd)):
            return "remove the thousands marks, or give --decimal-comma if 1,005 is about one"
        if any(map(DECIMAL_COMMA.fullmatch, self.odd)) and not dialect.decimal_comma:
            return "give --decimal-comma if 1,5 means one and a half"
        if role == "target" and not self.numbers:
            return "write them as numbers, such as 1 and 0 for yes and no, or choose another target"
        correct = "correct them, give texts that mean missing with --null TOKEN"
        if role != "feature":
            return f"{correct}, or choose another {role}"
        named = in_quotes(name)
        category = "" if self.numbers else f"take it for a category with --one-hot {named}, "
        return f"{correct}, {category}or leave the column out: --exclude {named}, or no --feature"


def of_another_kind(name: str, kind: str) -> InputError:
    """Build the error for a column of dates, or of values that are neither text nor numbers."""
    what = "dates" if kind == "date" else "values that are not numbers"
    return InputError(
        f"the column {name!r} holds {what}, expected numbers",
        code="not-numeric",
        hint="convert it to numbers first, or choose other columns",
    )
