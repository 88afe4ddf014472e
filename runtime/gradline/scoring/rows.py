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
from gradline.columns.matrix import match_names, to_matrix
from gradline.columns.plan import Plan
from gradline.errors import InputError, nearest_column
from gradline.explain.counts import Counts
from gradline.tables.lazy_polars import pl
from gradline.tables.numbers import column_kind
from gradline.tables.parts import Part, mixed_schemas

if TYPE_CHECKING:
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
    unknown_category: str | None = None  # see `Model.predict`
    explain: bool = False  # adds each feature's contribution to each prediction
    check: bool = False  # adds a column that names values outside the training ranges
    kept: dict[str, pl.DataType] | None = None  # types of `keep`; None: hold all of its values
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.unknown_category = checked_unknown(self.unknown_category, self.model.plan)
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
        read = table_inputs(self.table, model.plan, str(self.unknown_category), self.keep)
        for found in read:
            try:
                answers = model.answers_of(found.values, found.plan, found.unknown)
            except InputError as error:
                raise self._located(error, found.inputs, found.block) from None
            self.counts.note(found.values, found.lack_inputs, answers, found.gaps, found.examples)
            frame = pl.DataFrame(answers, schema=predicted, orient="row").fill_nan(None)
            if self.explain or self.check:
                frame = frame.hstack(self._further(found.inputs, found.gaps))
            if found.block.kept is not None:
                label = self.table.label(found.block.part)
                frame = _as_kept(found.block.kept, self.kept or {}, label).hstack(frame)
            yield frame

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
        return InputError(what, code=error.code, hint=error.command_hint)

    def _further(self, terms: NDArray[np.float64], gaps: Gaps) -> list[pl.Series]:
        """Compute the columns of `explain` and `check`."""
        inputs = to_matrix(terms, self.model.features, self.model.dtype)
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
        if self.check:
            outside = self.model.outside(inputs, gaps)
            self.counts.outside += int(outside.is_beyond.sum())
            flags = pl.Series(OUTSIDE, [None], pl.String).new_from_index(0, len(inputs))
            if len(outside):
                flags = flags.scatter(outside.rows, [*map(outside.told, range(len(outside)))])
            columns.append(flags)
        return columns


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


@dataclass(frozen=True)
class ReadRows:
    """A block of a table's rows."""

    block: Block
    values: NDArray[Any]  # of the plan's columns, (n, m); NaN if missing
    plan: Plan
    unknown: str  # what becomes of an unknown level
    gaps: Gaps
    examples: dict[str, str]  # an unknown level of each column that has some

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
    read = plan if has_columns(table.names, plan) else plan_of_inputs(plan)
    names = [column.name for column in read.columns]
    table.check_names(names)
    match_names(
        table.names, names, extra="ignore", what="feature" if read.format == 1 else "column"
    )
    coded = table.with_columns(read.columns, "error" if unknown == "error" else "zero")
    coded.row_groups_ahead = 2  # reading takes longer than predicting
    for block in coded.blocks(names, keep=keep):
        values = block.pieces[0]
        yield ReadRows(block, values, read, unknown, Gaps.of(values, read), coded.strange)
