"""Opening of a dataframe or a mapping of columns as a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gradline.columns.carriers import Distinct, carry, is_missing
from gradline.columns.levels import level_of
from gradline.columns.matrix import column_labels, from_tensor, refuse_masked, refuse_sparse
from gradline.columns.python_numbers import as_float, digits, is_number
from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.lazy_polars import check_polars, pl
from gradline.tables.parts import Part
from gradline.tables.table import FrameTable

KNOWN = (
    "give a path, a polars, pandas or pyarrow table, a mapping of columns, or a pair (X, Y) of "
    "arrays"
)
WIDEST = 2**127  # Polars has no larger integers


def open_frame(table: object) -> FrameTable:
    """Open a dataframe (polars, pandas, pyarrow) or a mapping of columns as a table."""
    check_polars()
    try:
        if isinstance(table, pl.LazyFrame):
            table = table.collect()
        if isinstance(table, pl.DataFrame):
            frame = table
        elif isinstance(table, Mapping):
            frame = pl.DataFrame({str(k): _series(v, k) for k, v in table.items()})
        elif (labels := column_labels(table)) is not None:
            _refuse_duplicates(map(str, labels))
            frame = pl.DataFrame({str(n): _series(table[n], n) for n in labels})  # type: ignore[index]
        else:
            what = f"a table of type {type(table).__name__} is not known"
            raise InputError(what, code="unknown-table", hint=KNOWN)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the table cannot be read: {error}", code="unreadable-data") from error
    return FrameTable([Part(None, frame.lazy(), frame.columns, False)], Dialect())


def _refuse_duplicates(names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            what = f"the table has the column {name!r} twice"
            raise InputError(what, code="duplicate-column", hint="rename one of them")


def _series(column: Any, name: Any) -> pl.Series:
    """Convert a column of any carrier; integers stay exact beside a missing value."""
    if isinstance(column, pl.Series):
        return column
    what = f"the column {str(name)!r}"
    refuse_masked(column, what)
    refuse_sparse(column, what)
    column = from_tensor(column, what)
    dtype, kind = getattr(column, "dtype", None), str(getattr(column, "type", ""))
    if hasattr(dtype, "categories") or kind.startswith("dictionary"):
        return _series_of_levels(column, str(name))
    if kind and type(column).__module__.startswith("pyarrow"):
        return pl.Series(values=pl.from_arrow(column))
    if dtype is not None and not isinstance(dtype, np.dtype) and not hasattr(dtype, "tz"):
        column = column.to_numpy(dtype=object)  # NumPy's own view rounds integers beside pandas' NA
    array = np.asarray(column)
    if array.dtype.kind in "fiubM":
        return pl.Series(values=array, strict=False)
    # NumPy turns the NaN in ["a", nan] into text, and Polars that in an array of objects.
    values = column if isinstance(column, list | tuple) else array.tolist()
    return _series_of_objects([None if is_missing(v) else v for v in values])


def _series_of_levels(column: Any, name: str) -> pl.Series:
    """Convert a categorical or dictionary column, whose values stay categories."""
    found = carry(column, name)
    if not isinstance(found, Distinct):  # its values are times
        return _series(column.to_pylist(), name)
    texts = [None if is_missing(value) else level_of(value) for value in found.values]
    levels = pl.Series(values=[*texts, None], dtype=pl.String)
    rows = np.where(found.rows < 0, len(texts), found.rows)
    return levels.gather(rows).cast(pl.Categorical)


def _series_of_objects(values: list[Any]) -> pl.Series:
    """Build a column from Python values; convert numbers that Polars would drop.

    Integers beyond 128 bits are kept exactly as text; decimals and fractions become float64.
    """
    present = [value for value in values if value is not None]
    if any(isinstance(value, int) and abs(value) >= WIDEST for value in present):
        texts = [None if v is None else digits(v) if isinstance(v, int) else str(v) for v in values]
        return pl.Series(values=texts, dtype=pl.String)
    if all(map(is_number, present)) and not all(isinstance(v, int | float) for v in present):
        return pl.Series(values=[None if v is None else _as_float(v) for v in values])
    return pl.Series(values=values, strict=False)


def _as_float(value: Any) -> float:
    """Convert a number to float64; beyond its range to infinity, as from a text file."""
    try:
        return as_float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
