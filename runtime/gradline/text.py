"""Columns of text, as CSV files have them, read as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradline.files import Dialect

if TYPE_CHECKING:
    import polars as pl

__all__ = ["clean", "guess", "parse"]


def clean(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Return text without surrounding blanks, null where it means a missing value."""
    text = text.str.strip_chars()
    return text.set(text.is_in(["", *dialect.nulls]), None)


def parse(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Return the numbers that text says, in float64; null where it is missing or no number."""
    import polars as pl

    if dialect.decimal_comma:
        # A point would be a thousands mark: it makes the text no number rather than another one.
        text = text.str.replace_all(".", "_", literal=True).str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def guess(text: pl.Series, dialect: Dialect) -> str:
    """Return what a column of text holds: "number", "date" or "text"."""
    text = clean(text, dialect)
    if parse(text, dialect).null_count() == text.null_count():
        return "number"
    dates = text.str.to_date(strict=False)
    return "date" if dates.null_count() == text.null_count() else "text"
