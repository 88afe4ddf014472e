"""Encoding and prediction of a table's rows, block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import has_columns, place_finder
from gradline.columns.encoding import expand
from gradline.columns.kinds import Column
from gradline.columns.matrix import match_names
from gradline.errors import InputError, nearest_column
from gradline.tables.lazy_polars import pl
from gradline.tables.numbers import column_kind
from gradline.tables.parts import Part, mixed_schemas

if TYPE_CHECKING:
    from gradline.explain.ranges import Outside
    from gradline.model import Model
    from gradline.tables import Block, FrameTable

OUTSIDE = "outside"
ONE_TYPE = "store it as one type in every file, or leave it out of --keep"


@dataclass
class Scoring:
    """A lazy prediction of a table's rows, and counts over the rows predicted so far."""

    model: Model
    table: FrameTable
    keep: Sequence[str] = ()  # columns of the table to put before the predictions
    unknown_category: str = "error"
    explain: bool = False  # adds each feature's contribution to each prediction
    check: bool = False  # adds a column that names values outside the training ranges
    kept: dict[str, pl.DataType] | None = None  # types of `keep`; None: hold all of its values
    outside: int = 0  # rows with a value outside the training ranges
    rows: int = 0
    missing: int = 0  # rows with a missing value and without a prediction
    infinite: int = 0  # other rows with a prediction that is not finite

    def __post_init__(self) -> None:
        made = Counter(made_names(self.model, explain=self.explain, check=self.check))
        there = Counter(self.table.names)
        for name, times in made.items():
            if times > 1:
                what = f"two columns of the answer would be named {name!r}"
                hint = f"leave out --{'check' if name == OUTSIDE else 'explain'}"
                raise InputError(what, code="same-name", hint=hint)
        for name in self.keep:
            if name not in there:
                hint = nearest_column(name, self.table.names)
                raise InputError(f"no column {name!r} to keep", code="unknown-column", hint=hint)
            if name in made:
                what = f"the column {name!r} can't be kept: the answer has one of that name"
                hint = "leave it out of --keep, or rename it"
                raise InputError(what, code="same-name", hint=hint)
            if there[name] > 1:
                what = f"the table has {there[name]} columns named {name!r}: which is to be kept?"
                hint = "rename them in the table, or keep others by name"
                raise InputError(what, code="duplicate-column", hint=hint)
        if self.kept is None:
            self.kept = _kept_types(self.table.parts, self.keep) if self.keep else {}

    def schema(self) -> dict[str, pl.DataType]:
        """List the result's columns with their types, kept ones first."""
        number = pl.Float32() if self.model.dtype.itemsize == 4 else pl.Float64()
        made = dict.fromkeys(self.model.targets, number)
        explained = dict.fromkeys(_contributions(self.model) * self.explain, pl.Float64())
        flags = {OUTSIDE: pl.String()} if self.check else {}
        return {**(self.kept or {}), **made, **explained, **flags}

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield kept columns and predictions; a NaN prediction becomes null."""
        schema = self.schema()
        model = self.model
        predicted = {target: schema[target] for target in model.targets}
        for inputs, block in table_inputs(
            self.table, model.columns, model.features, self.unknown_category, self.keep
        ):
            outside: Outside | None = None
            try:
                if self.check:
                    answers, outside = model.predict(inputs, check=True)
                else:
                    answers = model.predict(inputs)
            except InputError as error:
                raise self._located(error, inputs, block) from None
            self._count(inputs, answers)
            found = pl.DataFrame(answers, schema=predicted, orient="row").fill_nan(None)
            found = found.hstack(self._further(inputs, outside))
            if block.kept is not None:
                label = self.table.label(block.part)
                found = _as_kept(block.kept, self.kept or {}, label).hstack(found)
            yield found

    def _located(self, error: InputError, inputs: NDArray[np.float64], block: Block) -> InputError:
        """Add the value's place to an out-of-range error."""
        if error.code != "out-of-range":
            return error
        with np.errstate(over="ignore"):
            beyond = np.isinf(inputs.astype(self.model.dtype)) & np.isfinite(inputs)
        row, column = np.argwhere(beyond)[0].tolist()
        place = f"row {block.start + row + 1} of {self.table.label(block.part)}"
        found = f"the column {self.model.features[column]!r} holds {inputs[row, column]:g}"
        what = f"{found} in {place}, outside the range of {self.model.dtype}"
        return InputError(what, code=error.code, hint=error.hint)

    def _further(self, inputs: NDArray[np.float64], outside: Outside | None) -> list[pl.Series]:
        """Compute the columns of `explain` and `check`."""
        columns = []
        if self.explain:
            found = self.model.explain(inputs)
            n, k, d = found.contributions.shape
            baseline = np.broadcast_to(found.baseline[None, :, None], (n, k, 1))
            parts = np.concatenate([baseline, found.contributions], axis=2).reshape(n, k * (d + 1))
            columns += [
                pl.Series(name, part).fill_nan(None)
                for name, part in zip(_contributions(self.model), parts.T, strict=True)
            ]
        if outside is not None:
            self.outside += len(outside)
            flags = pl.Series(OUTSIDE, [None], pl.String).new_from_index(0, len(inputs))
            if len(outside):
                flags = flags.scatter(outside.rows, [*map(outside.told, range(len(outside)))])
            columns.append(flags)
        return columns

    def _count(self, inputs: NDArray[np.float64], answers: NDArray[np.float64]) -> None:
        self.rows += len(answers)
        odd = ~np.isfinite(answers).all(axis=1)
        missing = int(np.isnan(inputs[odd]).any(axis=1).sum())
        self.missing += missing
        self.infinite += int(odd.sum()) - missing


