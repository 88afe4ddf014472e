"""A file of a table, or the one frame in memory, and a block of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.tables.files import COMPRESSED, TableFile
from gradline.tables.objects import ObjectFile
from gradline.tables.opening import readable

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BLOCK_ROWS", "Block", "Part", "state_of"]

BLOCK_ROWS = 65_536
COUNTED = (".parquet", ".pq", ".arrow", ".feather", ".ipc")  # they say how many rows they have
SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True)
class Block:
    """Consecutive rows of one part.

    Attributes:
        part: The part's place in the table.
        start: The first row's place in the part, from 0.
        pieces: Matrices of the rows whose columns stand side by side; a missing value is NaN.
        kept: Further columns as they are in the table; None where none was asked for.
    """

    part: int
    start: int
    pieces: tuple[NDArray[Any], ...]
    kept: pl.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.pieces[0])

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The pieces as one matrix, shape (rows, columns), float64."""
        if len(self.pieces) == 1:
            return self.pieces[0].astype(np.float64, copy=False)
        return np.concatenate(self.pieces, axis=1, dtype=np.float64)


@dataclass(frozen=True)
class Part:
    """One file, or the one frame in memory.

    Attributes:
        path: The file; None for a frame.
        frame: Its columns, all strings where `text`.
        names: The column names as written, duplicates included.
        text: Whether it is a text file, whose strings are to be read as numbers.
        state: The file's size and time of change when it was opened; None in an object store.
        given: Columns that stand before the file's own, each the same in every row.
        start: The place in the file of the frame's first row.
        numbers: Columns of a text file that are read as numbers at once, None where one's text is
            missing or no number.
    """

    path: TableFile | None
    frame: pl.LazyFrame
    names: list[str]
    text: bool
    state: tuple[int, int] | None = None
    given: Mapping[str, pl.Expr] = field(default_factory=dict)
    start: int = 0
    numbers: Sequence[str] = ()

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.path.name if self.path else "the table"

    def expected_rows(self) -> float | None:
        """Return what `FrameTable.expected_rows` does of this part."""
        import polars as pl

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
        """Raise an InputError for a file that is not as it was when it was opened."""
        if not isinstance(self.path, Path) or self.state is None:
            return
        if not self.path.exists() or state_of(self.path) != self.state:
            raise InputError(
                f"{self.label} changed while it was read",
                code="changed-data",
                hint="run again when nothing writes to it",
            )


def state_of(path: Path) -> tuple[int, int]:
    """Return what tells that a file has changed: its size and time of change."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns
