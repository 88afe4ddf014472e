"""The values of a column of any carrier: list, NumPy, pandas, pyarrow, Polars or tensor.

Integers stay exact, whatever stands beside them, and a masked array is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.matrix import from_tensor, is_missing, refuse_masked, refuse_sparse
from gradline.columns.times import seconds_of
from gradline.errors import InputError


@dataclass(frozen=True)
class Distinct:
    """A column's different values, in Python's types, and the place of each row's, −1 if missing.

    A value may be there twice, or in no row.
    """

    values: list[Any]
    rows: NDArray[np.integer[Any]]

    def first_row(self, place: int) -> int | None:
        """Find the first row with the value at a place."""
        rows = np.flatnonzero(self.rows == place)
        return int(rows[0]) if len(rows) else None


@dataclass(frozen=True)
class Times:
    """A column of typed times: seconds of the wall clock, or in UTC if it has a zone."""

    seconds: NDArray[np.float64]
    zoned: bool = False


SAMPLE = 4_096  # rows that tell whether most hold objects of their own

Carried = Distinct | Times | NDArray[Any]  # an array is of numbers or booleans


def carry(values: Any, name: str) -> Carried:
    """Take a column's n values out of their carrier.

    Raises:
        InputError: If it is a masked array or a sparse matrix, or has other than one dimension.
    """
    what = f"the column {name!r}"
    refuse_masked(values, what)
    refuse_sparse(values, what)
    values = from_tensor(values, what)
    library = type(values).__module__.partition(".")[0]
    if library in CARRIERS:
        return CARRIERS[library](values)
    if isinstance(values, list | tuple):
        return _of_list(values, name)
    array = np.asarray(values)
    _check_dimensions(array.ndim, name)
    if array.dtype.kind in "iufb":
        return array
    if array.dtype.kind == "M":
        return Times(seconds_of(array))
    return distinct(list(array)) if array.dtype.kind == "m" else _of_list(array.tolist(), name)


def _check_dimensions(dimensions: int, name: str) -> None:
    if dimensions != 1:
        what = f"the column {name!r} has {dimensions} dimensions, expected one value per row"
        hint = "give a list of values, one per row, even for a single row: [73.0]"
        raise InputError(what, code="wrong-shape", hint=hint)


def _of_list(values: list[Any] | tuple[Any, ...], name: str) -> Carried:
    kinds = set(map(type, values))
    if float in kinds and kinds <= {float, type(None)}:
        return np.array(values, np.float64)
    if any(issubclass(kind, list | tuple | np.ndarray) for kind in kinds):
        _check_dimensions(1 + max(map(np.ndim, values)), name)
        values = [value.item() if isinstance(value, np.ndarray) else value for value in values]
    return distinct(values)


class _Places(dict[Any, int]):
    """Numbers keys in the order in which they are looked up."""

    def __missing__(self, key: Any) -> int:
        self[key] = place = len(self)
        return place


def distinct(values: list[Any] | tuple[Any, ...]) -> Distinct:
    """List the different values in the order of the rows; None, NaN, NA and NaT are missing."""
    try:
        places, rows = _places_of(values)
        # Python takes 1, 1.0 and True for one key, but nothing else for a text.
        if any(type(key) is not str and not is_missing(key) for key in places):
            places, rows = _places_of(list(zip(map(type, values), values, strict=True)))
            return _without_missing([key[1] for key in places], rows)
    except TypeError:  # a value such as a set has no hash; reading it is an error
        return Distinct(list(values), np.arange(len(values)))
    return _without_missing(list(places), rows)


def _places_of(keys: Any) -> tuple[_Places, NDArray[np.int64]]:
    places = _Places()
    return places, np.fromiter(map(places.__getitem__, keys), np.int64, len(keys))


def _without_missing(values: list[Any], rows: NDArray[np.int64]) -> Distinct:
    """Take the missing values out of those that rows have, by their places."""
    known = [not is_missing(value) for value in values]
    if all(known):
        return Distinct(values, rows)
    places = np.where(known, np.cumsum(known) - 1, -1)
    return Distinct([value for value in values if not is_missing(value)], places[rows])


def _distinct_objects(values: Any) -> Distinct:
    """List the different values of a column of pandas that holds Python's objects.

    A table read by pandas has few objects, each in many rows. To compare their addresses takes
    less time than to look up each.
    """
    objects = np.ascontiguousarray(values, object)
    addresses = np.frombuffer(objects, np.intp) if len(objects) > SAMPLE else np.empty(0, np.intp)
    if len(np.unique(addresses[:SAMPLE])) * 2 > SAMPLE or not len(addresses):
        return distinct(objects.tolist())
    places, found = sys.modules["pandas"].factorize(addresses)
    first = np.empty(len(found), np.intp)
    first[places[::-1]] = np.arange(len(places))[::-1]  # the last one assigned stays
    few = distinct(objects[first].tolist())
    return Distinct(few.values, few.rows[places])


def _of_pandas(values: Any) -> Carried:
    array = getattr(values, "array", values)
    dtype = values.dtype
    if getattr(dtype, "tz", None) is not None and hasattr(array, "tz_convert"):
        return Times(seconds_of(np.asarray(array.tz_convert(None))), zoned=True)
    if hasattr(dtype, "categories"):
        return Distinct(list(dtype.categories), np.asarray(array.codes))
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return np.asarray(values)
    if isinstance(dtype, np.dtype) and dtype.kind == "M":
        return Times(seconds_of(np.asarray(values)))
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _distinct_objects(values)
    places, found = values.factorize()  # exact, and faster than Python's own values
    return Distinct(list(found), places)


def _of_pyarrow(values: Any) -> Carried:
    array = values.combine_chunks() if hasattr(values, "combine_chunks") else values
    kind = str(array.type)
    if kind.startswith(("timestamp", "date")):
        times = array.to_numpy(zero_copy_only=False)
        return Times(seconds_of(times), zoned=getattr(array.type, "tz", None) is not None)
    if not array.null_count and kind in ("int64", "int32", "float", "double"):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if kind.startswith(("list", "struct", "map", "large_list", "fixed_size_list")):
        return distinct(array.to_pylist())
    if not kind.startswith("dictionary"):
        array = array.dictionary_encode()
    rows = array.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
    return Distinct(array.dictionary.to_pylist(), rows)


def _of_polars(values: Any) -> Carried:
    if values.dtype.is_numeric() and not values.null_count() and not values.dtype.is_decimal():
        return np.asarray(values.to_numpy())
    return distinct(values.to_list())


CARRIERS: dict[str, Callable[[Any], Carried]] = {
    "pandas": _of_pandas,
    "pyarrow": _of_pyarrow,
    "polars": _of_polars,
}


def distinct_of(array: NDArray[Any]) -> Distinct:
    """List the different values of numbers or booleans, sorted."""
    values, rows = np.unique(array, return_inverse=True)
    return Distinct(values.tolist(), rows)
