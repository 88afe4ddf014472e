"""Hive partitions: columns in the names of folders, as in sales/year=2024/month=01/part.parquet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    import polars as pl

__all__ = ["folder_values", "folders", "is_walked", "partition_columns", "walk"]

MISSING = "__HIVE_DEFAULT_PARTITION__"


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of its subfolders named KEY=VALUE; skip hidden ones."""
    for found in folders(folder, lambda path: not _is_hidden(path) and "=" in path.name):
        yield from (path for path in found.iterdir() if not _is_hidden(path) and path.is_file())


def folders(root: Path, enters: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a folder and those of its subfolders that `enters` accepts, each once.

    Links are followed last, because a folder may contain a link to itself.
    """
    met: set[str] = set()
    waiting, links = [root], list[Path]()
    while waiting or links:
        folder = (waiting or links).pop(0)
        real = os.path.realpath(folder)
        if real in met:
            continue
        met.add(real)
        yield folder
        for path in sorted(folder.iterdir()):
            if path.is_dir() and enters(path):
                (links if path.is_symlink() else waiting).append(path)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "_"))


def is_walked(path: PurePath) -> bool:
    """Check whether `walk` yields a file with this path, relative to the folder."""
    hidden = any(part.startswith((".", "_")) for part in path.parts)
    return not hidden and all("=" in folder for folder in path.parts[:-1])


def folder_values(path: PurePath, root: PurePath) -> dict[str, str]:
    """Parse the KEY=VALUE names of the folders between `root` and the file `path`."""
    folders = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    pairs = (folder.partition("=") for folder in folders if "=" in folder)
    return {unquote(key): unquote(value) for key, _, value in pairs}


def partition_columns(
    found: Sequence[Mapping[str, str]], *, text: bool
) -> list[dict[str, pl.Expr]]:
    """Build each file's partition columns by name; a column is of numbers if all its values are.

    Args:
        found: Each file's values by key.
        text: Whether the files are text files, whose columns stay strings.
    """
    import polars as pl

    kinds: dict[str, pl.DataType | type[pl.DataType]] = {}
    for key in dict.fromkeys(key for values in found for key in values):
        present = [values[key] for values in found if values.get(key, MISSING) != MISSING]
        kinds[key] = pl.String
        for kind in (pl.Int64, pl.Float64) * (not text):
            if pl.Series(present, dtype=pl.String).cast(kind, strict=False).null_count() == 0:
                kinds[key] = kind
                break
    return [
        {
            key: pl.lit(None if value == MISSING else value, pl.String).cast(kinds[key]).alias(key)
            for key, value in values.items()
        }
        for values in found
    ]
