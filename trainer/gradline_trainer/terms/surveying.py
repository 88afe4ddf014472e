"""The passes of a survey: which rows train, and what kinds of text columns hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import Column
from gradline.scoring.engine import Engine
from gradline.tables import Block, FrameTable
from gradline.tables.lazy_polars import pl
from gradline.tables.values import series_values
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.counts import Counts
from gradline_trainer.rows.dealing import held_out_rows
from gradline_trainer.rows.library_state import in_threads
from gradline_trainer.rows.passes import Progress
from gradline_trainer.rows.rows import RowReader
from gradline_trainer.rows.sharding import each_shard
from gradline_trainer.terms.deciding import Asked, text_survey
from gradline_trainer.terms.kinds import TextSurvey

Array = NDArray[np.float64]
S = TypeVar("S", bound="Merging")


class Merging(Protocol):
    """What a pass counts, and what is counted of later rows."""

    def merge(self, later: Self) -> Self:
        """Add the counts of later rows."""


@dataclass
class Kinds:
    """The text surveys of some columns."""

    found: dict[str, TextSurvey]

    def merge(self, later: Kinds) -> Kinds:
        """Add the surveys of later rows."""
        for name, survey in later.found.items():
            self.found[name].merge(survey)
        return self


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
        self, values: Mapping[str, Array], block: Block, options: Options
    ) -> tuple[NDArray[np.bool_], Array | None]:
        """Find a block's training rows, shape (n,), and the weights of all rows."""
        chosen = ~held_out_rows(block, options)
        for name in values:
            chosen &= ~np.isnan(values[name])
        weights = None if self.weight is None else values[self.weight.name]
        return chosen if weights is None else chosen & (weights > 0), weights


def runner(
    table: FrameTable,
    columns: Columns,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> Any:
    """Make the function that runs a pass: it takes a class to merge by, and the work."""
    # A pass reads the weight by its role, and counts no training row for the reader to check.
    reader = RowReader(table, replace(columns, weight=None), options)
    return partial(_run_pass, reader=reader, report=report, engine=engine)


def _run_pass(
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


def training_frames(
    reader: RowReader, names: Sequence[str], roles: Roles, counts: Counts
) -> Iterator[pl.DataFrame]:
    """Yield the training rows of each block, with the columns as they are."""
    table = reader.table
    assert isinstance(table, FrameTable)  # noqa: S101 - arrays are not surveyed
    every = list(dict.fromkeys([*(column.name for column in roles.readings), *names]))
    for part, start, frame in table.raw(every):
        block = Block(part, start, (np.empty((len(frame), 0)),))
        counts.read += len(frame)
        label, dialect = table.label(part), table.dialect_of(part)
        values = {
            column.name: series_values(
                column,
                frame.get_column(column.name),
                "missing",
                label=label,
                start=start,
                dialect=dialect,
            )
            for column in roles.readings
        }
        training, _ = roles.training(values, block, reader.options)
        yield frame if training.all() else frame.filter(pl.Series(training))


def find_kinds(
    table: FrameTable, names: Sequence[str], roles: Roles, asked: Asked, run: Any
) -> Kinds:
    """Find what kinds of text some columns hold, in a pass over the training rows."""
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
    assert isinstance(table, FrameTable)  # noqa: S101 - see `frames_of`
    found, counts = {name: text_survey(table, name, asked) for name in names}, Counts()
    for frame in training_frames(reader, names, roles, counts):

        def add(name: str, frame: pl.DataFrame = frame) -> None:
            values = frame.get_column(name)
            found[name].add(values.cast(pl.String) if as_text else values)

        deque(in_threads(add, names), maxlen=0)
    return Kinds(found), counts
