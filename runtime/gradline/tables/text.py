"""Parsing of text columns, as CSV files have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradline.columns.categories import WHOLE, texts_of
from gradline.tables.files import Dialect

if TYPE_CHECKING:
    import polars as pl

__all__ = ["category_texts", "clean", "guesses", "parse", "without_nulls"]


def clean(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Strip blanks; make text that means a missing value null."""
    text = text.str.strip_chars()
    return text.set(text.is_in(["", *dialect.nulls]), None)


def without_nulls(frame: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    """Make text that is one of the dialect's nulls null, as Polars' CSV reader does."""
    import polars as pl

    def read(column: pl.Series) -> pl.Series:
        if column.dtype != pl.String:
            return column
        text = column.alias("")  # an expression takes ^b$ for a pattern
        return text.set(text.is_in(dialect.nulls), None).alias(column.name)

    return pl.DataFrame([read(column) for column in frame.get_columns()])


def parse(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Parse text as float64; null if it is missing or not a number."""
    import polars as pl

    if dialect.decimal_comma:
        # With "_" for a thousands mark, text fails to parse rather than mean another number.
        text = text.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def guesses(frame: pl.DataFrame, dialect: Dialect) -> dict[str, str]:
    """Guess what columns of text hold, by name: "number", "date" or "text"."""
    import polars as pl

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
    if parse(text, dialect).null_count() == text.null_count():
        return "number"
    dates = text.str.to_date(strict=False)
    return "date" if dates.null_count() == text.null_count() else "text"


def category_texts(column: pl.Series, dialect: Dialect | None) -> pl.Series | None:
    """Convert a column's values to the texts of `gradline.columns.categories.texts_of`.

    Args:
        column: A column of any type.
        dialect: The dialect of a text file's column; None for a typed column.

    Returns:
        Texts, null if missing; None if the values are neither text, numbers nor booleans.
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
