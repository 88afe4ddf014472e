"""Files that are written whole or not at all; a table in the format that the name says."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gradline.errors import InputError, OutputError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["check_output", "write_table", "write_whole"]

WRITERS: dict[str, Callable[[Any, Any], None]] = {
    ".csv": lambda frame, file: frame.write_csv(file),
    ".tsv": lambda frame, file: frame.write_csv(file, separator="\t"),
    ".parquet": lambda frame, file: frame.write_parquet(file),
    ".arrow": lambda frame, file: frame.write_ipc(file),
    ".feather": lambda frame, file: frame.write_ipc(file),
    ".ndjson": lambda frame, file: frame.write_ndjson(file),
    ".jsonl": lambda frame, file: frame.write_ndjson(file),
}


def check_output(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Check that a table can be written under this name.

    Args:
        path: To write to.
        inputs: The files that are read, none of which may be overwritten.

    Raises:
        InputError: For an unknown format, or one of the inputs.
    """
    if path.suffix.lower() not in WRITERS:
        raise InputError(
            f"{path.name}: unknown output format {path.suffix!r}",
            code="unknown-format",
            hint=f"name the output *{', *'.join(WRITERS)}",
        )
    if path.exists() and any(path.samefile(file) for file in inputs):
        raise InputError(
            f"{path} is both input and output", code="same-file", hint="give another output"
        )


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write the table to a file that appears under `path` when it is whole, or not at all.

    Raises:
        OutputError: Where it can't be written.
    """
    write_whole(path, lambda file: WRITERS[path.suffix.lower()](frame, file))


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Put a file under `path` that `write` fills, in place of any that is there, or leave all be.

    Raises:
        OutputError: Where it can't be written.
    """
    building = path.with_name(f".gradline-{secrets.token_hex(8)}")
    try:
        try:
            # A file without a name: one with a name was seen to stay behind where an interrupt
            # met Polars writing it.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(building, flags, 0o666), "wb") as file:
                write(file)
            building.replace(path)
        except BaseException:
            building.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}",
            code="cannot-write",
            hint="give a path in a folder with room that you may write to",
        ) from error
