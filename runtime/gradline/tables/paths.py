"""Opening of a file, a glob or a folder, on a disk or in an object store, as a table.

Folders named KEY=VALUE are Hive partitions: sales/year=2024/part.parquet has a column `year`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import takewhile
from pathlib import Path, PurePath
from urllib.parse import unquote

from gradline.tables.files import Dialect, TableFile, table_files
from gradline.tables.lazy_polars import pl
from gradline.tables.objects import FIRST_CONTACT, ObjectFile, is_glob
from gradline.tables.opening import open_file
from gradline.tables.parts import Part, file_state
from gradline.tables.table import FrameTable

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
OPEN_AT_ONCE = 32  # files of an object store


def open_files(data: str | Path, dialect: Dialect | None = None) -> FrameTable:
    """Open a file, a glob or a folder as a table."""
    dialect = dialect or Dialect()
    files, notes = _without_empty(table_files(data))

    def open_part(path: TableFile) -> Part:
        frame, names, text = open_file(path, dialect)
        state = file_state(path) if isinstance(path, Path) else None
        return Part(path, frame, names, text, dialect.separator, state)

    if isinstance(files[0], ObjectFile):
        open_file(files[0], dialect, storage=FIRST_CONTACT)
        with ThreadPoolExecutor(OPEN_AT_ONCE) as pool:  # they mostly wait for answers
            parts = list(pool.map(open_part, files))
        return FrameTable(_with_partitions(parts, ObjectFile(str(data)).path), dialect)
    table = FrameTable(_with_partitions([*map(open_part, files)], Path(data)), dialect)
    table.notes = notes
    return table


def _without_empty(files: Sequence[TableFile]) -> tuple[Sequence[TableFile], list[str]]:
    """Leave out files of 0 bytes, unless all are; return a note on each, too."""
    empty = {path for path in files if isinstance(path, Path) and not path.stat().st_size}
    if not empty or len(empty) == len(files):
        return files, []
    notes = [f"{path.name} is empty (0 bytes) and was left out" for path in sorted(empty)]
    return [path for path in files if path not in empty], notes


def _with_partitions(parts: list[Part], data: PurePath) -> list[Part]:
    """Put the columns named by the parts' folders before the parts' own columns."""
    fixed = takewhile(lambda name: not is_glob(name), data.parts)
    root = data if isinstance(data, Path) and data.is_dir() else type(data)(*fixed)
    paths = [part.path.path if isinstance(part.path, ObjectFile) else part.path for part in parts]
    values = [_folder_values(path, root) if path else {} for path in paths]
    if not any(values):
        return parts
    found = []
    for part, columns in zip(parts, _partition_columns(values, text=parts[0].text), strict=True):
        new = {key: column for key, column in columns.items() if key not in part.names}
        frame = part.frame.select(*new.values(), pl.all())
        found.append(replace(part, frame=frame, names=[*new, *part.names], partitions=new))
    return found


def _folder_values(path: PurePath, root: PurePath) -> dict[str, str | None]:
    """Parse the KEY=VALUE names of the folders between `root` and the file `path`."""
    folders = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    pairs = (folder.partition("=") for folder in folders if "=" in folder)
    return {unquote(k): None if v == NULL_PARTITION else unquote(v) for k, _, v in pairs}


def _partition_columns(
    values: list[dict[str, str | None]], *, text: bool
) -> list[dict[str, pl.Expr]]:
    """Build each file's partition columns by name; a column is of numbers if all its values are.

    The columns of text files stay strings.
    """
    columns: dict[str, pl.Series] = {}
    for key in dict.fromkeys(key for of_file in values for key in of_file):
        strings = pl.Series([of_file.get(key) for of_file in values], dtype=pl.String)
        casts = [strings.cast(kind, strict=False) for kind in (pl.Int64, pl.Float64) if not text]
        numbers = (cast for cast in casts if cast.null_count() == strings.null_count())
        columns[key] = next(numbers, strings)
    return [
        {key: pl.lit(columns[key][file], columns[key].dtype).alias(key) for key in of_file}
        for file, of_file in enumerate(values)
    ]
