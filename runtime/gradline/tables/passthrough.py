"""The types of columns that are passed through, where a table's files differ in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gradline.errors import InputError
from gradline.tables.numbers import kind_of
from gradline.tables.parts import Part

if TYPE_CHECKING:
    import polars as pl

__all__ = ["as_kept", "kept_types"]

HINT = "store it as one type in every file, or leave it out of --keep"


def kept_types(parts: Sequence[Part], names: Sequence[str]) -> dict[str, pl.DataType]:
    """Return the type of each column that has room for the values of all the parts.

    Raises:
        InputError: Where no type has, as of text and numbers.
    """
    schemas = [part.frame.collect_schema() for part in parts]
    found = {}
    for name in names:
        labels = {s[name]: part.label for s, part in zip(schemas, parts, strict=True)}
        common = _common(list(labels))
        if common is None:
            told = " and ".join(f"{kind} in {label}" for kind, label in list(labels.items())[:2])
            raise InputError(
                f"the files differ: the column {name!r}, to be kept, is {told}",
                code="mixed-schemas",
                hint=HINT,
            )
        found[name] = common
    return found


def _common(kinds: list[pl.DataType]) -> pl.DataType | None:
    """Return the type that all of these become, None where a value would become another one."""
    import polars as pl

    typed = [kind for kind in kinds if kind != pl.Null()]
    if len(typed) <= 1:
        return (typed or kinds)[0]
    if len({"truth" if kind == pl.Boolean() else kind_of(kind) for kind in typed}) > 1:
        return None
    if kind_of(typed[0]) == "text":
        return pl.String()
    try:
        empty = [pl.DataFrame(schema={"": kind}) for kind in typed]
        return pl.concat(empty, how="vertical_relaxed").schema[""]
    except pl.exceptions.PolarsError:
        return None


def as_kept(frame: pl.DataFrame, types: Mapping[str, pl.DataType], label: str) -> pl.DataFrame:
    """Return a part's columns in the types of the whole table, every value the same.

    Args:
        frame: Of the part.
        types: As of `kept_types`.
        label: What messages call the part.

    Raises:
        InputError: For a value that the type can't hold, as a large integer among decimals.
    """
    if frame.schema == dict(types):
        return frame
    import polars as pl

    columns = zip(frame.get_columns(), types.values(), strict=True)
    return pl.DataFrame([_as(column, kind, label) for column, kind in columns])


def _as(column: pl.Series, kind: pl.DataType, label: str) -> pl.Series:
    import polars as pl

    try:
        found = column.cast(kind)
        if found.cast(column.dtype).equals(column, null_equal=True):
            return found
    except pl.exceptions.PolarsError:  # beyond the type's range
        pass
    raise InputError(
        f"the files differ: the column {column.name!r}, to be kept, is {column.dtype} in {label}, "
        f"and not all of its values are the same in {kind}, which the other files need",
        code="mixed-schemas",
        hint=HINT,
    )
