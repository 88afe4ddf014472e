"""Division of a table into shards for workers: some of its files, or rows of a large one.

The shards depend on the files' sizes alone. A shard is an aligned group of 2^k places (files in
the table, or blocks in a file), so that its merged result is a subtree of the binary tree over all
places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradline.tables.lazy_polars import pl
from gradline.tables.opening import readable
from gradline.tables.parts import BLOCK_ROWS, Part
from gradline.tables.table import FrameTable

SHARD_BLOCKS = 128  # at most, of a large file; a power of two
SHARD_BYTES = 1 << 26  # larger files are cut, smaller ones grouped up to this size
MOST_FILES = 1 << 10  # of a shard


@dataclass(frozen=True)
class Shard:
    """A part of a table for one worker: some files, or some rows of a file (a `piece`)."""

    table: FrameTable
    level: int  # 2^level files, or fewer at the table's end; 0 for a piece
    first: int  # the first file's place in the whole table
    piece: bool = False


def shards(table: FrameTable, block_rows: int = BLOCK_ROWS) -> Iterator[Shard]:
    """Yield a table's shards in order; blocks have `block_rows` rows."""
    parts = table.parts
    place = 0
    while place < len(parts):
        part = parts[place]
        if _bytes(part) > SHARD_BYTES and part.is_sliceable:
            for piece in _pieces(part, SHARD_BLOCKS * block_rows):
                yield Shard(table.with_parts([piece], place), 0, place, piece=True)
            place += 1
            continue
        level = _level(parts, place)
        group = parts[place : place + (1 << level)]
        yield Shard(table.with_parts(group, place), level, place)
        place += len(group)


def uncut(table: FrameTable) -> str | None:
    """Build a note on a large file that only one task can read, if there is one."""
    for part in table.parts:
        if SHARD_BYTES < _bytes(part) < math.inf and not part.is_sliceable:
            return f"{part.label} is read by one task: only Parquet files can be cut"
    return None


def _level(parts: list[Part], place: int) -> int:
    """Find the level of the largest aligned group of small files from a place on."""
    level = 0
    total = _bytes(parts[place])
    while place + (1 << level) < len(parts) and 2 << level <= MOST_FILES:
        if place % (2 << level):
            break
        added = parts[place + (1 << level) : place + (2 << level)]
        total += sum(map(_bytes, added))
        if total > SHARD_BYTES:
            break
        level += 1
    return level


def _bytes(part: Part) -> float:
    """Look up a file's size; infinite in an object store, which is not asked."""
    return part.state[0] if part.state else math.inf


def _pieces(part: Part, rows: int) -> Iterator[Part]:
    """Cut a file into pieces of `rows` rows."""
    with readable(part.path):
        total = part.frame.select(pl.len()).collect().item()
    for start in range(0, max(total, 1), rows):
        yield replace(part, frame=part.frame.slice(start, rows), start=start)
