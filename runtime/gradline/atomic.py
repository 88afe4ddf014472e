"""Write files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gradline.errors import InputError, OutputError

BUILDING = ".gradline-"  # begins the name of a file that is not complete yet


def check_output(path: Path, inputs: Sequence[object]) -> None:
    """Refuse an output that is one of the input files."""
    if path.exists() and any(path.samefile(f) for f in inputs if isinstance(f, Path)):
        raise InputError(
            f"{path} is both input and output", code="same-file", hint="give another output"
        )


def check_writable(path: Path) -> None:
    """Check that a file can be written to `path`, before its content is computed."""
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    if _is_special(path):
        return
    folder = _link_target(path).parent
    if not folder.is_dir():
        raise _unwritable(path, f"there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(path, "permission denied")


def write_named(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file that a user named: through a link, and directly to a device or a pipe."""
    if not _is_special(path):
        write_whole(_link_target(path), write)
        return
    with _as_output_error(path), open(os.open(path, os.O_WRONLY), "wb") as file:
        write(file)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace the file at `path` with one that `write` fills, or change nothing.

    Even after a power loss, either the old or the new file is there.
    """
    building = path.with_name(f"{BUILDING}{secrets.token_hex(8)}")
    with _as_output_error(path):
        try:
            # `write` gets the open file, not its path: a file opened by Polars was seen to stay
            # behind after an interrupt.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(building, flags, 0o666), "wb") as file:
                if path.is_file() and not path.is_symlink():
                    building.chmod(stat.S_IMODE(path.stat().st_mode))
                write(file)
                flush_file(file)
            building.replace(path)
        except BaseException:
            building.unlink(missing_ok=True)
            raise
    flush_folder(path.parent)


def _is_special(path: Path) -> bool:
    """Check whether the path leads to a device, a pipe or a socket."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _link_target(path: Path) -> Path:
    """Follow a link, whether a file is there yet or not."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise _unwritable(path, error.strerror or str(error)) from error


def _unwritable(path: Path, reason: str) -> OutputError:
    return OutputError(
        f"cannot write {path}: {reason}",
        code="cannot-write",
        hint="give a path in a writable folder with free space",
    )


def flush_file(file: IO[bytes]) -> None:
    """Wait until an open file's bytes are on the disk."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, if the system supports that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
