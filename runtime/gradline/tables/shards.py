"""A table cut into shares that are worked on apart: some of its files, or rows of a large one.

What a share covers depends on the files' sizes alone. It is an aligned group of a power of two of
places, files in the table or blocks in a file, so that what is known of it is a subtree of the
binary tree over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradline.tables.batches import SLICED
from gradline.tables.opening import readable
from gradline.tables.parts import BLOCK_ROWS, Part
from gradline.tables.table import FrameTable

__all__ = ["SHARE_BLOCKS", "SHARE_BYTES", "Share", "shares", "uncut"]

SHARE_BLOCKS = 128
SHARE_BYTES = 1 << 26  # of files, below which they are not cut, and which go together
MOST_FILES = 1 << 10  # that go together


@dataclass(frozen=True)
class Share:
    """A part of a table that is worked on apart.

    Attributes:
        table: Its files, or the rows of one.
        level: How many files' places it takes, 2^level or fewer at the end; 0 for one file's rows.
        first: The place of the first file in the whole table.
        piece: Whether it is rows of a file.
    """

    table: FrameTable
    level: int
    first: int
    piece: bool = False


def shares(
    table: FrameTable,
    *,
    block_rows: int = BLOCK_ROWS,
    blocks: int = SHARE_BLOCKS,
    together: int = SHARE_BYTES,
) -> Iterator[Share]:
    """Yield a table's shares in order.

    Args:
        table: Of files.
        block_rows: How many rows of it are read at a time.
        blocks: The most blocks of a share, a power of two, where a file can be cut.
        together: Bytes of files, up to which they are not cut, and are worked on together.

    Raises:
        InputError: For a file that can't be read.
    """
    parts = table.parts
    place = 0
    while place < len(parts):
        part = parts[place]
        if _bytes(part) > together and _can_be_cut(part):
            for piece in _pieces(part, blocks * block_rows):
                yield Share(table.with_parts([piece], place), 0, place, piece=True)
            place += 1
            continue
        level = _together(parts, place, together)
        group = parts[place : place + (1 << level)]
        yield Share(table.with_parts(group, place), level, place)
        place += len(group)


def uncut(table: FrameTable) -> str | None:
    """Return a note on a large file that only one task can read, where there is one."""
    for part in table.parts:
        if SHARE_BYTES < _bytes(part) < math.inf and not _can_be_cut(part):
            return f"{part.label} is read by one task: of files, only Parquet can be cut"
    return None


def _can_be_cut(part: Part) -> bool:
    return part.path is not None and part.path.suffix.lower() in SLICED


def _together(parts: list[Part], place: int, together: int) -> int:
    """Return the level of the largest aligned group of small files from a place on."""
    level = 0
    total = _bytes(parts[place])
    while place + (1 << level) < len(parts) and 2 << level <= MOST_FILES:
        if place % (2 << level):
            break
        added = parts[place + (1 << level) : place + (2 << level)]
        total += sum(map(_bytes, added))
        if total > together:
            break
        level += 1
    return level


def _bytes(part: Part) -> float:
    """Return a file's size; of what an object store does not say, as if it were a large one."""
    return part.state[0] if part.state else math.inf


def _pieces(part: Part, rows: int) -> Iterator[Part]:
    """Yield so many rows of a file at a time."""
    import polars as pl

    with readable(part.path):
        total = part.frame.select(pl.len()).collect().item()
    for start in range(0, max(total, 1), rows):
        yield replace(part, frame=part.frame.slice(start, rows), start=start)
