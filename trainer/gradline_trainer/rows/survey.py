"""Survey a table's columns: what kind each is, and what the training rows hold.

Training rows are those that have their targets and weight and are not held out. The first pass
finds the kinds of text, the second one counts; a table of moderate size is read from disk once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import DAY, PARTS
from gradline.columns.kinds import NULLS, NUMBER_NULLS, Column, Kind
from gradline.errors import InputError
from gradline.formatting import count
from gradline.scoring.engine import Engine
from gradline.tables import Block, FrameTable
from gradline.tables.agreement import SAME_TYPES
from gradline.tables.lazy_polars import pl
from gradline.tables.parts import mixed_schemas
from gradline.tables.values import series_values
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.dealing import held_out_rows
from gradline_trainer.rows.kinds import Found, TextSurvey, typed_kind
from gradline_trainer.rows.passes import Progress, silent
from gradline_trainer.rows.refusals import too_few
from gradline_trainer.rows.rows import Counts, RowReader
from gradline_trainer.rows.sharding import each_shard
from gradline_trainer.rows.surveyed import Surveyed, fill_of, runs_of

Array = NDArray[np.float64]
SHOWN = {"number": "numbers", "time": "times", "nested": "nested values"}
SHOWN |= {"text": "text", "category": "categories"}
S = TypeVar("S", "Kinds", "Statistics")


@dataclass(frozen=True)
class Asked:
    """What the caller says about the columns' kinds.

    Attributes:
        nulls: Further texts that mean a missing value.
        formats: The time format of some columns, by name.
        categories: Columns that are categories, whatever they hold.
        most: The most levels of a category.
    """

    nulls: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)
    categories: frozenset[str] = frozenset()
    most: int = 1000


@dataclass
class Kinds:
    """The text surveys of some columns."""

    found: dict[str, TextSurvey]

    def merge(self, later: Kinds) -> Kinds:
        """Add the surveys of later rows."""
        for name, survey in later.found.items():
            self.found[name].merge(survey)
        return self


@dataclass
class Statistics:
    """Counts of each number's and each time's values in the training rows."""

    rows: int = 0
    found: dict[str, Counted] = field(default_factory=dict)

    def merge(self, later: Statistics) -> Statistics:
        """Add the counts of later rows."""
        self.rows += later.rows
        for name, counted in later.found.items():
            self.found[name].merge(counted)
        return self


@dataclass
class Counted:
    """What the training rows hold in one column of numbers or times."""

    missing: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    sums: list[float] = field(default_factory=list)  # of values times weights, per block
    weights: list[float] = field(default_factory=list)
    days: set[int] = field(default_factory=set)
    parts: dict[str, Counter[int]] = field(default_factory=dict)

    def add(self, column: Column, values: Array, weights: Array | None) -> None:
        """Count a block's values, shape (n,)."""
        present = ~np.isnan(values)
        self.missing += int(len(values) - present.sum())
        values = values[present]
        if not len(values):
            return
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        w = None if weights is None else weights[present]
        with np.errstate(over="ignore", invalid="ignore"):
            self.sums.append(float(np.sum(values if w is None else values * w)))
        self.weights.append(len(values) if w is None else float(np.sum(w)))
        if column.kind == "time":
            self.days.update(np.unique(np.floor(values / DAY)).astype(np.int64).tolist())
            for name, part in PARTS.items():
                known, counts = np.unique(part.of(values).astype(np.int64), return_counts=True)
                counter = self.parts.setdefault(name, Counter())
                counter.update(dict(zip(known.tolist(), counts.tolist(), strict=True)))

    def merge(self, later: Counted) -> None:
        """Add the counts of later rows."""
        self.missing += later.missing
        self.minimum = min(self.minimum, later.minimum)
        self.maximum = max(self.maximum, later.maximum)
        self.sums += later.sums
        self.weights += later.weights
        self.days |= later.days
        for name, counts in later.parts.items():
            self.parts.setdefault(name, Counter()).update(counts)

    @property
    def mean(self) -> float:
        """The (weighted) mean of the values; NaN without any, infinite if they do not add up."""
        weight = math.fsum(self.weights)
        if not weight:
            return math.nan
        total = math.fsum(self.sums) if _is_finite(np.array(self.sums)) else math.inf
        return total / weight

    def fill(self, column: Column) -> float | None:
        """Compute the value that fills missing ones, if there are some; a time's is a whole second.

        Raises:
            InputError: For values that do not add up.
        """
        if not self.missing or math.isnan(self.mean):
            return None
        if not math.isfinite(self.mean):
            raise InputError(
                f"the column {column.name!r} has infinite values, or values too large to add up",
                code="out-of-range",
                hint="correct or remove these rows, or divide the column first",
            )
        return fill_of(column, self.mean)


