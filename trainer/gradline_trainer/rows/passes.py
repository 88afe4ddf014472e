"""Passes over a table's rows, here or by an engine, merged in the one tree that the rows have.

A block's chunks merge, then a file's blocks, then the files, each in a binary tree over their
places. A share of the table is a subtree, so whoever works on it, the bits are the same.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Generic, Protocol, TypeVar

from gradline.errors import InputError
from gradline.scoring.engine import Engine
from gradline.tables import BLOCK_ROWS, FrameTable, TableFile
from gradline.tables.files import absolute
from gradline.tables.shards import Share, shares
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.merging import Mergeable, merge_all, merge_subtrees
from gradline_trainer.rows.rows import Counts, RowReader, Rows
from gradline_trainer.rows.threads import in_order, one_thread_each

__all__ = ["Pass", "Placed", "Progress", "Store", "Walk", "each_share", "expect"]

Progress = Callable[[str, int], None]  # see `fit`
Placed = tuple[int, int, Rows]  # the part, the place of a block's first row in it, and rows of it
M = TypeVar("M", bound=Mergeable)
Result = TypeVar("Result")


def expect(report: Progress, stage: str, count: int) -> None:
    """Tell a report that listens about how many of a stage's units there are to be."""
    if listens := getattr(report, "expect", None):
        listens(stage, count)


@dataclass(frozen=True)
class Pass(Generic[M]):
    """What is to be known of the rows.

    Attributes:
        of: Says it of one row or more.
        size: The most rows that it is handed at a time; None for a block's.
    """

    of: Callable[[Rows], M]
    size: int | None = None

    def over(
        self, blocks: Iterable[Placed], first: int = 0, threads: int | None = None
    ) -> M | None:
        """Return what is known of all the rows; None for no row.

        Args:
            blocks: In order.
            first: The number of the table's first part.
            threads: To work on them; None for as many as there are cores.
        """

        def chunks() -> Iterator[tuple[int, int, Rows | None]]:
            for part, start, rows in blocks:
                for chunk in rows.chunks(self.size or BLOCK_ROWS) if len(rows) else [None]:
                    yield part, start, chunk

        def work(chunk: tuple[int, int, Rows | None]) -> tuple[int, int, M | None]:
            part, start, rows = chunk
            return part, start, None if rows is None else self.of(rows)

        return merge_all(_by_place(in_order(work, chunks(), threads), first))


class Store(Protocol):
    """Rows that are at hand after the first pass."""

    def append(self, rows: Placed, /) -> None:
        """Take rows of a block."""

    def __iter__(self) -> Iterator[Placed]:
        """Yield them, as often as asked."""


@dataclass
class Walk:
    """A table's rows, passed over as often as asked.

    Attributes:
        reader: Of the rows; its counts are those of the first pass.
        report: Called with ("rows", how many were read so far).
        engine: That reads them; None for this process.
        kept: The training rows that are at hand after the first pass.
        held: Likewise the rows held out.
        most: Blocks that are kept; of a table with more, none.
        chunk_rows: The most rows that a further pass takes at a time; None for a block's.
    """

    reader: RowReader
    report: Progress
    engine: Engine | None = None
    kept: Store | None = None
    held: Store | None = None
    most: float = math.inf
    chunk_rows: int | None = None
    _of_shares: list[Counts] = field(default_factory=list)

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
        """The files of the table, by their absolute paths."""
        return [absolute(path) for path in self.reader.table.paths]

    @property
    def in_memory(self) -> list[Rows] | None:
        """The training rows, if the first pass kept them in memory."""
        return [rows for *_, rows in self.kept] if isinstance(self.kept, list) else None

    def gather(self, job: Pass[M]) -> M | None:
        """Return what is known of the training rows, from the first pass over the table.

        Raises:
            InputError: For rows that can't be trained on.
        """
        if self.engine is None:
            return job.over(self._first())
        merged = self._shared(self.engine, self.reader, _OfShare(job), self._of_shares.append)
        if self.reader.counts.blocks > self.most:
            self.kept = None
        elif self.kept is not None:
            for placed in _again(replace(self.reader, counts=Counts()), self.report):
                self.kept.append(placed)
        return merged

    def total(self, job: Pass[M], *, held_out: bool = False) -> M | None:
        """Return what is known of the training rows, or of those held out, from a further pass.

        Raises:
            InputError: Where the table has changed since.
        """
        store = self.held if held_out else self.kept
        if store is not None:
            return job.over(store)
        reader = replace(self.reader, counts=Counts())
        if self.engine is None:
            merged = job.over(_again(reader, self.report, held_out=held_out))
        else:
            merged = self._shared(self.engine, reader, _OfShare(job, held_out))
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

    def _shared(
        self,
        engine: Engine,
        reader: RowReader,
        work: Callable[[RowReader], tuple[M | None, Counts]],
        note: Callable[[Counts], object] = lambda counts: None,
    ) -> M | None:
        """Return what the engine finds, merged as its results come."""

        def found() -> Iterator[tuple[Share, M | None]]:
            for share, (merged, counts) in each_share(
                work, reader, self.report, engine, self._of_shares
            ):
                note(counts)
                yield share, merged

        files = groupby(found(), lambda pair: (pair[0].level, pair[0].first))
        return merge_subtrees(
            (level, merge_all(merged for _, merged in pieces)) for (level, _), pieces in files
        )


