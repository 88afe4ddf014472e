"""Read tables that are matrices in memory, dense or sparse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import PlaceOf, places_of, texts_of
from gradline.columns.matrix import (
    column_labels,
    describe,
    from_tensor,
    is_missing,
    is_sparse,
    refuse_masked,
    refuse_sparse,
)
from gradline.columns.python_numbers import (
    LARGEST_INTEGER,
    as_float,
    brief,
    is_large_integer,
    is_number,
)
from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS, Block, TableFile
from gradline_trainer.rows.dealing import GROUP_ROWS

DENSE = 1 << 22  # how many numbers of a sparse matrix to convert to dense at a time


class ArrayTable:
    """Named columns of numbers, read in blocks like `gradline.tables.FrameTable`."""

    paths: Sequence[TableFile] = ()
    place_of: Mapping[str, PlaceOf] = MappingProxyType({})  # of category columns

    def __init__(self, parts: Sequence[NDArray[Any]], names: list[str]) -> None:
        self.parts = parts  # side by side, not joined: a copy of X may not fit in memory
        self.names = names
        self.kinds = dict.fromkeys(names, "number")

    def label(self, part: int) -> str:
        """Name the table for messages."""
        return "the table"

    def with_categories(self, place_of: Mapping[str, PlaceOf]) -> Self:
        """Copy the table, with these columns read as the places of their categories."""
        table = copy(self)
        table.place_of = place_of
        return table

    def blocks(self, columns: Sequence[str], rows: int | None = None) -> Iterator[Block]:
        """Yield the columns, `rows` at a time; by default BLOCK_ROWS, or DENSE numbers."""
        size = rows or BLOCK_ROWS
        if rows is None and not all(isinstance(part, np.ndarray) for part in self.parts):
            size = max(GROUP_ROWS, min(BLOCK_ROWS, DENSE // len(self.names)))
        place = {name: j for j, name in enumerate(self.names)}
        places = [place[name] for name in columns]
        everything = places == list(range(len(self.names))) and not self.place_of
        for start in range(0, self.expected_rows(), size):
            pieces = [_cut(part, slice(start, start + size)) for part in self.parts]
            if everything:
                yield Block(0, start, tuple(map(_as_float, pieces)))
                continue
            values = np.concatenate(pieces, axis=1, dtype=np.float64)[:, places]
            for j, name in enumerate(columns):
                if name in self.place_of:
                    texts = texts_of(values[:, j], name)
                    values[:, j] = places_of(texts, name, self.place_of[name], start=start)
            yield Block(0, start, (values,))

    @property
    def values(self) -> NDArray[np.float64]:
        """The whole table as one matrix."""
        parts = [_cut(part, slice(None)) for part in self.parts]
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def expected_rows(self) -> int:
        """Count the rows."""
        return int(self.parts[0].shape[0])

    def not_numbers(self, name: str, role: str = "feature") -> InputError:
        """Fail: every column is numeric."""
        raise AssertionError(name)


def _cut(part: Any, rows: slice) -> NDArray[Any]:
    values = part[rows]
    return values if isinstance(values, np.ndarray) else values.toarray()


def _as_float(values: NDArray[Any]) -> NDArray[Any]:
    """Convert to float64 unless the values are float64 or float32 already."""
    kept = values.dtype.isnative and values.dtype in (np.float64, np.float32)
    if min(values.strides) < 0:  # PyTorch does not support negative strides
        values = values.copy()
    return values if kept else values.astype(np.float64)


def table_of_arrays(
    pair: Any, targets: Any, features: Any, weights: Any
) -> tuple[ArrayTable, list[str], list[str], str | None]:
    """Join (X, Y) and sample weights to a table; return it and its columns' names."""
    parts = [matrix_of(pair[0], "X"), matrix_of(pair[1], "Y")]
    features = _names(features, pair[0], "x", parts[0])
    targets = _names(targets, pair[1], "y", parts[1])
    labels, weight = [features, targets], None
    if weights is not None:
        parts.append(matrix_of(weights, "sample_weight"))
        weight = "sample_weight"
        while weight in (*features, *targets):
            weight += "_"
        labels.append([weight])
    for what, names, part in zip(("X", "Y", "sample_weight"), labels, parts, strict=False):
        if len(names) != part.shape[1]:
            raise InputError(
                f"{what} has {part.shape[1]} columns, expected {len(names)}, one for each name",
                code="wrong-shape",
                hint="give one name per column",
            )
    if len({part.shape[0] for part in parts}) > 1:
        counts = zip(("X", "Y", "sample_weight"), parts, strict=False)
        raise InputError(
            f"rows differ: {', '.join(f'{what} has {part.shape[0]}' for what, part in counts)}",
            code="wrong-shape",
            hint="give one row of each per observation",
        )
    table = ArrayTable(parts, [name for names in labels for name in names])
    return table, targets, features, weight


def _names(given: Any, array: Any, letter: str, matrix: Any) -> list[str]:
    """Name a matrix's columns: as given, else by its own labels, else x0, x1, …."""
    if given is not None:
        return [given] if isinstance(given, str) else list(given)
    return names_of(array) or [f"{letter}{j}" for j in range(matrix.shape[1])]


