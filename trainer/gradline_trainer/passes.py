"""One pass over a table's rows, here or by an engine, merged in the one tree that the rows have.

A block's chunks merge, then a file's blocks, then the files, each in a binary tree over their
places. A share of the table is a subtree, so whoever works on it, the bits are the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Generic, TypeVar

from gradline.engine import Engine
from gradline.shares import shares
from gradline.tables import BLOCK_ROWS, FrameTable
from gradline_trainer.moments import Mergeable, merge_all, merge_subtrees
from gradline_trainer.parallel import in_order
from gradline_trainer.rows import Counts, RowReader, Rows

__all__ = ["Pass", "Progress", "each_share", "total"]

Progress = Callable[[str, int], None]
M = TypeVar("M", bound=Mergeable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pass(Generic[M]):
    """What is to be known of the training rows.

    Attributes:
        of: Says it of one row or more.
        size: The most rows that it is handed at a time; None for a block's.
        threads: To work on them; None for as many as there are cores.
    """

    of: Callable[[Rows], M]
    size: int | None = None
    threads: int | None = None

    def over(self, blocks: Iterable[tuple[int, int, Rows]], first: int = 0) -> M | None:
        """Return what is known of all the rows.

        Args:
            blocks: Each the part, the place of its first row, and its rows, in order.
            first: The number of the table's first part.
        """

        def chunks() -> Iterator[tuple[int, int, Rows | None]]:
            for part, start, rows in blocks:
                for chunk in rows.chunks(self.size or BLOCK_ROWS) if len(rows) else [None]:
                    yield part, start, chunk

        def work(chunk: tuple[int, int, Rows | None]) -> tuple[int, int, M | None]:
            part, start, rows = chunk
            return part, start, None if rows is None else self.of(rows)

        return merge_all(_by_place(in_order(work, chunks(), self.threads), first))

    def __call__(self, reader: RowReader) -> tuple[M | None, Counts]:
        """Return what is known of the rows of a share, and their counts."""
        blocks = ((block.part, block.start, rows) for block, rows, _ in reader.blocks())
        merged = self.over(blocks, getattr(reader.table, "first_part", 0))
        return merged, reader.counts


def total(job: Pass[M], reader: RowReader, report: Progress, engine: Engine) -> M | None:
    """Return what is known of all the training rows, merged as the engine's results come.

    Raises:
        InputError: For rows that can't be trained on.
    """
    found = each_share(replace(job, threads=1), reader, report, engine)
    files = groupby(found, itemgetter(0, 1))
    return merge_subtrees((level, merge_all(m for *_, m in pieces)) for (level, _), pieces in files)


def each_share(
    work: Callable[[RowReader], tuple[Result, Counts]],
    reader: RowReader,
    report: Progress,
    engine: Engine,
) -> Iterator[tuple[int, int, Result]]:
    """Yield what the work found in each share of the table: its level and first file, and that.

    Raises:
        InputError: At the end, for rows that can't be trained on.
    """
    under_way: deque[tuple[int, int]] = deque()

    def readers() -> Iterator[RowReader]:
        assert isinstance(reader.table, FrameTable)  # noqa: S101 - see `fit`
        for share in shares(reader.table):
            under_way.append((share.level, share.first))
            yield replace(reader, table=share.table, counts=Counts())

    counts = reader.counts = Counts()
    for found, counted in engine(work, readers()):
        counts.add(counted)
        report("rows", counts.read)
        yield *under_way.popleft(), found
    reader.refuse_faults()


def _by_place(found: Iterable[tuple[int, int, M | None]], first: int) -> Iterator[M | None]:
    """Yield what is known of each file, None for one without rows."""
    place = first
    for part, of_part in groupby(found, itemgetter(0)):
        yield from [None] * (part - place)
        blocks = (merge_all(m for *_, m in block) for _, block in groupby(of_part, itemgetter(1)))
        yield merge_all(blocks)
        place = part + 1