@dataclass(frozen=True)
class _OfShare(Generic[M]):
    """A pass over the rows of a share, where it is worked on."""

    job: Pass[M]
    held_out: bool = False

    @one_thread_each()
    def __call__(self, reader: RowReader) -> tuple[M | None, Counts]:
        blocks = _again(reader, lambda stage, count: None, held_out=self.held_out, refuse=False)
        first = reader.table.first_part if isinstance(reader.table, FrameTable) else 0
        return self.job.over(blocks, first, threads=1), reader.counts


def each_share(
    work: Callable[[RowReader], tuple[Result, Counts]],
    reader: RowReader,
    report: Progress,
    engine: Engine,
    known: Sequence[Counts] = (),
) -> Iterator[tuple[Share, tuple[Result, Counts]]]:
    """Yield each share of the table, and what the work found and counted in it, in order.

    Args:
        work: Done with a reader of the share's rows, faults among them being counted alone.
        reader: Of the whole table; it gets the counts of all shares.
        report: Called with ("rows", how many were read so far).
        engine: That does the work.
        known: What an earlier pass counted in each share.

    Raises:
        InputError: At the end, for rows that can't be trained on.
    """
    under_way: deque[Share] = deque()

    def readers() -> Iterator[RowReader]:
        assert isinstance(reader.table, FrameTable)  # noqa: S101 - see `check_shareable`
        before = Counts()
        cut = shares(reader.table, block_rows=reader.block_rows or BLOCK_ROWS)
        for share, counts in zip_longest(cut, known):
            if share is None:
                return
            under_way.append(share)
            yield replace(reader, table=share.table, counts=Counts(), before=copy(before))
            before.add(counts or Counts())

    counts = reader.counts = Counts()
    for found, counted in engine(work, readers()):
        counts.add(counted)
        report("rows", counts.read)
        yield under_way.popleft(), (found, counted)
    reader.refuse_faults()


def _again(
    reader: RowReader, report: Progress, *, held_out: bool = False, refuse: bool = True
) -> Iterator[Placed]:
    for block, training, held in reader.blocks():
        report("rows", reader.counts.read)
        yield block.part, block.start, held if held_out else training
    if refuse:
        reader.refuse_faults()


def _by_place(found: Iterable[tuple[int, int, M | None]], first: int) -> Iterator[M | None]:
    """Yield what is known of each file, None for one without rows."""
    place = first
    for part, of_part in groupby(found, itemgetter(0)):
        yield from [None] * (part - place)
        blocks = (merge_all(m for *_, m in block) for _, block in groupby(of_part, itemgetter(1)))
        yield merge_all(blocks)
        place = part + 1