def _is_finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())


@dataclass(frozen=True)
class Roles:
    """How targets and weights are read, which decides the training rows."""

    targets: tuple[Column, ...]
    weight: Column | None
    notes: tuple[str, ...] = ()  # warnings

    @property
    def readings(self) -> tuple[Column, ...]:
        """The targets and the weight."""
        return (*self.targets, *([self.weight] if self.weight else []))

    def training(
        self, frame: pl.DataFrame, block: Block, options: Options, table: FrameTable
    ) -> tuple[NDArray[np.bool_], Array | None]:
        """Find a block's training rows, shape (n,), and the weights of all rows."""
        label, dialect = table.label(block.part), table.dialect_of(block.part)
        chosen = ~held_out_rows(block, options)
        weights = None
        for column in self.readings:
            values = series_values(
                column,
                frame.get_column(column.name),
                "missing",
                label=label,
                start=block.start,
                dialect=dialect,
            )
            chosen &= ~np.isnan(values)
            if column is self.weight:
                weights = values
                chosen &= values > 0
        return chosen, weights


def survey(
    table: FrameTable,
    columns: Columns,
    names: Sequence[str],
    asked: Asked,
    options: Options,
    report: Progress = silent,
    engine: Engine | None = None,
) -> tuple[Roles, list[Surveyed], list[str]]:
    """Survey the columns `names`, in their order; see the module.

    Args:
        table: The table.
        columns: Names its targets and its weight.
        names: The columns to survey.
        asked: What is known of them already.
        options: Of the run; its holdout decides the training rows.
        report: Called with ("rows", count).
        engine: Reads the rows; None for this process.

    Returns:
        How targets and weight are read; what each column holds; warnings.

    Raises:
        InputError: For a target or weight that is no number, and for less than two training rows.
    """
    run = _runner(table, columns, options, report, engine)
    roles = _roles(table, columns, asked, run)
    texts = [name for name in names if needs_counts(table, name, asked)]
    kinds = _find_kinds(table, texts, roles, asked, run)
    found = {name: _decide(table, name, kinds, asked) for name in names}
    numeric = [f.column for f in found.values() if f.column.kind != "category" and not f.reason]
    statistics = run(Statistics, partial(_count, columns=numeric, roles=roles))
    if statistics.rows < 2:
        _refuse_rows(table.with_columns(roles.readings, "zero"), columns, options)
    notes = [_note(one) for one in found.values() if one.odd and one.column.kind == "number"]
    own = {name: _own_kind(table, name, kinds, asked) for name in names}
    return roles, [_surveyed(found[name], own[name], statistics, table) for name in names], notes


def _refuse_rows(table: FrameTable, columns: Columns, options: Options) -> None:
    """Raise for too few training rows, or for the weights that are the reason."""
    reader = RowReader(table, columns, options)
    rows = sum(len(training) for _, training, _ in reader.blocks())
    reader.refuse_faults()
    raise too_few(rows, reader.counts)


