"""Conversion of a column, of text too, to numbers; the error for text that holds none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gradline.columns.categories import WHOLE, texts_of
from gradline.columns.kinds import Column
from gradline.columns.python_numbers import LARGEST_INTEGER, is_large_integer, large_integer
from gradline.errors import InputError
from gradline.tables.files import Dialect, is_number
from gradline.tables.lazy_polars import pl
from gradline.tables.parts import Part

THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")
DECIMAL_COMMA = re.compile(r"[+-]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]*),[0-9]+")


def column_kind(dtype: Any) -> str:
    """Classify a column type: "number", "date", "text" or "other"."""
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return "number"
    if dtype.is_temporal():
        return "date"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "other"


def first_large(
    part: Part, name: str, column: pl.Series, numbers: pl.Series, start: int
) -> InputError | None:
    """Build the error for a column's first integer that float64 can't hold, if there is one.

    `numbers` are the column's values in float64; `start` is the place of the first.
    """
    large = numbers.abs().fill_nan(None) >= LARGEST_INTEGER
    for row in large.arg_true().to_list():
        if is_large_integer(column[row]):
            return large_integer(name, column[row], f"row {start + row + 1} of {part.label}")
    return None


def clean(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Strip blanks; make text that means a missing value null."""
    text = text.str.strip_chars()
    return text.set(text.is_in(["", *dialect.nulls]), None)


def parse_numbers(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Parse text as float64; null if it is missing or not a number."""
    if dialect.decimal_comma:
        # Thousands marks become "_", so such text fails to parse instead of giving a wrong number.
        text = text.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def needs_text(column: Column) -> bool:
    """Check whether a column of a text file has to be read as text: it may not be plain numbers."""
    return column.kind != "number" or bool(column.parse) or any(map(is_number, column.null))


def is_plain(column: Column, values: pl.Series) -> bool:
    """Check whether a column's values are read as plain numbers: in format 1, or by their type."""
    return column.kind == "number" and (not column.null or values.dtype.is_numeric())


def guesses(frame: pl.DataFrame, dialect: Dialect) -> dict[str, str]:
    """Guess what columns of text hold, by name: "number", "date" or "text".

    A column of nulls alone is left out.
    """
    frame = frame.select(column for column in frame if column.null_count() < len(frame))
    numbers: set[str] = set()
    if not dialect.decimal_comma:  # all at once: one by one takes a millisecond each
        parsed = frame.cast(pl.Float64, strict=False).get_columns()
        pairs = zip(parsed, frame.get_columns(), strict=True)
        numbers = {text.name for number, text in pairs if number.null_count() == text.null_count()}
    return {
        text.name: "number" if text.name in numbers else _guess(text.alias(""), dialect)
        for text in frame.get_columns()
    }


def _guess(text: pl.Series, dialect: Dialect) -> str:
    text = clean(text, dialect)
    if parse_numbers(text, dialect).null_count() == text.null_count():
        return "number"
    dates = text.str.to_date(strict=False)
    return "date" if dates.null_count() == text.null_count() else "text"


def category_texts(column: pl.Series, dialect: Dialect | None) -> pl.Series | None:
    """Convert a column's values to the texts of `texts_of`; None if they can't be categories.

    A column of a text file has a dialect, a typed one has None.
    """
    if dialect is not None:
        return clean(column, dialect).str.replace(WHOLE.pattern, "${1}")
    dtype = column.dtype
    if dtype.is_float() or dtype.is_decimal():
        return pl.Series(texts_of(column.cast(pl.Float64).to_list(), column.name), dtype=pl.String)
    if column_kind(dtype) not in ("number", "text"):
        return None
    texts = column.cast(pl.String).str.strip_chars().str.replace(WHOLE.pattern, "${1}")
    return texts.set(texts == "", None)


@dataclass(frozen=True)
class TextColumn:
    """The content of a text column."""

    present: int  # values that are not missing
    numbers: int
    odd: list[str]  # some values that are not numbers
    first: str  # the place of the first of them
    large: InputError | None = None  # the error for the first integer that float64 can't hold

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
        correct = "correct them, give texts that mean missing with --null TOKEN"
        if role != "feature":
            return f"{correct}, or choose another {role}"
        category = "" if self.numbers else f"take it for a category with --one-hot {name!r}, "
        return f"{correct}, {category}or leave the column out: --exclude {name!r}, or no --feature"
