"""Writing that survives a power loss: flush the bytes first, then the names."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

__all__ = ["flush_file", "flush_folder"]


def flush_file(file: IO[bytes]) -> None:
    """Wait until an open file's bytes are on the disk.

    Raises:
        OSError: If they can't be written.
    """
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, if the system supports that.

    Windows can't open folders, and some file systems can't flush them; the files are still
    complete.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
