"""Publish a version as a whole, or not at all.

The files are written to a hidden sibling directory, flushed to disk, and renamed to the next free
number. A reader sees all of a version or nothing, and two writers get two versions.

A publisher holds flock(2) on its directory while it writes. The kernel releases the lock when the
process ends, however it ends, so a hidden directory without a lock is debris, and the next
publisher removes it. Without such locks (Windows, NFS) publishing works too, and debris stays,
hidden and never read.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from gradline.atomic import flush_file, flush_folder
from gradline.errors import InputError, OutputError
from gradline.package.manifest import NAME
from gradline.package.versions import LAST_VERSION, published_versions

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

PREFIX = ".building-"


def check_name(name: str) -> str:
    """Check that `name` can name a package, and return it; suggest a name that can."""
    if NAME.fullmatch(name):
        return name
    letters = re.sub("[^A-Za-z0-9._]+", "-", name)
    usable = letters.strip("-._")[:100] or "model"
    raise InputError(
        f"{name!r} is not a package name: expected up to 100 letters, digits, '.', '_' and '-'",
        code="bad-name",
        hint=f"--name {usable}",
    )


def check_place(root: str | Path, name: str) -> None:
    """Check before training that no file is in the way and the folder is writable."""
    place = Path(root) / name
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise _unwritable(place, "it is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _unwritable(place, "permission denied")


def publish(
    files: dict[str, bytes],
    root: str | Path,
    name: str,
    *,
    before_rename: Callable[[], object] = lambda: None,
) -> Path:
    """Publish `files` as root/<name>/<next number>, and return that directory.

    `before_rename` is called when everything is written. If that fails, nothing is left behind.

    Raises:
        OutputError: If it can't be written.
    """
    folder = Path(root) / check_name(name)
    made = [place for place in (folder, *folder.parents) if not os.path.exists(place)]
    try:
        _remove_debris(folder)
        with _building_directory(folder) as building:
            for file, data in files.items():
                with (building / file).open("xb") as opened:
                    opened.write(data)
                    flush_file(opened)
            flush_folder(building)
            before_rename()
            version = _take_next_number(building, folder)
    except BaseException as error:  # interrupts included
        for place in made:
            with contextlib.suppress(OSError):  # it is not empty
                place.rmdir()
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise _unwritable(folder, error.strerror or str(error)) from error
        raise
    # The version is complete; this flushes the names of its folders to disk.
    for place in (folder, *(place.parent for place in made)):
        flush_folder(place)
    return version


def _take_next_number(building: Path, folder: Path) -> Path:
    own = building.stat()
    number = max(published_versions(folder), default=0)
    while number < LAST_VERSION:
        number += 1
        version = folder / str(number)
        try:
            building.rename(version)
        except OSError:
            # A network file system may report a failure for a rename that succeeded.
            with contextlib.suppress(OSError):
                if os.path.samestat(version.lstat(), own):
                    return version
            # Another writer or a dangling link has that number; anything else is an error.
            if not os.path.lexists(version):
                raise
        else:
            return version
    raise OutputError(
        f"cannot publish in {folder}: {number} is the last number that a version can have",
        code="cannot-write",
        hint=f"nothing was published; rename the folder {folder / str(number)}",
    )


def _unwritable(folder: Path, reason: str) -> OutputError:
    return OutputError(
        f"cannot publish in {folder}: {reason}",
        code="cannot-write",
        hint="nothing was published; give a folder with room that you may write to: --output DIR",
    )


@contextlib.contextmanager
def _building_directory(folder: Path) -> Iterator[Path]:
    """Make a hidden, locked directory in `folder`; remove it at the end unless it was renamed."""
    place, descriptor = _make(folder)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if descriptor is not None:
            with contextlib.suppress(OSError):  # a published version stays published
                os.close(descriptor)


def _remove_debris(folder: Path) -> None:
    """Remove the hidden directories in `folder` whose publishers have ended.

    Each is renamed first. If its publisher is alive, on a machine whose locks are invisible here,
    its own rename then fails, so that no incomplete version appears.
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
    """Make a directory; return it with the descriptor of its lock, if there are locks."""
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
        # Another publisher removed it as debris before it was locked.


def _open(place: Path) -> int:
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _unused(folder: Path) -> Path:
    return folder / f"{PREFIX}{secrets.token_hex(8)}"
