"""A part's columns in frames of so many rows, read in memory that does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.tables.faults import RAGGED_HINT, odd_rows
from gradline.tables.opening import readable
from gradline.tables.parts import BLOCK_ROWS, Part

if TYPE_CHECKING:
    import polars as pl

__all__ = ["SLICED", "frames", "picked"]

BATCH_ROWS = 16_384
CSV_CHUNK = 1_000_000  # bytes
SLICED = (".parquet", ".pq")  # what any rows can be read from without those before


def frames(
    part: Part,
    columns: Sequence[str],
    size: int,
    start: int = 0,
    *,
    separator: str | None = None,
    row_groups_ahead: int = 1,
) -> Iterator[pl.DataFrame]:
    """Yield the part's columns in frames of `size` rows, the last one shorter.

    Args:
        part: To read.
        columns: To yield.
        size: Rows of a frame.
        start: The first row's place, before which there is no blank line of a text.
        separator: A text file's, None for its extension's own.
        row_groups_ahead: Of a Parquet file that are read before they are asked for.

    Raises:
        InputError: For a text file with a row of another length than its header, or whose
            numbers were to be read at once and are not all there.
    """
    import polars as pl

    kept: list[pl.DataFrame] = []
    rows = 0
    with readable(part.path, separator):
        for batch in _batches(part, columns, size, start, separator, row_groups_ahead):
            kept.append(batch)
            rows += len(batch)
            while rows >= size:
                frame = pl.concat(kept)
                yield frame.head(size)
                rows -= size
                kept = [frame.tail(rows)]
    if rows:
        yield pl.concat(kept)


def _batches(
    part: Part,
    columns: Sequence[str],
    size: int,
    start: int,
    separator: str | None,
    row_groups_ahead: int,
) -> Iterator[pl.DataFrame]:
    """Yield what `frames` does in frames of any length, blank lines of a text left out."""
    from polars import selectors

    # A short row lacks the file's last field: it is read too, to see such rows.
    last = part.frame.collect_schema().names()[-1:] if part.text else []
    wanted = selectors.by_name(dict.fromkeys([*columns, *last]))
    blank: NDArray[np.int64] | None = None
    frame = part.frame.select(wanted)
    rest = frame.slice(start) if start else frame
    for batch in _in_pieces(part, rest, size, row_groups_ahead):
        if any(batch[name].has_nulls() for name in part.numbers):
            raise InputError(f"{part.label} is to be read as text", code="not-at-once")
        if last and blank is None and batch[last[0]].has_nulls():
            ragged, lines = odd_rows(part.path, separator)
            if ragged:
                raise InputError(
                    f"{part.label} is ragged: {ragged}", code="ragged", hint=RAGGED_HINT
                )
            blank = np.array(lines, np.int64)
        found = picked(batch, columns)
        if blank is not None and len(blank):
            rows = np.arange(start, start + len(found))
            found = found.filter(~np.isin(rows, blank))
        yield found
        start += len(batch)


def _in_pieces(
    part: Part, frame: pl.LazyFrame, size: int, row_groups_ahead: int
) -> Iterator[pl.DataFrame]:
    """Yield a part's columns in frames of about `size` rows."""
    if size == BLOCK_ROWS or part.path is None or part.path.suffix.lower() not in SLICED:
        with _little_ahead(row_groups_ahead):
            batches = frame.collect_batches(chunk_size=min(size, BATCH_ROWS))
            first = next(batches, None)
        if first is not None:
            yield first
            yield from batches
        return
    # Batches are read ahead of whoever takes them, and a wide file's would fill the memory.
    start = 0
    while len(piece := frame.slice(start, size).collect()):
        yield piece
        start += len(piece)


def picked(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the columns of these very names: an expression would take ^b$ for a pattern."""
    if frame.columns == list(names):
        return frame
    return frame.select(map(frame.get_column, names))


@contextmanager
def _little_ahead(row_groups: int) -> Iterator[None]:
    """Have queries that start here read little ahead, so that memory is the same for any file.

    Polars has no other way to say so.
    """
    wanted = {
        "POLARS_ROW_GROUP_PREFETCH_SIZE": str(row_groups),
        "POLARS_CSV_CHUNK_SIZE": str(CSV_CHUNK),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