def names_of(values: Any) -> list[str] | None:
    """List the names of a frame's or a mapping's columns, or the one of a series, if any."""
    if isinstance(values, np.ndarray):
        return None
    labels = list(values) if isinstance(values, Mapping) else column_labels(values)
    if labels is None and getattr(values, "name", None) not in (None, ""):
        labels = [values.name]
    return None if labels is None else [str(label) for label in labels]


def matrix_of(values: Any, what: str) -> Any:
    """Convert an array-like to a matrix, (n,) to (n, 1); a sparse X to CSR format.

    A mapping of columns becomes a matrix of them.
    """
    if isinstance(values, Mapping):
        columns = [matrix_of(column, what) for column in values.values()]
        if len({len(column) for column in columns}) != 1:
            found = f"the columns of {what} have different numbers of rows"
            raise InputError(found, code="wrong-shape", hint="give each the same number")
        return np.concatenate(columns, axis=1)
    if type(values) is not np.ndarray or values.dtype.kind == "O":
        refuse_masked(values, what)
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        matrix = np.asarray(values)  # not a subclass, such as np.matrix
    elif is_sparse(values) and what == "X":
        matrix = values.tocsr() if values.ndim == 2 else values
    else:
        refuse_sparse(values, what)
        matrix = _array_of(values, what)
    if matrix.ndim == 1 and what != "X":
        matrix = matrix[:, None]
    if matrix.ndim != 2 or 0 in matrix.shape[1:]:
        column = "X.to_frame()" if hasattr(values, "iloc") else "np.reshape(X, (-1, 1))"
        raise InputError(
            f"{what} has the shape {matrix.shape}, expected one row per observation",
            code="wrong-shape",
            hint=f"one feature: {column}"
            if what == "X" and matrix.ndim == 1
            else "X is (n, d), Y is (n, k) or (n,)",
        )
    numbers = matrix if isinstance(matrix, np.ndarray) else matrix.data
    kind = numbers.dtype.kind
    if kind not in "fiub" and matrix.shape[0]:
        found = f"{what} holds {describe(numbers)}, expected numbers"
        raise InputError(found, code="not-numeric", hint="convert to numbers first")
    if kind in "iu" and numbers.size and numbers.dtype.itemsize == 8:
        largest = int(np.argmax(np.abs(numbers.astype(np.float64))))
        _check_integer(numbers.flat[largest], _place(matrix, largest), what)
    return matrix


def _place(matrix: Any, i: int) -> tuple[int, int]:
    """Find the row and column of the i-th number that a matrix holds, dense or CSR."""
    if isinstance(matrix, np.ndarray):
        return i // matrix.shape[1], i % matrix.shape[1]
    row = int(np.searchsorted(matrix.indptr, i, side="right")) - 1
    return row, int(matrix.indices[i])


def _array_of(values: Any, what: str) -> NDArray[Any]:
    """Convert an array-like, a tensor or an array of Python objects."""
    try:
        array = np.asarray(_exactly(from_tensor(values, what)))
        return _plain(array, what) if array.dtype.kind == "O" else array
    except InputError:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{what} is not a matrix of numbers ({error})", code="not-numeric"
        ) from error


def _exactly(values: Any) -> Any:
    """Convert what NumPy would make floats of, beside a missing value; keep anything else."""
    if hasattr(type(values), "isna"):  # pandas: a frame, a column or an array
        kinds: Any = values.dtypes if hasattr(values, "dtypes") else values.dtype
        each = kinds.tolist() if hasattr(kinds, "tolist") else [kinds]
        nullable = any(getattr(kind, "numpy_dtype", None) is not None for kind in each)
        return values.astype(object) if nullable else values
    labels = None if isinstance(values, np.ndarray) else column_labels(values)
    is_column = hasattr(values, "to_pylist") or type(values).__module__.startswith("polars")
    if not labels and not is_column:
        return values
    array = np.asarray(values)
    if array.dtype.kind != "f" or not (np.abs(array) >= LARGEST_INTEGER).any():
        return array
    as_list = "to_pylist" if hasattr(values, "to_pylist") else "to_list"
    if not labels:
        return np.array(getattr(values, as_list)(), object)
    columns = [getattr(values[name], as_list)() for name in labels]
    return np.array(columns, object).T


def _plain(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Convert an array of Python objects to numbers if all of them are; a missing one is NaN."""
    plain = np.array(array.tolist())
    if plain.dtype.kind != "O":
        return plain
    if not all(is_number(value) or is_missing(value) for value in plain.flat):
        return plain
    numbers = np.full(plain.shape, np.nan)
    for place, value in np.ndenumerate(plain):
        if is_missing(value):
            continue
        _check_integer(value, place, what)
        try:
            numbers[place] = as_float(value)
        except OverflowError:
            raise InputError(
                f"{what} holds {brief(value)} in {_described(place)}, outside the range of float64",
                code="out-of-range",
                hint="correct it, or leave the row out",
            ) from None
    return numbers


def _check_integer(value: Any, place: Sequence[Any], what: str) -> None:
    if is_large_integer(value):
        raise InputError(
            f"{what} holds the integer {brief(value)} in {_described(place)}: float64 is exact "
            "only up to 2^53",
            code="large-integer",
            hint="leave the column out, or divide it first",
        )


def _described(place: Sequence[Any]) -> str:
    """Describe a value's place for messages; a single dimension is one column."""
    row, column = (*place, 0, 0)[:2]
    return f"row {row + 1}, column {column + 1}"
