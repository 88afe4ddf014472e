"""Conversion of the caller's rows to the matrix that the graph takes.

Columns that have names are matched by name, in any order. ONNX Runtime silently gives wrong
answers for masked and big-endian arrays: masked arrays are refused, big-endian ones converted.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gradline.columns.python_numbers import as_float, brief, is_number
from gradline.errors import InputError, nearest
from gradline.formatting import and_more

Matrix = NDArray[Any]


def to_matrix(rows: object, features: Sequence[str], dtype: np.dtype[Any]) -> Matrix:
    """Convert rows to a C-contiguous (n, d) array of `dtype`, columns in `features` order.

    `rows` is an array-like of shape (n, d), a mapping from feature name to column, or a dataframe
    (pandas, polars, pyarrow), which may have further columns.
    """
    if isinstance(rows, Mapping):
        match_names(list(rows), features, extra="refuse")
        return stack({name: rows[name] for name in features}, dtype)
    labels = column_labels(rows)
    if labels is not None:
        match_names(list(map(str, labels)), features, extra="ignore")
        places = {str(label): label for label in labels}
        columns = {name: rows[places[name]] for name in features}  # type: ignore[index]
        return stack(columns, dtype)
    matrix = _to_numbers(rows, "the rows", dtype, features)
    if matrix.shape == (0,):
        return matrix.reshape(0, len(features))
    _check_shape(matrix, features)
    return matrix


def column_labels(table: object) -> list[Any] | None:
    """List a dataframe's column labels in order; return None for anything else."""
    kind = type(table)  # not the frame itself: pandas has columns as attributes
    if hasattr(kind, "collect_schema") and not hasattr(kind, "get_column"):
        what = "a lazy frame has no values yet"
        raise InputError(what, code="not-numeric", hint="collect it first")
    for attribute in ("column_names", "columns"):  # pyarrow; pandas and polars
        if hasattr(kind, attribute) and hasattr(kind, "__getitem__"):
            return list(getattr(table, attribute))
    return None


def match_names(
    given: Sequence[str], wanted: Sequence[str], *, extra: str, what: str = "feature"
) -> None:
    """Check that each wanted name is given once.

    Args:
        given: The names of a table's columns.
        wanted: The names that are needed.
        extra: "ignore" or "refuse" other names.
        what: The noun for a wanted name in messages.
    """
    known, times = set(wanted), Counter(given)
    for name in times if extra == "refuse" else ():
        if name not in known:
            hint = nearest(str(name), wanted, given) or "leave it out: all are there"
            raise InputError(f"unknown {what} {name!r}", code="unknown-feature", hint=hint)
    if lacking := [name for name in wanted if name not in times]:
        raise _missing(lacking, given, wanted, what)
    for name in wanted:
        if times[name] > 1:
            twice = f"the {what} {name!r} appears {times[name]} times in the table"
            hint = "keep one column of that name"
            raise InputError(twice, code="duplicate-feature", hint=hint)


def _missing(
    lacking: Sequence[str], given: Sequence[str], wanted: Sequence[str], what: str
) -> InputError:
    """Build the error for wanted names that are not given."""
    names = and_more([repr(name) for name in lacking])
    is_one = len(lacking) == 1
    told = f"the {what} {lacking[0]!r} is missing"
    if not is_one:
        rest = and_more([repr(name) for name in lacking[1:]])
        told += f", and so {'is' if len(lacking) == 2 else 'are'} {rest}"
    hint = nearest(lacking[0], given, wanted, only_close=True)
    hint = hint or f"add the column{'s' * (not is_one)} {names}"
    return InputError(told, code="missing-feature", hint=hint)


