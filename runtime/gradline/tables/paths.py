"""Opening of a file, a glob or a folder, on a disk or in an object store, as a table."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import takewhile
from pathlib import Path, PurePath

from gradline.tables.files import Dialect, TableFile, table_files
from gradline.tables.objects import FIRST_CONTACT, ObjectFile, is_glob
from gradline.tables.opening import open_file
from gradline.tables.partitions import folder_values, partition_columns
from gradline.tables.parts import Part, file_state
from gradline.tables.table import FrameTable

__all__ = ["open_files"]

OPEN_AT_ONCE = 32  # files of an object store


def open_files(data: str | Path, dialect: Dialect | None = None) -> FrameTable:
    """Open a file, a glob or a folder as a table.

    Raises:
        InputError: For a path, format, encoding or schema that does not fit; names the file.
    """
    dialect = dialect or Dialect()
    files = table_files(data)

    def open_part(path: TableFile) -> Part:
        frame, names, text = open_file(path, dialect)
        state = file_state(path) if isinstance(path, Path) else None
        return Part(path, frame, names, text, dialect.separator, state)

    if isinstance(files[0], ObjectFile):
        open_file(files[0], dialect, storage=FIRST_CONTACT)
        with ThreadPoolExecutor(OPEN_AT_ONCE) as pool:  # they mostly wait for answers
            parts = list(pool.map(open_part, files))
        return FrameTable(_with_partitions(parts, ObjectFile(str(data)).path), dialect)
    return FrameTable(_with_partitions([*map(open_part, files)], Path(data)), dialect)


def _with_partitions(parts: list[Part], data: PurePath) -> list[Part]:
    """Put the columns named by the parts' folders before the parts' own columns."""
    import polars as pl

    fixed = takewhile(lambda name: not is_glob(name), data.parts)
    root = data if isinstance(data, Path) and data.is_dir() else type(data)(*fixed)
    paths = [part.path.path if isinstance(part.path, ObjectFile) else part.path for part in parts]
    values = [folder_values(path, root) if path else {} for path in paths]
    if not any(values):
        return parts
    found = []
    for part, columns in zip(parts, partition_columns(values, text=parts[0].text), strict=True):
        new = {key: column for key, column in columns.items() if key not in part.names}
        frame = part.frame.select(*new.values(), pl.all())
        found.append(replace(part, frame=frame, names=[*new, *part.names], partitions=new))
    return found
