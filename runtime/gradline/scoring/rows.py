"""Encoding and prediction of a table's rows, block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import (
    Gaps,
    checked_unknown,
    compute_inputs,
    has_columns,
    plan_of_inputs,
)
from gradline.columns.matrix import match_names
from gradline.columns.plan import Plan
from gradline.columns.targets import in_units
from gradline.errors import InputError, nearest_column
from gradline.explain.counts import Counts
from gradline.explain.groups import groups_of
from gradline.tables.lazy_polars import pl
from gradline.tables.numbers import column_kind
from gradline.tables.parts import Part, mixed_schemas

if TYPE_CHECKING:
    from gradline.model import Model
    from gradline.tables import Block, FrameTable

OUTSIDE = "outside"
ENDS = ["_lower", "_upper"]  # of an interval, after the prediction's name
ONE_TYPE = "store it as one type in every file, or leave it out of --keep"


@dataclass
class Scoring:
    """A lazy prediction of a table's rows, and counts over the rows predicted so far."""

    model: Model
    table: FrameTable
    keep: Sequence[str] = ()  # columns of the table to put before the predictions
    unknown_category: str | None = None  # see `Model.predict`
    explain: bool = False  # adds each column's part of each prediction
    check: bool = False  # adds a column that names values outside the training ranges
    level: float | None = None  # of the prediction intervals to add
    kept: dict[str, pl.DataType] | None = None  # types of `keep`; None: hold all of its values
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.unknown_category = checked_unknown(self.unknown_category, self.model.plan)
        if self.level is not None:  # refuses the level, or a model without intervals
            none = (np.empty((0, len(self.model.features))), np.empty((0, len(self.model.targets))))
            self.model.intervals.around(*none, self.level)
        self._check_names()
        if self.kept is None:
            self.kept = _kept_types(self.table.parts, self.keep) if self.keep else {}

    def _check_names(self) -> None:
        """Refuse columns to keep that are not there, and two columns of one name."""
        made = self._made()
        there = Counter(self.table.names)
        for name, times in Counter(name for name, _ in made).items():
            if times > 1:
                what = f"two columns of the answer would be named {name!r}"
                option = max(option for other, option in made if other == name) or "--keep"
                raise InputError(what, code="same-name", hint=f"leave out {option}")
        names = {name for name, _ in made}
        for name in self.keep:
            if name not in there:
                hint = nearest_column(name, self.table.names)
                raise InputError(f"no column {name!r} to keep", code="unknown-column", hint=hint)
            if name in names:
                what = f"the column {name!r} can't be kept: the answer has one of that name"
                hint = "leave it out of --keep, or rename it"
                raise InputError(what, code="same-name", hint=hint)
            if there[name] > 1:
                what = f"the table has {there[name]} columns named {name!r}: which is to be kept?"
                hint = "rename them in the table, or keep others by name"
                raise InputError(what, code="duplicate-column", hint=hint)

    def _predicted(self) -> list[list[str]]:
        """Name each target's columns: the prediction, and with intervals both ends.

        Beside a kept column of such a name, the prediction is called TARGET_predicted.
        """
        found = []
        for target in self.model.targets:
            names = [target] + [f"{target}{end}" for end in ENDS * (self.level is not None)]
            if not set(names).isdisjoint(self.keep):
                names = [f"{target}_predicted{name.removeprefix(target)}" for name in names]
            found.append(names)
        return found

    def _made(self) -> list[tuple[str, str]]:
        """List the columns that prediction computes, each with the option that asks for it."""
        found = []
        for value, *ends in self._predicted():
            found += [(value, ""), *((end, "--intervals") for end in ends)]
        found += [(name, "--explain") for name in self._parts * self.explain]
        return found + [(OUTSIDE, "--check")] * self.check

    @cached_property
    def _parts(self) -> list[str]:
        """The names of what --explain adds: for each target the baseline and each column."""
        columns = [group.name for group in groups_of(self.model.plan)]
        return [
            f"{target}: {name}" for target in self.model.targets for name in ("baseline", *columns)
        ]

    def schema(self) -> dict[str, pl.DataType]:
        """List the result's columns with their types, kept ones first."""
        number = pl.Float32() if self.model.dtype.itemsize == 4 else pl.Float64()
        made: dict[str, pl.DataType] = {}
        for value, *ends in self._predicted():
            made |= {value: number, **dict.fromkeys(ends, pl.Float64())}
        explained = dict.fromkeys(self._parts * self.explain, pl.Float64())
        flags = {OUTSIDE: pl.String()} if self.check else {}
        return {**(self.kept or {}), **made, **explained, **flags}

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield kept columns and predictions; a NaN prediction becomes null."""
        schema = self.schema()
        model = self.model
        predicted = {names[0]: schema[names[0]] for names in self._predicted()}
        read = table_inputs(self.table, model.plan, str(self.unknown_category), self.keep)
        for found in read:
            further: list[pl.Series] = []
            if self.explain or self.check or self.level is not None:
                inputs = inputs_of(model, found, self.table)
                z = model.graph_answers(inputs)
                answers = in_units(z, model.functions)
                further = self._further(inputs, z, found.gaps)
            else:
                answers = answers_of(model, found, self.table)
            self.counts.note(found.values, found.lack_inputs, answers, found.gaps, found.examples)
            frame = pl.DataFrame(answers, schema=predicted, orient="row").fill_nan(None)
            if further:
                frame = frame.hstack(further).select([name for name, _ in self._made()])
            if found.block.kept is not None:
                label = self.table.label(found.block.part)
                frame = _as_kept(found.block.kept, self.kept or {}, label).hstack(frame)
            yield frame

    def _further(self, inputs: NDArray[Any], z: NDArray[Any], gaps: Gaps) -> list[pl.Series]:
        """Compute the columns of `level`, `explain` and `check`."""
        columns = []
        if self.level is not None:
            ends = self.model.intervals.around(inputs, z, self.level)
            for (_, *names), *values in zip(self._predicted(), *(e.T for e in ends), strict=True):
                columns += [
                    pl.Series(name, value).fill_nan(None)
                    for name, value in zip(names, values, strict=True)
                ]
        if self.explain:
            parts = self._explained(inputs)
            columns += [
                pl.Series(name, part).fill_nan(None)
                for name, part in zip(self._parts, parts.T, strict=True)
            ]
        if self.check:
            outside = self.model.outside(inputs, gaps)
            self.counts.outside += int(outside.is_beyond.sum())
            flags = pl.Series(OUTSIDE, [None], pl.String).new_from_index(0, len(inputs))
            if len(outside):
                flags = flags.scatter(outside.rows, [*map(outside.told, range(len(outside)))])
            columns.append(flags)
        return columns

    def _explained(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Compute each target's baseline and the part of each column, side by side."""
        found = self.model.explain(inputs)
        n, k, g = found.by_column.shape
        baseline = np.broadcast_to(found.baseline[None, :, None], (n, k, 1))
        return np.concatenate([baseline, found.by_column], axis=2).reshape(n, k * (g + 1))


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