def survey_given(
    table: FrameTable,
    columns: Columns,
    asked: Asked,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> list[Surveyed]:
    """Count what a plan's columns hold; how to read them is known.

    A category gets the levels of the plan and those of the table; see `survey` for the arguments.
    """
    run = _runner(table, columns, options, report, engine)
    roles = find_roles(table, columns, asked, options, report, engine)
    plan = columns.plan.columns
    names = [column.name for column in plan if column.kind == "category"]
    nulls = {text for column in plan if column.kind == "category" for text in column.null}
    asked = Asked(tuple(sorted({*nulls, *asked.nulls} - {*NULLS})), most=asked.most)
    kinds = _find_kinds(table, names, roles, asked, run)
    by_function = {
        f.column for term in columns.plan.terms for f in term if f.function == "category"
    }
    numeric = [column for column in plan if column.kind != "category"]
    statistics = run(Statistics, partial(_count, columns=numeric, roles=roles))
    found = []
    for column in plan:
        if column.kind != "category":
            one = _surveyed(Found(column), column.kind, statistics, table)
        else:
            own = kinds.found[column.name].decide(column.name, as_category=True)
            kind: Kind = "number" if column.name in by_function else "category"
            one = _surveyed(own, kind, statistics, table)
            levels = tuple(sorted({*column.levels, *one.counts}))
            column = replace(column, levels=levels, reference=None, rare=())
        found.append(replace(one, column=column))
    return found


def _note(found: Found) -> str:
    """Write the warning about values that are no numbers in a column of numbers."""
    examples = ", ".join(map(repr, found.odd[:3]))
    return (
        f"{count(found.odd_count, 'value')} of {found.column.name!r} cannot be read as a number "
        f"and count as missing: {examples}"
    )


def find_roles(
    table: FrameTable,
    columns: Columns,
    asked: Asked,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> Roles:
    """Find how the targets and the weight are read; see `survey`."""
    return _roles(table, columns, asked, _runner(table, columns, options, report, engine))


def _runner(
    table: FrameTable,
    columns: Columns,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> Any:
    # A pass reads the weight by its role, and counts no training row for the reader to check.
    reader = RowReader(table, replace(columns, weight=None), options)
    return partial(_run, reader=reader, report=report, engine=engine)


def _roles(table: FrameTable, columns: Columns, asked: Asked, run: Any) -> Roles:
    """Find how targets and weight are read; their own text decides, over all rows."""
    names = [*columns.targets, *([columns.weight] if columns.weight else [])]
    texts = [name for name in names if table.is_text(name)]
    nobody = Roles((), None)
    kinds = _find_kinds(table, texts, nobody, asked, run)
    read: dict[str, Column] = {}
    notes: list[str] = []
    for name in names:
        if told := differing(table, name):
            raise mixed_schemas(f"the column {name!r} has {told}", SAME_TYPES)
        if table.dtype(name) == pl.Boolean:  # true is 1, without a token for a missing value
            read[name] = Column(name)
            continue
        role = "sample weight" if name == columns.weight else "target"
        found = _decide(table, name, kinds, replace(asked, categories=frozenset()))
        if not found.present and name in kinds.found:  # no value at all
            found = Found(Column(name, null=found.column.null))
        if found.column.kind != "number":
            raise table.not_numbers(name, role)
        if found.odd:
            notes.append(_note(found))
        read[name] = found.column
    weight = read[columns.weight] if columns.weight else None
    return Roles(tuple(read[name] for name in columns.targets), weight, tuple(notes))


def differing(table: FrameTable, name: str) -> str | None:
    """Tell which kinds a column has in different files; None if it is the same in all.

    Text files have no types, and typed files beside them are read as text.
    """
    if table.has_text_files:
        return None
    found: dict[str, str] = {}
    for dtype, label in table.dtypes.get(name, {}).items():
        kind = typed_kind(dtype)
        zoned = kind == "time" and getattr(dtype, "time_zone", None)
        group = "zoned" if zoned else "category" if kind == "text" else kind
        found.setdefault(group, f"{'times with a zone' if zoned else SHOWN[kind]} in {label}")
    return " and ".join(list(found.values())[:2]) if len(found) > 1 else None


def needs_counts(table: FrameTable, name: str, asked: Asked) -> bool:
    """Check whether a column's distinct values must be counted to know what it is."""
    dtype = table.dtype(name)
    return name in asked.categories or typed_kind(dtype) == "category" or table.is_text(name)


def _decide(table: FrameTable, name: str, kinds: Kinds, asked: Asked) -> Found:
    """Decide what a column is, from its text or its type."""
    is_typed = typed_kind(table.dtype(name)) in ("number", "time")
    if name in kinds.found and not (is_typed and name not in asked.categories):
        return kinds.found[name].decide(name, as_category=name in asked.categories)
    dtype = table.dtype(name)
    nulls = (*NUMBER_NULLS, *asked.nulls)
    if typed_kind(dtype) == "time":
        zones = {getattr(other, "time_zone", None) for other in table.dtypes[name]}
        zone = zones.pop() if len(zones) == 1 else "UTC"
        return Found(Column(name, "time", null=nulls, zone=zone))
    return Found(Column(name, null=nulls))


def _text_survey(table: FrameTable, name: str, asked: Asked) -> TextSurvey:
    return TextSurvey(
        asked.nulls,
        separator=table.separator,
        decimal_comma=table.dialect.decimal_comma,
        time_format=asked.formats.get(name),
        most=asked.most,
    )


def _run(
    kind: type[S], work: Any, *, reader: RowReader, report: Progress, engine: Engine | None
) -> S:
    """Run a pass over all rows, here or on an engine."""
    if engine is None:
        found: S
        found, counts = work(reader)
        report("rows", counts.read)
        return found
    merged: S | None = None
    for _, part, _ in each_shard(work, reader, engine):
        merged = part if merged is None else merged.merge(part)
        report("rows", reader.counts.read)
    assert merged is not None  # noqa: S101 - a table has at least one shard
    return merged


def _frames(
    reader: RowReader, names: Sequence[str], roles: Roles, counts: Counts
) -> Iterator[tuple[Block, pl.DataFrame, NDArray[np.bool_], Array | None]]:
    """Yield each block's columns as they are, and which of its rows train."""
    table = reader.table
    assert isinstance(table, FrameTable)  # noqa: S101 - arrays are not surveyed
    every = list(dict.fromkeys([*(column.name for column in roles.readings), *names]))
    for part, start, frame in table.raw(every):
        block = Block(part, start, (np.empty((len(frame), 0)),))
        counts.read += len(frame)
        yield block, frame, *roles.training(frame, block, reader.options, table)


def _find_kinds(
    table: FrameTable, names: Sequence[str], roles: Roles, asked: Asked, run: Any
) -> Kinds:
    if not names:
        return Kinds({})
    as_text = table.has_text_files
    work = partial(_kinds, names=names, roles=roles, asked=asked, as_text=as_text)
    found: Kinds = run(Kinds, work)
    return found


def _kinds(
    reader: RowReader, names: Sequence[str], roles: Roles, asked: Asked, as_text: bool
) -> tuple[Kinds, Counts]:
    table = reader.table
    assert isinstance(table, FrameTable)  # noqa: S101 - see `_frames`
    found, counts = {name: _text_survey(table, name, asked) for name in names}, Counts()
    for _, frame, training, _ in _frames(reader, names, roles, counts):
        chosen = frame if training.all() else frame.filter(pl.Series(training))
        for name in names:
            values = chosen.get_column(name)
            found[name].add(values.cast(pl.String) if as_text else values)
    return Kinds(found), counts


def _count(reader: RowReader, columns: Sequence[Column], roles: Roles) -> tuple[Statistics, Counts]:
    found, counts = Statistics(0, {column.name: Counted() for column in columns}), Counts()
    names = [column.name for column in columns]
    for block, frame, training, weights in _frames(reader, names, roles, counts):
        table = reader.table
        assert isinstance(table, FrameTable)  # noqa: S101 - see `_frames`
        label, dialect = table.label(block.part), table.dialect_of(block.part)
        found.rows += int(training.sum())
        for column in columns:
            series = frame.get_column(column.name)
            values = series_values(
                column, series, "missing", label=label, start=block.start, dialect=dialect
            )
            w = None if weights is None else weights[training]
            found.found[column.name].add(column, values[training], w)
    return found, counts


def _own_kind(table: FrameTable, name: str, kinds: Kinds, asked: Asked) -> Kind:
    """Find the kind that a column has if it is not asked for as a category."""
    return _decide(table, name, kinds, replace(asked, categories=frozenset())).column.kind


def _surveyed(found: Found, own: Kind, statistics: Statistics, table: FrameTable) -> Surveyed:
    column = found.column
    place = table.names.index(column.name)
    if column.kind == "category":
        return Surveyed(
            column=column,
            kind=own,
            place=place,
            rows=statistics.rows,
            missing=found.missing,
            counts=found.counts,
            reason=found.reason,
        )
    counted = statistics.found.get(column.name, Counted(missing=statistics.rows))
    column = replace(column, fill=counted.fill(column))
    empty = counted.missing == statistics.rows
    return Surveyed(
        column=column,
        kind=column.kind,
        place=place,
        rows=statistics.rows,
        missing=counted.missing,
        parts=counted.parts,
        minimum=math.nan if empty else counted.minimum,
        maximum=math.nan if empty else counted.maximum,
        days=len(counted.days),
        runs=runs_of(counted.days),
        mean=counted.mean,
        reason=found.reason,
    )