def made_names(model: Model, *, explain: bool, check: bool) -> list[str]:
    """List the names of the columns that prediction computes."""
    return [*model.targets, *(_contributions(model) * explain), *([OUTSIDE] * check)]


def _contributions(model: Model) -> list[str]:
    return [
        f"{target}: {name}" for target in model.targets for name in ("baseline", *model.features)
    ]


def _kept_types(parts: Sequence[Part], names: Sequence[str]) -> dict[str, pl.DataType]:
    """Find for each column a type that can hold the values of all the parts."""
    schemas = [part.frame.collect_schema() for part in parts]
    types = {}
    for name in names:
        labels = {s[name]: part.label for s, part in zip(schemas, parts, strict=True)}
        common = _common_type(list(labels))
        if common is None:
            found = " and ".join(f"{kind} in {label}" for kind, label in list(labels.items())[:2])
            raise mixed_schemas(f"the column {name!r}, to be kept, is {found}", ONE_TYPE)
        types[name] = common
    return types


def _common_type(types: list[pl.DataType]) -> pl.DataType | None:
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


def _as_kept(frame: pl.DataFrame, types: Mapping[str, pl.DataType], label: str) -> pl.DataFrame:
    """Cast a part's kept columns to the types from `_kept_types`, every value unchanged."""
    if frame.schema == dict(types):
        return frame
    columns = zip(frame.get_columns(), types.values(), strict=True)
    return pl.DataFrame([_cast(column, dtype, label) for column, dtype in columns])


def _cast(column: pl.Series, dtype: pl.DataType, label: str) -> pl.Series:
    with suppress(pl.exceptions.PolarsError):  # for a value beyond the type's range
        kept = column.cast(dtype)
        if kept.cast(column.dtype).equals(column, null_equal=True):
            return kept
    found = f"the column {column.name!r}, to be kept, is {column.dtype} in {label}, and not all of "
    found += f"its values are the same in {dtype}, which the other files need"
    raise mixed_schemas(found, ONE_TYPE)


def table_inputs(
    table: FrameTable,
    columns: Sequence[Column],
    features: Sequence[str],
    unknown_category: str,
    keep: Sequence[str] = (),
) -> Iterator[tuple[NDArray[np.float64], Block]]:
    """Yield the graph's inputs, shape (rows, d), NaN if missing, and their block.

    The table has the training table's `columns` or the graph's inputs, named `features`.
    """
    by_columns = has_columns(table.names, columns, features)
    read = columns if by_columns else [Column(name) for name in features]
    names = [column.name for column in read]
    match_names(table.names, names, extra="ignore")
    categories = [column for column in read if column.kind == "category"]
    coded = table.with_categories({c.name: place_finder(c, unknown_category) for c in categories})
    coded.row_groups_ahead = 2  # reading takes longer than predicting
    for block in coded.blocks(names, keep=keep):
        yield expand(block.pieces[0], read), block
