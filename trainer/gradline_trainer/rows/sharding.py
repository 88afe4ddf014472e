"""Divide a table's rows among the workers of an engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import zip_longest

from gradline.errors import InputError
from gradline.scoring.engine import Engine, Result
from gradline.tables import BLOCK_ROWS, FrameTable
from gradline.tables.shards import Shard, shards
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import TrainingTable
from gradline_trainer.rows.counts import Counts
from gradline_trainer.rows.rows import RowReader


def check_shareable(table: TrainingTable, options: Options) -> FrameTable:
    """Check that an engine's workers can read the table and do what the options ask for."""
    if not isinstance(table, FrameTable) or not table.paths:
        raise InputError(
            "a table in memory can't be read by other machines",
            code="bad-option",
            hint="write it to files that each of them can read, or leave --engine out",
        )
    if options.gradient_source == "rows":
        asked = "preconditioning 'none'" if options.gradient == "auto" else "gradient 'rows'"
        raise InputError(
            f"{asked} keeps the rows in memory, but --engine is for tables that do not fit there",
            code="bad-option",
            hint="give --gradient moments, or leave --engine out",
        )
    if options.device == "cuda":
        raise InputError(
            "--engine uses CPU cores only, not device 'cuda'",
            code="bad-option",
            hint="leave --device or --engine out",
        )
    return table


def each_shard(
    work: Callable[[RowReader], tuple[Result, Counts]],
    reader: RowReader,
    engine: Engine,
    known: Sequence[Counts] = (),
) -> Iterator[tuple[Shard, Result, Counts]]:
    """Yield each shard of the table with the work's result and counts, in order.

    The work counts faults and does not raise. The whole table's reader gets the sum of all counts,
    and raises at the end. `known` is what an earlier pass counted in each shard.
    """
    under_way: deque[Shard] = deque()

    def readers() -> Iterator[RowReader]:
        assert isinstance(reader.table, FrameTable)  # noqa: S101 - see `check_shareable`
        before = Counts()
        cut = shards(reader.table, block_rows=reader.block_rows or BLOCK_ROWS)
        for shard, counts in zip_longest(cut, known):
            if shard is None:
                return
            under_way.append(shard)
            yield replace(reader, table=shard.table, counts=Counts(), before=copy(before))
            before.add(counts or Counts())

    counts = reader.counts = Counts()
    for found, counted in engine(work, readers()):
        counts.add(counted)
        yield under_way.popleft(), found, counted
    reader.refuse_faults()
