"""Join a data frame X, targets y and sample weights to one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradline.errors import InputError
from gradline.formatting import free_name
from gradline.tables import FrameTable
from gradline.tables.files import Dialect
from gradline.tables.frames import open_frame
from gradline.tables.lazy_polars import pl
from gradline.tables.parts import Part
from gradline_trainer.rows.arrays import matrix_of, names_of
from gradline_trainer.rows.columns import Names


def join(X: Any, y: Any, targets: Names, weight: Any) -> tuple[FrameTable, Names, str | None]:
    """Append y and the weights to a frame as columns; return it with their names.

    Args:
        X: A data frame or a mapping of columns, n rows.
        y: Numbers, shape (n,) or (n, k); None if `targets` are columns of X.
        targets: The columns of X to predict; names for y, by default its own, else y0, y1, ….
        weight: A column of X, or n numbers; None for equal weights.

    Raises:
        InputError: If y or the weights are not numbers or do not match the rows of X, or if X has a
            column of y's name.
    """
    table = open_frame(X)
    added: dict[str, Any] = {}
    if y is not None:
        values = matrix_of(y, "Y")
        targets = _names(y, targets, values.shape[1], table.names)
        added |= zip(targets, values.T, strict=True)
        _check_index(X, y, "y")
    if not (weight is None or isinstance(weight, str)):
        column = matrix_of(weight, "sample_weight")
        if column.shape[1] != 1:
            what = f"sample_weight has the shape {column.shape}, expected (n,)"
            raise InputError(what, code="wrong-shape", hint="give one weight for each row of X")
        _check_index(X, weight, "sample_weight")
        weight = free_name("sample_weight", [*table.names, *added])
        added[weight] = column[:, 0]
    if not added:
        return table, targets, weight
    frame = table.parts[0].frame.collect()
    for name, column in added.items():
        if len(column) != len(frame):
            what = f"X has {len(frame)} rows, but {name!r} has {len(column)}"
            hint = "give one value for each row of X, or name the column to predict as text"
            raise InputError(what, code="wrong-shape", hint=hint)
    frame = frame.with_columns(pl.Series(name, column) for name, column in added.items())
    joined = FrameTable([Part(None, frame.lazy(), frame.columns, False)], Dialect())
    return joined, targets, weight


def _names(y: Any, given: Names, k: int, taken: Sequence[str]) -> list[str]:
    """Name the k targets: as given, else by y's own names, else y0, y1, … that X does not have."""
    names = [given] if isinstance(given, str) else list(given or names_of(y) or ())
    if not names:
        return [free_name(f"y{j}", taken) for j in range(k)]
    if len(names) != k:
        raise InputError(
            f"Y has {k} columns, expected {len(names)}, one for each name",
            code="wrong-shape",
            hint="give one name per column",
        )
    for name in names:
        if name in taken:
            raise InputError(
                f"X has a column {name!r}, which is the name of y, too",
                code="repeated-column",
                hint=f"fit(X, {name!r}) predicts that column; else leave it out of X, or rename y",
            )
        if names.count(name) > 1:
            what = f"the target {name!r} is named twice"
            raise InputError(what, code="repeated-column", hint="name it once")
    return names


def _check_index(X: Any, other: Any, what: str) -> None:
    """Raise if two objects of pandas have different row labels: their order may differ, too."""
    indexes = [part.index for part in (X, other) if type(part).__module__.startswith("pandas")]
    if len(indexes) == 2 and len(X) == len(other) and not indexes[0].equals(indexes[1]):
        raise InputError(
            f"the rows of X and {what} have different labels (pandas' index)",
            code="different-index",
            hint=f"{what}.loc[X.index] sorts them like X; {what}.to_numpy() if they are in order",
        )
