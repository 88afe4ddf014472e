"""A table that is a matrix in memory, dense or sparse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import PlaceOf, places_of, texts_of
from gradline.columns.matrix import describe, from_tensor, is_sparse, refuse_sparse
from gradline.columns.python_numbers import as_float, is_large_integer, is_number, shown
from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS, Block, TableFile
from gradline_trainer.rows.rows import GROUP_ROWS

__all__ = ["ArrayTable", "matrix_of"]

DENSE = 1 << 22  # numbers of a sparse matrix to make dense at a time


class ArrayTable:
    """Named columns of numbers, read in blocks as `gradline.tables.FrameTable` is.

    Attributes:
        names: One per column.
        kinds: "number" for each.
        paths: None, for it has no files.
        place_of: For each category column, what turns its text into the number that is read.
    """

    paths: Sequence[TableFile] = ()
    place_of: Mapping[str, PlaceOf] = MappingProxyType({})

    def __init__(self, parts: Sequence[NDArray[Any]], names: list[str]) -> None:
        self.parts = parts  # side by side, not joined: X may be half of the memory
        self.names = names
        self.kinds = dict.fromkeys(names, "number")

    def label(self, part: int) -> str:
        """Return what messages call the table."""
        return "the table"

    def with_categories(self, place_of: Mapping[str, PlaceOf]) -> Self:
        """Return the same table with these columns read as categories, each as its place."""
        table = copy(self)
        table.place_of = place_of
        return table

    def blocks(self, columns: Sequence[str], rows: int | None = None) -> Iterator[Block]:
        """Yield the named columns as numbers, `rows` at a time.

        The default is BLOCK_ROWS, or for a sparse matrix as many rows as make DENSE numbers.
        """
        size = rows or BLOCK_ROWS
        if rows is None and any(map(is_sparse, self.parts)):
            size = max(GROUP_ROWS, min(BLOCK_ROWS, DENSE // len(self.names)))
        place = {name: j for j, name in reversed(list(enumerate(self.names)))}
        places = [place[name] for name in columns]
        everything = places == list(range(len(self.names))) and not self.place_of
        for start in range(0, self.expected_rows(), size):
            block = slice(start, start + size)
            if everything:
                yield Block(0, start, tuple(_number(_cut(part, block)) for part in self.parts))
                continue
            values = self._joined(block)[:, places]
            for j, name in enumerate(columns):
                if name in self.place_of:
                    texts = texts_of(values[:, j], name)
                    values[:, j] = places_of(texts, name, self.place_of[name], start=start)
            yield Block(0, start, (values,))

    @property
    def values(self) -> NDArray[np.float64]:
        """The whole table as one matrix."""
        return self._joined(slice(None))

    def _joined(self, rows: slice) -> NDArray[np.float64]:
        return np.concatenate([_cut(p, rows) for p in self.parts], axis=1, dtype=np.float64)

    def expected_rows(self) -> int:
        """Return how many rows there are."""
        return int(self.parts[0].shape[0])

    def not_numbers(self, name: str, role: str = "feature") -> InputError:
        """Return the error for a column that is not numeric; there is none here."""
        raise AssertionError(name)


def _cut(part: Any, rows: slice) -> NDArray[Any]:
    """Return some of a matrix's rows, dense."""
    values = part[rows]
    return values.toarray() if is_sparse(values) else values  # type: ignore[no-any-return]


def _number(values: NDArray[Any]) -> NDArray[Any]:
    """Return float64 and float32 as they are, all else as float64."""
    kept = values.dtype.isnative and values.dtype in (np.float64, np.float32)
    if min(values.strides) < 0:  # PyTorch has no such tensors
        values = values.copy()
    return values if kept else values.astype(np.float64)


def matrix_of(values: Any, what: str) -> Any:
    """Return an array-like or tensor as a matrix, a single dimension as one column.

    A SciPy sparse matrix X stays sparse, in CSR format.

    Raises:
        InputError: For text, dates, masked arrays, a wrong shape, or integers beyond 2^53.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(
            f"{what} is a masked array", code="masked-array", hint="use missing values: filled(nan)"
        )
    if is_sparse(values):
        return _compressed(values, what)
    values = from_tensor(values, what)
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O":
            array = _plain(array, what)
    except InputError:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{what} is not a matrix of numbers ({error})", code="not-numeric"
        ) from error
    if array.ndim == 1 and what != "X":
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape[1:]:
        raise InputError(
            f"{what} has the shape {array.shape}, expected one row per observation",
            code="wrong-shape",
            hint="X is (n, d), Y is (n, k) or (n,)",
        )
    if array.dtype.kind not in "fiub" and array.size:
        raise InputError(f"{what} holds {describe(array)}, expected numbers", code="not-numeric")
    if array.dtype.kind in "iu" and array.size and array.dtype.itemsize == 8:
        row, column = np.unravel_index(np.argmax(np.abs(array.astype(np.float64))), array.shape)
        _check_integer(array[row, column], (row, column), what)
    return array


def _plain(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Convert an array of Python objects to numbers if all of them are numbers.

    Raises:
        InputError: For a number that float64 can't hold; the message names its place.
    """
    plain = np.array(array.tolist())
    if plain.dtype.kind != "O" or not all(map(is_number, plain.flat)):
        return plain
    numbers = np.empty(plain.shape)
    for place, value in np.ndenumerate(plain):
        _check_integer(value, place, what)
        try:
            numbers[place] = as_float(value)
        except OverflowError:
            raise InputError(
                f"{what} holds {shown(value)} in {_told(place)}, outside the range of float64",
                code="out-of-range",
                hint="mend it, or leave the row out",
            ) from None
    return numbers


def _check_integer(value: Any, place: Sequence[Any], what: str) -> None:
    """Refuse an integer beyond 2^53."""
    if is_large_integer(value):
        raise InputError(
            f"{what} holds the integer {shown(value)} in {_told(place)}: float64 is exact only up "
            "to 2^53",
            code="large-integer",
            hint="leave the column out, or divide it first",
        )


def _told(place: Sequence[Any]) -> str:
    """Describe a value's place for messages; a single dimension is one column."""
    row, column = (*place, 0, 0)[:2]
    return f"row {row + 1}, column {column + 1}"


def _compressed(values: Any, what: str) -> Any:
    """Convert a sparse matrix of numbers to CSR format."""
    if what != "X":
        refuse_sparse(values, what)
    if values.ndim != 2 or 0 in values.shape[1:]:
        raise InputError(
            f"{what} is a sparse matrix of shape {values.shape}, expected (n, d)",
            code="wrong-shape",
            hint=f"give {what}.toarray()",
        )
    rows = values.tocsr()
    if rows.dtype.kind not in "fiub":
        raise InputError(
            f"{what} holds {describe(rows.data)}, expected numbers", code="not-numeric"
        )
    if rows.dtype.kind in "iu" and rows.nnz and rows.dtype.itemsize == 8:
        largest = int(np.argmax(np.abs(rows.data.astype(np.float64))))
        row = int(np.searchsorted(rows.indptr, largest, side="right")) - 1
        _check_integer(rows.data[largest], (row, int(rows.indices[largest])), what)
    return rows
