"""Common types for columns that are passed through and differ between a table's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradline.errors import InputError
from gradline.tables.lazy_polars import pl
from gradline.tables.numbers import column_kind
from gradline.tables.parts import Part

HINT = "store it as one type in every file, or leave it out of --keep"


def kept_types(parts: Sequence[Part], names: Sequence[str]) -> dict[str, pl.DataType]:
    """Find for each column a type that can hold the values of all the parts.

    Raises:
        InputError: If there is none, as for text and numbers.
    """
    schemas = [part.frame.collect_schema() for part in parts]
    types = {}
    for name in names:
        labels = {s[name]: part.label for s, part in zip(schemas, parts, strict=True)}
        common = _common(list(labels))
        if common is None:
            found = " and ".join(f"{kind} in {label}" for kind, label in list(labels.items())[:2])
            raise InputError(
                f"the files differ: the column {name!r}, to be kept, is {found}",
                code="mixed-schemas",
                hint=HINT,
            )
        types[name] = common
    return types


def _common(types: list[pl.DataType]) -> pl.DataType | None:
    """Find a type that keeps the values of all these types unchanged, if there is one."""
    typed = [dtype for dtype in types if dtype != pl.Null()]
    if len(typed) <= 1:
        return (typed or types)[0]
    kinds = {"boolean" if dtype == pl.Boolean() else column_kind(dtype) for dtype in typed}
    if len(kinds) > 1:
        return None
    if kinds == {"text"}:
        return pl.String()
    try:
        empty = [pl.DataFrame(schema={"": dtype}) for dtype in typed]
        return pl.concat(empty, how="vertical_relaxed").schema[""]
    except pl.exceptions.PolarsError:
        return None


def as_kept(frame: pl.DataFrame, types: Mapping[str, pl.DataType], label: str) -> pl.DataFrame:
    """Cast a part's kept columns to the types from `kept_types`, every value unchanged.

    Raises:
        InputError: For a value that the type can't hold, such as a large integer among decimals.
    """
    if frame.schema == dict(types):
        return frame
    columns = zip(frame.get_columns(), types.values(), strict=True)
    return pl.DataFrame([_cast(column, dtype, label) for column, dtype in columns])


def _cast(column: pl.Series, dtype: pl.DataType, label: str) -> pl.Series:
    try:
        found = column.cast(dtype)
        if found.cast(column.dtype).equals(column, null_equal=True):
            return found
    except pl.exceptions.PolarsError:  # beyond the type's range
        pass
    raise InputError(
        f"the files differ: the column {column.name!r}, to be kept, is {column.dtype} in {label}, "
        f"and not all of its values are the same in {dtype}, which the other files need",
        code="mixed-schemas",
        hint=HINT,
    )
