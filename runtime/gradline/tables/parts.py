"""The parts of a table (files, or one frame in memory) and blocks of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.tables.files import COMPRESSED, TableFile
from gradline.tables.lazy_polars import pl
from gradline.tables.objects import ObjectFile
from gradline.tables.opening import readable

BLOCK_ROWS = 65_536
COUNTED = (".parquet", ".pq", ".arrow", ".feather", ".ipc")  # formats that store a row count
SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True)
class Block:
    """Consecutive rows of one part.

    Attributes:
        part: The part's place in the table.
        start: The first row's place in the part, from 0.
        pieces: Matrices of some columns each, shape (rows, columns); a missing value is NaN.
        kept: Columns passed through unchanged; None if there are none.
    """

    part: int
    start: int
    pieces: tuple[NDArray[Any], ...]
    kept: pl.DataFrame | None = None

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
    """A file, or the one frame in memory.

    Attributes:
        path: The file; None for a frame.
        frame: The columns; strings in a text file.
        names: The column names as written, duplicates included.
        text: Whether it is a text file.
        separator: A text file's separator; None for the default of its extension.
        state: The file's size and modification time when it was opened; None in an object store.
        partitions: Columns from the names of the file's folders, put before its own columns.
        start: The place in the file of the frame's first row.
        numbers: Columns of a text file that Polars parses as numbers; null for anything else.
    """

    path: TableFile | None
    frame: pl.LazyFrame
    names: list[str]
    text: bool
    separator: str | None = None
    state: tuple[int, int] | None = None
    partitions: Mapping[str, pl.Expr] = field(default_factory=dict)
    start: int = 0
    numbers: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The part's name in messages."""
        return self.path.name if self.path else "the table"

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
            raise InputError(
                f"{self.label} changed while it was read",
                code="changed-data",
                hint="run again when nothing writes to it",
            )


def file_state(path: Path) -> tuple[int, int]:
    """Read a file's size and modification time, which show whether it has changed."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns
