"""The parts of a table (files, or one frame in memory), read in frames of a given size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.tables.faults import RAGGED_HINT, odd_rows
from gradline.tables.files import COMPRESSED, TableFile
from gradline.tables.lazy_polars import pl
from gradline.tables.objects import ObjectFile
from gradline.tables.opening import readable

BLOCK_ROWS = 65_536
COUNTED = (".parquet", ".pq", ".arrow", ".feather", ".ipc")  # formats that store a row count
SAMPLE_BYTES = 1 << 16
BATCH_ROWS = 16_384
SAMPLED_FILES = 100  # of many, for an estimate
CSV_CHUNK = 1_000_000  # bytes
SLICEABLE = (".parquet", ".pq")


class OddColumnsError(Exception):
    """Columns of a text file must be read as text."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(*columns)
        self.columns = columns


@dataclass(frozen=True)
class Block:
    """Consecutive rows of one part; a missing value is NaN."""

    part: int  # the part's place in the table
    start: int  # the first row's place in the part, from 0
    pieces: tuple[NDArray[Any], ...]  # matrices of some columns each, shape (rows, columns)
    kept: pl.DataFrame | None = None  # columns passed through unchanged

    def __len__(self) -> int:
        return len(self.pieces[0])

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """All columns in one matrix, shape (rows, columns), float64."""
        if len(self.pieces) == 1:
            return self.pieces[0].astype(np.float64, copy=False)
        return np.concatenate(self.pieces, axis=1, dtype=np.float64)


@dataclass(frozen=True)
class Part:
    """A file, or the one frame in memory."""

    path: TableFile | None  # None for a frame in memory
    frame: pl.LazyFrame  # strings in a text file
    names: list[str]  # as written, duplicates included
    text: bool
    separator: str | None = None  # a text file's; None for the default of its extension
    state: tuple[int, int] | None = None  # see `file_state`; None in an object store
    partitions: Mapping[str, pl.Expr] = field(default_factory=dict)  # from its folders' names
    start: int = 0  # the place in the file of the frame's first row
    numbers: Sequence[str] = ()  # columns that Polars parses, null for anything but a number

    @property
    def label(self) -> str:
        """The part's name in messages."""
        return self.path.name if self.path else "the table"

    @property
    def is_sliceable(self) -> bool:
        """Whether the part can be read from any row on."""
        return self.path is not None and self.path.suffix.lower() in SLICEABLE

    def expected_rows(self) -> float | None:
        """Estimate the number of rows; see `FrameTable.expected_rows`."""
        if isinstance(self.path, ObjectFile):
            return None
        if self.path is None or self.path.suffix.lower() in COUNTED:
            with readable(self.path):
                rows: int = self.frame.select(pl.len()).collect().item()
            return rows
        with self.path.open("rb") as file:
            sample = file.read(SAMPLE_BYTES)
        if not sample.count(b"\n") or self.path.suffix.lower() in COMPRESSED:
            return None
        return self.path.stat().st_size * sample.count(b"\n") / len(sample)

    def check_unchanged(self) -> None:
        """Raise an InputError if the file has changed since it was opened."""
        if self.state is None or not isinstance(self.path, Path):
            return
        if not self.path.exists() or file_state(self.path) != self.state:
            what = f"{self.label} changed while it was read"
            hint = "run again when nothing writes to it"
            raise InputError(what, code="changed-data", hint=hint)


def mixed_schemas(found: str, hint: str) -> InputError:
    """Build the error for files that do not fit together."""
    return InputError(f"the files differ: {found}", code="mixed-schemas", hint=hint)


def file_state(path: Path) -> tuple[int, int]:
    """Read a file's size and modification time, which show whether it has changed."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def frames(
    part: Part, columns: Sequence[str], size: int, start: int = 0, *, row_groups_ahead: int = 1
) -> Iterator[pl.DataFrame]:
    """Yield a part's columns in frames of `size` rows, the last one shorter.

    A text file must have no blank line before the row `start`.
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
        if odd := [name for name in part.numbers if batch[name].has_nulls()]:
            raise OddColumnsError(odd)
        if last and blank is None and batch[last[0]].has_nulls():
            ragged, lines = odd_rows(part.path, part.separator)
            if ragged:
                what = f"{part.label} is ragged: {ragged}"
                raise InputError(what, code="ragged", hint=RAGGED_HINT)
            blank = np.array(lines, np.int64)
        selected = batch[list(columns)]
        if blank is not None and len(blank):
            rows = np.arange(start, start + len(batch))
            selected = selected.filter(~np.isin(rows, blank))
        yield selected
        start += len(batch)


def _raw_batches(
    part: Part, frame: pl.LazyFrame, size: int, row_groups_ahead: int
) -> Iterator[pl.DataFrame]:
    if size == BLOCK_ROWS or not part.is_sliceable:
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


def expected_rows(parts: Sequence[Part]) -> int | None:
    """Estimate the number of rows from a sample of files; None if that needs a full read.

    Parquet and Arrow files store it; for other files a sample gives the length of a line. In an
    object store, no number is estimated.
    """
    sample = parts[:: max(1, len(parts) // SAMPLED_FILES)]
    rows = [part.expected_rows() for part in sample]
    if None in rows:
        return None
    total, sampled = (sum(p.state[0] for p in s if p.state) for s in (parts, sample))
    return round(sum(filter(None, rows)) * (total / sampled if sampled else 1))
