"""Opening of a dataframe or a mapping of columns as a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import texts_of
from gradline.columns.matrix import (
    column_labels,
    from_tensor,
    is_missing,
    refuse_masked,
    refuse_sparse,
)
from gradline.columns.python_numbers import as_float, digits, is_number
from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.lazy_polars import check_polars, pl
from gradline.tables.parts import Part
from gradline.tables.table import FrameTable

KNOWN = (
    "give a path, a polars, pandas or pyarrow table, a mapping of columns, or X and y: fit(X, y)"
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
    """Convert a column to Polars; integers, categories, times and booleans stay what they are."""
    if isinstance(column, pl.Series):
        return column
    refuse_sparse(column, "a column")
    refuse_masked(column, f"the column {str(name)!r}")
    if hasattr(column, "to_pylist"):  # pyarrow
        return _of_arrow(column, str(name))
    dtype = getattr(column, "dtype", None)
    if hasattr(dtype, "categories"):
        return _of_categories(column, str(name))
    if (nullable := getattr(dtype, "numpy_dtype", None)) is not None and nullable.kind in "iufb":
        # NumPy's view would be float64, in which neighbouring large integers become one.
        known = pl.Series(values=column.to_numpy(nullable, na_value=nullable.type(0)))
        present = pl.Series(values=~np.asarray(column.isna()))
        return pl.select(pl.when(present).then(known)).to_series()
    column = from_tensor(column, f"the column {str(name)!r}")
    array = np.asarray(column)
    if array.dtype.kind == "M":
        return _of_times(array)
    if array.dtype.kind in "fiub":
        return pl.Series(values=array, strict=False)
    # NumPy turns the NaN in ["a", nan] into text, and Polars that in an array of objects.
    values = column if isinstance(column, list | tuple) else array.tolist()
    return _of_objects([None if is_missing(v) else v for v in values])


def _of_arrow(column: Any, name: str) -> pl.Series:
    """Convert a pyarrow column; the values of a dictionary are categories, also numbers."""
    series = pl.Series(pl.from_arrow(column))
    if str(column.type).startswith("dictionary") and series.dtype != pl.Categorical:
        return pl.Series(values=texts_of(column, name), dtype=pl.Categorical)
    return series


def _of_categories(column: Any, name: str) -> pl.Series:
    """Convert a pandas categorical; its categories become text."""
    array = getattr(column, "array", column)
    levels = [*texts_of(array.categories.tolist(), name), None]
    codes = np.asarray(array.codes)
    places = np.where(codes < 0, len(levels) - 1, codes)  # the code of a missing value is -1
    return pl.Series(values=levels, dtype=pl.Categorical).gather(places)


def _of_times(array: NDArray[Any]) -> pl.Series:
    """Convert a column of NumPy's times, whose unit Polars may lack."""
    unit, _ = np.datetime_data(array.dtype)
    if unit in ("Y", "M", "W"):
        array = array.astype("datetime64[D]")
    elif unit not in ("D", "ms", "us", "ns"):
        array = array.astype(f"datetime64[{'ms' if unit in ('h', 'm', 's') else 'ns'}]")
    return pl.Series(values=array)


def _of_objects(values: list[Any]) -> pl.Series:
    """Build a column from Python values; convert those that Polars would drop or change.

    Integers beyond 128 bits are kept exactly as text; decimals and fractions become float64. Times
    with an offset become text, since Polars would give them in UTC.
    """
    present = [value for value in values if value is not None]
    if any(isinstance(value, int) and abs(value) >= WIDEST for value in present):
        texts = [None if v is None else digits(v) if isinstance(v, int) else str(v) for v in values]
        return pl.Series(values=texts, dtype=pl.String)
    if all(map(is_number, present)) and not all(isinstance(v, int | float) for v in present):
        return pl.Series(values=[None if v is None else _as_float(v) for v in values])
    zones = {getattr(value, "tzinfo", None) for value in present}
    if len(zones) > 1 or any(zone and zone != UTC and not hasattr(zone, "key") for zone in zones):
        texts = [None if v is None else _written(v) for v in values]
        return pl.Series(values=texts, dtype=pl.String)
    return pl.Series(values=values, strict=False)


def _written(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _as_float(value: Any) -> float:
    """Convert a number to float64; beyond its range to infinity, as from a text file."""
    try:
        return as_float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
