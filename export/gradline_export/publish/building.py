"""The hidden directory in which a version is written, and what dead publishers left of theirs.

A publisher holds flock(2) on its directory for as long as it writes. The kernel lets go of the
lock when the process ends, however it ends, so a hidden directory whose lock is free is debris.
If a system has no such locks (Windows), or a file system forbids them on a directory (NFS),
publishing works without them, and debris stays, hidden and never read.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

__all__ = ["building_directory", "remove_debris"]

PREFIX = ".building-"


@contextlib.contextmanager
def building_directory(folder: Path) -> Iterator[Path]:
    """Yield a new hidden directory in `folder`, locked, and remove it unless it was renamed.

    Raises:
        OSError: Where it can't be made.
    """
    place, descriptor = _make(folder)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if descriptor is not None:
            with contextlib.suppress(OSError):  # a published version stays published
                os.close(descriptor)


def remove_debris(folder: Path) -> None:
    """Remove the hidden directories in `folder` whose publishers are dead, where that is allowed.

    Each is renamed first: should its publisher live after all, on another machine whose locks are
    not seen here, then its own rename fails, and no version appears that lacks a file.
    """
    if fcntl is None:
        return
    for place in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = _open(place)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(place.rename(_unused(folder)), ignore_errors=True)
            finally:
                os.close(descriptor)


def _make(folder: Path) -> tuple[Path, int | None]:
    """Make a directory; return it and the descriptor that holds its lock, if there are locks."""
    while True:
        place = _unused(folder)
        place.mkdir(parents=True)
        if fcntl is None:
            return place, None
        with contextlib.suppress(FileNotFoundError):
            descriptor = _open(place)
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if place.exists():
                return place, descriptor
            os.close(descriptor)
        # Another publisher found it before it was locked, and took it for debris.


def _open(place: Path) -> int:
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _unused(folder: Path) -> Path:
    return folder / f"{PREFIX}{secrets.token_hex(8)}"