@dataclass(frozen=True)
class ReadRows:
    """A block of a table's rows."""

    block: Block
    values: NDArray[Any]  # of the plan's columns, (n, m); NaN if missing
    plan: Plan
    unknown: str  # what becomes of an unknown level
    examples: dict[str, str]  # an unknown level of each column that has some

    @cached_property
    def gaps(self) -> Gaps:
        """The filled and missing values, and the unknown levels."""
        return Gaps(self.values, self.plan)

    @cached_property
    def inputs(self) -> NDArray[Any]:
        """The graph's inputs, (n, d); NaN if there is no answer."""
        return compute_inputs(self.values, self.plan, self.unknown)

    def lack_inputs(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Check whether an input is missing in each of some rows."""
        inputs = compute_inputs(self.values[rows], self.plan, self.unknown)
        missing: NDArray[np.bool_] = np.isnan(inputs).any(axis=1)
        return missing


def table_inputs(
    table: FrameTable, plan: Plan, unknown: str, keep: Sequence[str] = ()
) -> Iterator[ReadRows]:
    """Yield the values of a table's columns block by block, for the graph's inputs.

    The table has the plan's columns or the graph's inputs, by name.
    """
    read = plan_for(plan, table)
    names = [column.name for column in read.columns]
    coded = table.with_columns(read.columns, "error" if unknown == "error" else "zero")
    coded.row_groups_ahead = 2  # reading takes longer than predicting
    for block in coded.blocks(names, keep=keep):
        values = block.pieces[0]
        yield ReadRows(block, values, read, unknown, coded.strange)


def plan_for(plan: Plan, table: FrameTable) -> Plan:
    """Choose by a table's names between a plan of columns and the plan of the graph's inputs.

    Raises:
        InputError: For a missing or duplicated column.
    """
    chosen = plan if has_columns(table.names, plan) else plan_of_inputs(plan)
    names = [column.name for column in chosen.columns]
    table.check_names(names)
    match_names(table.names, names, extra="ignore", what=chosen.noun)
    return chosen


def answers_of(model: Model, found: ReadRows, table: FrameTable) -> NDArray[Any]:
    """Predict a block's rows, shape (n, k); an error names the row of the table."""
    try:
        return model.answers_of(found.values, found.plan, found.unknown)
    except InputError as error:
        raise _located(error, found, model, table) from None


def inputs_of(model: Model, found: ReadRows, table: FrameTable) -> NDArray[Any]:
    """Compute a block's inputs in the graph's dtype, shape (n, d); errors as in `answers_of`."""
    try:
        return compute_inputs(found.values, found.plan, found.unknown, model.dtype)
    except InputError as error:
        raise _located(error, found, model, table) from None


def _located(error: InputError, found: ReadRows, model: Model, table: FrameTable) -> InputError:
    """Add the value's place to an out-of-range error."""
    if error.code != "out-of-range":
        return error
    inputs, block = found.inputs, found.block
    with np.errstate(over="ignore"):
        beyond = np.isinf(inputs.astype(model.dtype)) & np.isfinite(inputs)
    row, column = np.argwhere(beyond)[0].tolist()
    place = f"row {block.start + row + 1} of {table.label(block.part)}"
    holds = f"the column {model.features[column]!r} holds {inputs[row, column]:g}"
    what = f"{holds} in {place}, outside the range of {model.dtype}"
    return InputError(what, code=error.code, hint=error.command_hint)