def stack(
    columns: Mapping[str, object], dtype: np.dtype[Any], order: Literal["C", "F"] = "C"
) -> Matrix:
    """Stack columns side by side, shape (n, d); errors name the column."""
    matrix = np.empty((0, 0), dtype)
    for j, (name, column) in enumerate(columns.items()):
        values = _to_numbers(column, f"the column {name!r}", dtype)
        if values.ndim != 1:
            what = f"the column {name!r} has {values.ndim} dimensions, expected one value per row"
            hint = "give a list of values, one per row, even for a single row: [73.0]"
            raise InputError(what, code="wrong-shape", hint=hint)
        if j == 0:
            matrix = np.empty((len(values), len(columns)), dtype, order)
        if len(values) != len(matrix):
            first = next(iter(columns))
            what = f"the column {name!r} has {len(values)} values, {first!r} has {len(matrix)}"
            raise InputError(what, code="wrong-shape", hint="give columns of one length")
        matrix[:, j] = values
    return matrix


def _to_numbers(
    values: object, what: str, dtype: np.dtype[Any], names: Sequence[str] = ()
) -> Matrix:
    """Convert numbers to a C-contiguous array; messages call it `what`, its columns by `names`."""
    if type(values) is np.ndarray and values.dtype == dtype and values.ndim:
        return np.ascontiguousarray(values)
    refuse_masked(values, what)
    refuse_sparse(values, what)
    values = from_tensor(values, what)
    try:
        array = np.asarray(values)
        numbers = _plain(array) if array.dtype.kind == "O" else array
    except OverflowError:
        raise out_of_range(array, dtype, names, what=what) from None
    except (ValueError, TypeError, RuntimeError) as error:
        found = f"{what}: rows of unequal length, or values that are not numbers ({error})"
        hint = "give numbers, the same count in every row"
        raise InputError(found, code="not-numeric", hint=hint) from error
    if numbers.dtype.kind not in "fiub" and numbers.size:
        found = f"{what}: expected numbers, got {describe(numbers)}"
        raise InputError(found, code="not-numeric", hint="convert to numbers first")
    if numbers.dtype == dtype:
        return np.ascontiguousarray(numbers) if numbers.ndim else numbers
    try:
        with np.errstate(all="ignore", over="raise"):
            return np.asarray(numbers, dtype=dtype, order="C")
    except FloatingPointError:
        raise out_of_range(array, dtype, names, what=what) from None


def refuse_masked(values: object, what: str) -> None:
    """Refuse a masked array, also within a list; its hidden values are not to be seen."""
    # Importing numpy.ma takes 7 ms; if nothing has, there is no masked array.
    masked = sys.modules.get("numpy.ma")
    if masked is None:
        return
    kinds = {type(values)}
    if isinstance(values, list | tuple):
        inner = set(map(type, values))
        kinds |= inner
        if any(issubclass(kind, list | tuple) for kind in inner):
            rows = (row for row in values if isinstance(row, list | tuple))
            kinds |= set(map(type, chain.from_iterable(rows)))
    elif isinstance(values, np.ndarray) and values.dtype.kind == "O":
        kinds |= set(map(type, values.flat))
    if any(issubclass(kind, masked.MaskedArray) for kind in kinds):
        found = f"{what}: masked arrays are not accepted, since a graph has no mask"
        raise InputError(found, code="masked-array", hint="fill it first: rows.filled(value)")


def is_sparse(values: object) -> bool:
    """Check for a SciPy sparse matrix; there is none unless SciPy is imported."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(values))


def refuse_sparse(values: object, what: str) -> None:
    """Refuse a SciPy sparse matrix, which NumPy would treat as a single object."""
    if is_sparse(values):
        raise InputError(
            f"{what}: a scipy sparse matrix ({type(values).__name__}) is not accepted, expected a "
            "dense array",
            code="sparse-matrix",
            hint="make it dense: matrix.toarray()",
        )


def from_tensor(values: Any, what: str) -> Any:
    """Convert a PyTorch tensor to a NumPy array; return anything else unchanged.

    NumPy refuses a tensor that requires its gradient, a lazily negated one, and bfloat16.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(values, torch.Tensor):
        return values
    try:
        tensor = values.detach().cpu().resolve_conj().resolve_neg()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    except (RuntimeError, TypeError) as error:
        kind = f"{values.layout} tensor on {values.device}".removeprefix("torch.")
        dense = values.layout == torch.strided
        found = f"{what}: a {kind}, expected a dense tensor that holds values"
        hint = "fill it with values first" if dense else "make it dense: tensor.to_dense()"
        raise InputError(found, code="not-numeric", hint=hint) from error


