"""Pass over a table's rows, here or on an engine, and merge the results in one fixed tree.

A block's chunks merge, then a file's blocks, then the files, each in a binary tree over their
places. A shard of the table is a subtree, so the bits do not depend on the machine that reads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Generic, Protocol, Self, TypeVar

from gradline.errors import InputError
from gradline.scoring.engine import Engine
from gradline.tables import BLOCK_ROWS, FrameTable, TableFile
from gradline.tables.files import absolute
from gradline.tables.shards import Shard
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.counts import Counts
from gradline_trainer.rows.library_state import in_threads, one_thread_each
from gradline_trainer.rows.rows import RowReader, Rows
from gradline_trainer.rows.sharding import each_shard

Progress = Callable[[str, int], None]  # see `fit`
Placed = tuple[int, int, Rows]  # the part, the place of the block's first row in it, some rows


def silent(stage: str, count: int) -> None:
    """Report nothing."""


def expect(report: Progress, stage: str, count: int) -> None:
    """Announce about how many units a stage has, if the callback has a method for that."""
    if listens := getattr(report, "expect", None):
        listens(stage, count)


class Mergeable(Protocol):
    """A statistic of rows that merges with the same statistic of later rows."""

    def merge(self, other: Self) -> Self:
        """Compute the statistic of both sets of rows."""


M = TypeVar("M", bound=Mergeable)


def merge_all(blocks: Iterable[M | None]) -> M | None:
    """Merge the statistics of blocks in a binary tree over their places; None without blocks.

    A block without rows is None and keeps its place. Memory holds one statistic per level.
    """
    return merge_subtrees((0, block) for block in blocks)


def merge_subtrees(subtrees: Iterable[tuple[int, M | None]]) -> M | None:
    """Merge subtrees of blocks, with the same result as `merge_all` of all their blocks.

    Each comes as its level and the statistic of its 2^level blocks. The first block's place is a
    multiple of 2^level; the last subtree may have fewer blocks.
    """
    waiting: list[tuple[int, M | None]] = []
    for level, merged in subtrees:
        while waiting and waiting[-1][0] == level:
            merged = _merged(waiting.pop()[1], merged)
            level += 1
        waiting.append((level, merged))
    whole: M | None = None
    for _, merged in reversed(waiting):
        whole = _merged(merged, whole)
    return whole


def _merged(first: M | None, second: M | None) -> M | None:
    if first is None or second is None:
        return second if first is None else first
    return first.merge(second)


@dataclass(frozen=True)
class Pass(Generic[M]):
    """A statistic to compute over rows."""

    of: Callable[[Rows], M]  # computes the statistic of a batch (n ≥ 1)
    size: int | None = None  # most rows in a batch; None for a block's

    def over(
        self, blocks: Iterable[Placed], first: int = 0, threads: int | None = None
    ) -> M | None:
        """Compute the statistic of the blocks' rows; `first` is the table's first part."""

        def chunks() -> Iterator[tuple[int, int, Rows | None]]:
            for part, start, rows in blocks:
                for chunk in rows.chunks(self.size or BLOCK_ROWS) if len(rows) else [None]:
                    yield part, start, chunk

        def work(chunk: tuple[int, int, Rows | None]) -> tuple[int, int, M | None]:
            part, start, rows = chunk
            return part, start, None if rows is None else self.of(rows)

        every = chunks()
        head = list(islice(every, 2))
        if len(head) < 2:  # one batch or none: nothing to merge
            return work(head[0])[2] if head else None
        return merge_all(_by_part(in_threads(work, chain(head, every), threads), first))


def _by_part(found: Iterable[tuple[int, int, M | None]], first: int) -> Iterator[M | None]:
    """Yield the merged statistic of each part, None for a part without rows."""
    place = first
    for part, of_part in groupby(found, itemgetter(0)):
        yield from [None] * (part - place)
        blocks = (merge_all(m for *_, m in block) for _, block in groupby(of_part, itemgetter(1)))
        yield merge_all(blocks)
        place = part + 1


class Store(Protocol):
    """Rows that stay available after the first pass."""

    def append(self, rows: Placed, /) -> None:
        """Keep rows of a block."""

    def __iter__(self) -> Iterator[Placed]:
        """Yield the kept rows; may be called repeatedly."""


@dataclass
class Walk:
    """Passes over a table's rows, as often as asked."""

    reader: RowReader
    report: Progress  # called with ("rows", how many were read so far)
    engine: Engine | None = None  # reads the rows on other machines
    kept: Store | None = None  # training rows that stay available after the first pass
    held: Store | None = None  # held-out rows that stay available, too
    most: float = math.inf  # keep no rows of a table with more blocks than this
    chunk_rows: int | None = None  # most rows that a further pass takes at a time
    shard_counts: list[Counts] = field(default_factory=list)  # of the latest pass on an engine

    @property
    def columns(self) -> Columns:
        """What the table's columns are used for."""
        return self.reader.columns

    @property
    def counts(self) -> Counts:
        """The counts of the first pass."""
        return self.reader.counts

    @property
    def paths(self) -> list[TableFile]:
        """The absolute paths of the table's files."""
        return [absolute(path) for path in self.reader.table.paths]

    @property
    def notes(self) -> list[str]:
        """What of the table's files was not read, a sentence each."""
        table = self.reader.table
        return table.all_notes() if isinstance(table, FrameTable) else []

    @property
    def in_memory(self) -> list[Rows] | None:
        """The training rows, if the first pass kept them in memory."""
        return [rows for *_, rows in self.kept] if isinstance(self.kept, list) else None

    def gather(self, job: Pass[M]) -> M | None:
        """Compute a statistic of the training rows in the first pass over the table."""
        if self.engine is None:
            return job.over(self._first())
        merged = self._on_engine(self.engine, self.reader, job)
        if self.reader.counts.blocks > self.most:
            self.kept = None
        elif self.kept is not None:
            for placed in _placed(copy(self.reader), self.report):
                self.kept.append(placed)
        return merged

    def total(self, job: Pass[M], *, held_out: bool = False) -> M | None:
        """Compute a statistic of the training or held-out rows in a further pass."""
        store = self.held if held_out else self.kept
        if store is not None:
            return job.over(store)
        reader = copy(self.reader)
        if self.engine is None:
            merged = job.over(_placed(reader, self.report, held_out=held_out))
        else:
            merged = self._on_engine(self.engine, reader, job, held_out=held_out)
        now, then = reader.counts, self.reader.counts
        if (now.training, now.held_out) != (then.training, then.held_out):
            raise InputError(
                f"the table changed while it was read: {then.training} rows to train on, then "
                f"{now.training}",
                code="changed-data",
                hint="run again when nothing writes to it",
            )
        return merged

    def _first(self) -> Iterator[Placed]:
        for block, training, held_out in self.reader.blocks():
            self.report("rows", self.reader.counts.read)
            if self.reader.counts.blocks > self.most:
                self.kept = None
            if self.kept is not None:
                self.kept.append((block.part, block.start, training))
            if self.held is not None:
                self.held.append((block.part, block.start, held_out))
            yield block.part, block.start, training
        self.reader.refuse_faults()

    def _on_engine(
        self, engine: Engine, reader: RowReader, job: Pass[M], *, held_out: bool = False
    ) -> M | None:
        counted: list[Counts] = []

        def found() -> Iterator[tuple[Shard, M | None]]:
            work = partial(_over_shard, job=job, held_out=held_out)
            for shard, merged, counts in each_shard(work, reader, engine, self.shard_counts):
                self.report("rows", reader.counts.read)
                counted.append(counts)
                yield shard, merged

        files = groupby(found(), lambda pair: (pair[0].level, pair[0].first))
        merged = merge_subtrees(
            (level, merge_all(merged for _, merged in pieces)) for (level, _), pieces in files
        )
        self.shard_counts = counted
        return merged


@one_thread_each()
def _over_shard(reader: RowReader, job: Pass[M], *, held_out: bool) -> tuple[M | None, Counts]:
    """Compute a statistic of a shard's rows, on the machine that reads them."""
    blocks = _placed(reader, held_out=held_out, refuse=False)
    first = reader.table.first_part if isinstance(reader.table, FrameTable) else 0
    return job.over(blocks, first, threads=1), reader.counts


def _placed(
    reader: RowReader,
    report: Progress = silent,
    *,
    held_out: bool = False,
    refuse: bool = True,
) -> Iterator[Placed]:
    for block, training, held in reader.blocks():
        report("rows", reader.counts.read)
        yield block.part, block.start, held if held_out else training
    if refuse:
        reader.refuse_faults()
