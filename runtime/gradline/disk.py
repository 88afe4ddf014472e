"""What is written so that it is there after a power loss, whole: bytes first, then names."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

__all__ = ["flush_file", "flush_folder"]


def flush_file(file: IO[bytes]) -> None:
    """Wait until an open file's bytes are on the disk.

    Raises:
        OSError: Where they can't be written.
    """
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can say so.

    Windows opens no folders, and some file systems flush none; the files are whole all the same.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
