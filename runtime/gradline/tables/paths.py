"""A file, a glob or a folder, on a disk or in an object store, as a table."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import takewhile
from pathlib import Path, PurePath

from gradline.tables.files import Dialect, TableFile, table_files
from gradline.tables.objects import FIRST, ObjectFile, is_remote
from gradline.tables.opening import open_file
from gradline.tables.partitions import partition_columns, partitions
from gradline.tables.parts import Part, state_of
from gradline.tables.table import FrameTable

__all__ = ["open_files"]

AT_ONCE = 32  # files of an object store that are opened


def open_files(data: str | Path, dialect: Dialect | None = None) -> FrameTable:
    """Return the table in a file, a glob or a folder.

    Raises:
        InputError: For a path, format, encoding or schema that does not fit, naming the file.
    """
    dialect = dialect or Dialect()
    files = table_files(data)
    if isinstance(files[0], ObjectFile):
        open_file(files[0], dialect, storage=FIRST)

    def opened(path: TableFile) -> Part:
        frame, names, text = open_file(path, dialect)
        return Part(path, frame, names, text, state_of(path) if isinstance(path, Path) else None)

    if is_remote(data):
        with ThreadPoolExecutor(AT_ONCE) as pool:  # mostly waiting for answers
            parts = list(pool.map(opened, files))
        return FrameTable(_with_partitions(parts, ObjectFile(str(data)).path), dialect)
    return FrameTable(_with_partitions([opened(file) for file in files], Path(data)), dialect)


def _with_partitions(parts: list[Part], data: PurePath) -> list[Part]:
    """Return the parts with the columns that the names of their folders give, before the others."""
    import polars as pl

    fixed = takewhile(lambda name: not any(c in name for c in "*?["), data.parts)
    root = data if isinstance(data, Path) and data.is_dir() else type(data)(*fixed)
    found = [partitions(_pure(part.path), root) if part.path else {} for part in parts]
    if not any(found):
        return parts
    given = partition_columns(found, text=parts[0].text)
    columns = [
        {key: column for key, column in c.items() if key not in part.names}
        for part, c in zip(parts, given, strict=True)
    ]
    return [
        replace(
            part, frame=part.frame.select(*c.values(), pl.all()), names=[*c, *part.names], given=c
        )
        for part, c in zip(parts, columns, strict=True)
    ]


def _pure(path: TableFile) -> PurePath:
    return path.path if isinstance(path, ObjectFile) else path
