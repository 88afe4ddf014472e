"""A temporary file of rows: a wide table is parsed once, and read again in each epoch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gradline.errors import OutputError
from gradline_trainer.rows.passes import Placed
from gradline_trainer.rows.rows import Rows

Array = NDArray[np.float64]
Written = tuple[type[np.floating], tuple[int, ...]]


@dataclass
class Scratch:
    """Blocks of rows on disk, read back in order as often as asked.

    An array takes 4 bytes a value if all its values are float32, else 8. The file has no name, and
    the end of the `with` block deletes it.
    """

    block_rows: int
    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    blocks: list[tuple[int, int, int, list[Written]]] = field(default_factory=list)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk may not take the rest
            self.file.close()

    def append(self, placed: Placed) -> None:
        """Write a block's rows."""
        number, first, rows = placed
        arrays = [rows.features, rows.targets, *([] if rows.weights is None else [rows.weights])]
        for start in range(0, len(rows), self.block_rows):
            part = slice(start, start + self.block_rows)
            written = [self._write(array[part]) for array in arrays]
            self.blocks.append((number, first, rows.first + start, written))

    def _write(self, array: Array) -> Written:
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32, order="C")
        exact = bool((narrow == array).all())
        values = narrow if exact else np.ascontiguousarray(array)
        try:
            self.file.write(values.data)
            self.file.flush()
        except OSError as error:
            raise OutputError(
                f"no room for a wide table's rows in {tempfile.gettempdir()}: {error.strerror}",
                code="no-scratch-space",
                hint="set TMPDIR to a folder with 8 bytes of free space for each value",
            ) from error
        return (np.float32 if exact else np.float64), array.shape

    def __iter__(self) -> Iterator[Placed]:
        """Yield the rows in pieces, one in memory at a time."""
        self.file.seek(0)
        for part, start, first, written in self.blocks:
            arrays = [self._read(*each) for each in written]
            weights = arrays[2] if len(arrays) > 2 else None
            rows = Rows((arrays[0], arrays[1]), arrays[0].shape[1], weights, None, first)
            yield part, start, rows

    def _read(self, dtype: type[np.floating], shape: tuple[int, ...]) -> Array:
        values = np.empty(shape, dtype)
        self.file.readinto(values.data.cast("B") if values.size else bytearray())  # type: ignore[attr-defined]
        return values.astype(np.float64, copy=False)
