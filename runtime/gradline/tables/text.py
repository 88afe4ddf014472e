"""Columns of text, as CSV files have them, read as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradline.columns.categories import WHOLE, texts_of
from gradline.tables.files import Dialect

if TYPE_CHECKING:
    import polars as pl

__all__ = ["category_texts", "clean", "guess", "guesses", "parse", "without_nulls"]


def clean(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Return text without surrounding blanks, null where it means a missing value."""
    text = text.str.strip_chars()
    return text.set(text.is_in(["", *dialect.nulls]), None)


def without_nulls(frame: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    """Return columns with null for what means a missing value, as a reader told of it gives it."""
    import polars as pl

    def read(column: pl.Series) -> pl.Series:
        if column.dtype != pl.String:
            return column
        text = column.alias("")  # an expression takes ^b$ for a pattern
        return text.set(text.is_in(dialect.nulls), None).alias(column.name)

    return pl.DataFrame([read(column) for column in frame.get_columns()])


def parse(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Return the numbers that text says, in float64; null where it is missing or no number."""
    import polars as pl

    if dialect.decimal_comma:
        # A point would be a thousands mark: it makes the text no number rather than another one.
        text = text.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def guesses(frame: pl.DataFrame, dialect: Dialect) -> dict[str, str]:
    """Return what columns of text hold, by name: "number", "date" or "text"."""
    import polars as pl

    plain: set[str] = set()
    if not dialect.decimal_comma:  # all at once: one by one takes a millisecond each
        numbers = frame.cast(pl.Float64, strict=False).get_columns()
        found = zip(numbers, frame.get_columns(), strict=True)
        plain = {text.name for number, text in found if number.null_count() == text.null_count()}
    return {
        text.name: "number" if text.name in plain else guess(text.alias(""), dialect)
        for text in frame.get_columns()
    }


def guess(text: pl.Series, dialect: Dialect) -> str:
    """Return what a column of text holds: "number", "date" or "text"."""
    text = clean(text, dialect)
    if parse(text, dialect).null_count() == text.null_count():
        return "number"
    dates = text.str.to_date(strict=False)
    return "date" if dates.null_count() == text.null_count() else "text"


def category_texts(column: pl.Series, dialect: Dialect | None) -> pl.Series | None:
    """Return a column's values as the texts that `gradline.columns.categories.texts_of` gives.

    Args:
        column: Of any type.
        dialect: Of a text file, whose texts may mean a missing value; None for typed columns.

    Returns:
        Texts, null where missing; None where the values are neither text, numbers nor booleans.
    """
    import polars as pl

    if dialect is not None:
        return clean(column, dialect).str.replace(WHOLE.pattern, "${1}")
    dtype = column.dtype
    if dtype.is_float() or dtype.is_decimal():
        return pl.Series(texts_of(column.cast(pl.Float64).to_list(), column.name), dtype=pl.String)
    if not (
        dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null)
    ):
        return None
    texts = column.cast(pl.String).str.strip_chars().str.replace(WHOLE.pattern, "${1}")
    return texts.set(texts == "", None)