def out_of_range(
    array: Matrix, dtype: np.dtype[Any], names: Sequence[str], start: int = 0, what: str = ""
) -> InputError:
    """Build the error for the first finite value that overflows `dtype`.

    `array` is one column, called `what`, or a matrix, whose first row is the table's row `start`.
    """
    place, value = next(found for found in np.ndenumerate(array) if _is_beyond(found[1], dtype))
    row, column = (*place, 0, 0)[:2]
    if len(place) == 2:
        what = f"the column {names[column]!r}" if column < len(names) else f"column {column + 1}"
    found = f"{what} holds {brief(value)} in row {start + row + 1}, outside the range of {dtype}"
    hint = f"the graph computes in {dtype}; the largest value is {np.finfo(dtype).max:.3g}"
    return InputError(found, code="out-of-range", hint=hint)


def _is_beyond(value: Any, dtype: np.dtype[Any]) -> bool:
    try:
        number = math.nan if is_missing(value) else as_float(value)
    except OverflowError:
        return True
    with np.errstate(over="ignore"):
        return math.isfinite(number) and not np.isfinite(np.float64(number).astype(dtype))


def _plain(array: Matrix) -> Matrix:
    """Convert an array of Python objects to numbers if all are numbers; missing ones become NaN.

    Decimals, fractions and integers of more than 64 bits are numbers too.
    """
    plain = np.array(array.tolist())
    if plain.dtype.kind == "O":
        values = [math.nan if is_missing(value) else value for value in plain.flat]
        if all(map(is_number, values)):
            plain = np.array(list(map(as_float, values)), np.float64).reshape(plain.shape)
    return plain


def is_missing(value: object) -> bool:
    """Check whether a value is None, NaN, or pandas' NA or NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def describe(array: Matrix) -> str:
    """Describe for a message what a non-numeric array holds."""
    words = {"U": "text", "S": "bytes", "M": "dates", "m": "durations", "c": "complex numbers"}
    word = words.get(array.dtype.kind, f"values of dtype {array.dtype}")
    if array.dtype.kind == "O":
        unusual = [v for v in array.flat if not isinstance(v, (int, float)) and not is_missing(v)]
        odd = next((v for v in unusual if not is_number(v)), unusual[0] if unusual else None)
        return f"{type(odd).__name__}: {odd!r}" if odd is not None else "a missing value (None)"
    return f"{word}: {array.ravel()[0].item()!r}" if array.dtype.kind in "US" else word


def _check_shape(matrix: Matrix, features: Sequence[str]) -> None:
    """Check that `matrix` is (n, d)."""
    d = len(features)
    if matrix.ndim == 1:
        found = f"rows of shape (n, {d}), got one dimension of length {len(matrix)}"
        hint = "give a matrix, one row per prediction"
        if len(matrix) == d:
            hint = "wrap the single row: model.predict([row])"
        elif d == 1:
            hint = "one feature: numpy.reshape(rows, (-1, 1))"
    elif matrix.ndim != 2:
        found = f"rows of shape (n, {d}), got {matrix.ndim} dimensions"
        hint = "give a matrix, one row per prediction"
    elif matrix.shape[1] != d:
        listed = ", ".join(features[:8]) + (", …" if d > 8 else "")
        found = f"{d} columns ({listed}), got {matrix.shape[1]}"
        hint = "give one value per feature, in that order, or pass the columns by name"
    else:
        return
    raise InputError(f"expected {found}", code="wrong-shape", hint=hint)
