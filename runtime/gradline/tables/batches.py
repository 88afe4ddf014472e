"""Reading of a part in frames of a given size, in memory that does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.tables.faults import RAGGED_HINT, odd_rows
from gradline.tables.lazy_polars import pl
from gradline.tables.opening import readable
from gradline.tables.parts import BLOCK_ROWS, Part

BATCH_ROWS = 16_384
CSV_CHUNK = 1_000_000  # bytes
SLICEABLE = (".parquet", ".pq")  # formats that can be read from any row on


def frames(
    part: Part, columns: Sequence[str], size: int, start: int = 0, *, row_groups_ahead: int = 1
) -> Iterator[pl.DataFrame]:
    """Yield a part's columns in frames of `size` rows, the last one shorter.

    A text file must have no blank line before the row `start`.

    Raises:
        InputError: For a text file with a row of another length than its header, or with a
            missing or odd value in a column that Polars parses as numbers.
    """
    waiting: list[pl.DataFrame] = []
    rows = 0
    with readable(part.path, part.separator):
        for batch in _batches(part, columns, size, start, row_groups_ahead):
            waiting.append(batch)
            rows += len(batch)
            while rows >= size:
                frame = pl.concat(waiting)
                yield frame.head(size)
                rows -= size
                waiting = [frame.tail(rows)]
    if rows:
        yield pl.concat(waiting)


def _batches(
    part: Part, columns: Sequence[str], size: int, start: int, row_groups_ahead: int
) -> Iterator[pl.DataFrame]:
    """Yield frames of any length, without a text file's blank lines."""
    # A short row lacks the file's last field: read it too, to see such rows.
    last = part.frame.collect_schema().names()[-1:] if part.text else []
    wanted = pl.selectors.by_name(dict.fromkeys([*columns, *last]))
    blank: NDArray[np.int64] | None = None
    frame = part.frame.select(wanted)
    rest = frame.slice(start) if start else frame
    for batch in _raw_batches(part, rest, size, row_groups_ahead):
        if any(batch[name].has_nulls() for name in part.numbers):
            raise InputError(f"{part.label} is to be read as text", code="not-at-once")
        if last and blank is None and batch[last[0]].has_nulls():
            ragged, lines = odd_rows(part.path, part.separator)
            if ragged:
                raise InputError(
                    f"{part.label} is ragged: {ragged}", code="ragged", hint=RAGGED_HINT
                )
            blank = np.array(lines, np.int64)
        selected = select_columns(batch, columns)
        if blank is not None and len(blank):
            rows = np.arange(start, start + len(batch))
            selected = selected.filter(~np.isin(rows, blank))
        yield selected
        start += len(batch)


def _raw_batches(
    part: Part, frame: pl.LazyFrame, size: int, row_groups_ahead: int
) -> Iterator[pl.DataFrame]:
    if size == BLOCK_ROWS or part.path is None or part.path.suffix.lower() not in SLICEABLE:
        with _read_ahead(row_groups_ahead):
            batches = frame.collect_batches(chunk_size=min(size, BATCH_ROWS))
            first = next(batches, None)
        if first is not None:
            yield first
            yield from batches
        return
    # Small blocks mean a wide table; batches that Polars reads ahead would fill the memory.
    start = 0
    while len(batch := frame.slice(start, size).collect()):
        yield batch
        start += len(batch)


def select_columns(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Select columns by their exact names; an expression would take ^b$ for a pattern."""
    if frame.columns == list(names):
        return frame
    return frame.select(map(frame.get_column, names))


@contextmanager
def _read_ahead(row_groups: int) -> Iterator[None]:
    """Limit the read-ahead of queries that start here, so that memory is the same for any file.

    Polars takes these limits from the environment alone.
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
