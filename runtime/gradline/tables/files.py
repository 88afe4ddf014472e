"""The files of a table, and the dialect of text files."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradline.errors import InputError
from gradline.tables.objects import ObjectFile, is_glob, is_remote, list_objects

EXTENSIONS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
COMPRESSED = (".gz", ".zst")
TableFile = Path | ObjectFile


def absolute(path: TableFile) -> TableFile:
    """Make a path independent of the working folder."""
    return path.absolute() if isinstance(path, Path) else path


@dataclass(frozen=True)
class Dialect:
    """How to read numbers from a text file."""

    separator: str | None = None  # by default a tab for .tsv, else a comma
    decimal_comma: bool = False  # whether 1,5 means one and a half
    nulls: tuple[str, ...] = ("NA", "N/A", "NaN", "null")  # missing, like an empty field

    def __post_init__(self) -> None:
        if self.separator == r"\t":  # a tab is hard to type in a shell
            object.__setattr__(self, "separator", "\t")
        separator = self.separator
        if separator is None:
            return
        if len(separator) != 1 or not separator.isascii() or separator in '"\r\n':
            what = f"separator = {separator!r}, expected one ASCII character other than a quote"
            raise InputError(what, code="bad-option", hint="such as ';' or a tab")
        if self.decimal_comma and separator == ",":
            what = "a comma can't be both the separator and the decimal sign"
            raise InputError(what, code="bad-option", hint="--separator ';'")

    @property
    def numeric_nulls(self) -> bool:
        """Whether a number, such as 999, stands for a missing value."""
        return any(map(is_number, self.nulls))


def is_number(text: str) -> bool:
    """Check whether a text that means a missing value is a number, such as 999."""
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def table_files(data: str | Path) -> Sequence[TableFile]:
    """List the files of a table (a file, a glob or a folder), in sorted order.

    A folder means the files in it and in its subfolders named KEY=VALUE. A file with several links
    counts once.
    """
    if is_remote(data):
        return _remote_files(str(data))
    path = Path(data)
    if path.is_dir():
        if files := _unique(p for p in _walk(path) if file_format(p)):
            return files
        raise _no_table(path)
    if path.exists():
        return [path]
    if files := _unique(p for p in _expanded(path) if p.is_file()):
        return files
    raise _no_file(data)


def _unique(paths: Iterable[Path]) -> list[Path]:
    """List each file once, sorted, under its own path rather than a link's."""
    found: dict[str, Path] = {}
    real = {path: os.path.realpath(path) for path in paths}
    for path in sorted(real, key=lambda path: (real[path] != os.path.abspath(path), path)):
        found.setdefault(real[path], path)
    return sorted(found.values())


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of its subfolders named KEY=VALUE; skip hidden ones."""
    for found in _folders(folder, lambda path: not _is_hidden(path) and "=" in path.name):
        yield from (path for path in found.iterdir() if not _is_hidden(path) and path.is_file())


def _folders(root: Path, enters: Callable[[Path], bool]) -> Iterator[Path]:
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


def _expanded(pattern: Path) -> Iterator[Path]:
    """Yield the matches of a glob; `**` enters each folder once, even if links lead to it."""
    if "**" not in pattern.parts:
        yield from map(Path, glob.glob(str(pattern)))
        return
    place = pattern.parts.index("**")
    before, behind = Path(*pattern.parts[:place]), pattern.parts[place + 1 :] or ("*",)
    for root in glob.glob(str(before)):
        for folder in _folders(Path(root), _enters) if Path(root).is_dir() else ():
            yield from _expanded(Path(glob.escape(str(folder)), *behind))


def _enters(folder: Path) -> bool:
    return not folder.name.startswith(".") and os.access(folder, os.R_OK | os.X_OK)


def _remote_files(url: str) -> list[ObjectFile]:
    """List the files of a table in an object store; a name without an extension is a folder."""
    file = ObjectFile(url)
    if is_glob(url):
        if found := list_objects(url):
            return found
        raise _no_file(url)
    if file_format(file) and not url.endswith("/"):
        return [file]
    if found := [file for file in list_objects(url) if file_format(file) and _walks_to(url, file)]:
        return found
    if file.suffix and not url.endswith("/"):
        return [file]  # opening it gives the right error
    raise _no_table(url)


def _walks_to(url: str, file: ObjectFile) -> bool:
    """Check whether `_walk` would yield this file of a folder."""
    *folders, name = file.path.relative_to(ObjectFile(url).path).parts
    hidden = any(part.startswith((".", "_")) for part in (*folders, name))
    return not hidden and all("=" in folder for folder in folders)


def _no_file(data: object) -> InputError:
    return InputError(f"no such file: {data}", code="no-data", hint="check the path")


def _no_table(folder: object) -> InputError:
    hint = f"expected files named *{', *'.join(EXTENSIONS)}"
    return InputError(f"no table in the folder {folder}", code="no-data", hint=hint)


def stem(data: str | Path) -> str:
    """Name a table after its file without extensions, its folder, or its glob's folder."""
    if is_remote(data):
        file = ObjectFile(str(data))
        wild = next((p for p in (file.path, *file.path.parents) if not is_glob(p.name)), file.path)
        return wild.name.partition(".")[0]
    path = Path(data)
    if is_glob(path.name) and not path.exists():
        path = path.parent
    path = path.resolve()
    return path.name if path.is_dir() else path.name.partition(".")[0]


def file_format(path: TableFile) -> str | None:
    """Look up the format of a file's extension; return None if it is unknown."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        inner = EXTENSIONS.get(suffixes[-2]) if len(suffixes) > 1 else None
        return inner if inner in ("csv", "tsv") else None
    return EXTENSIONS.get(suffixes[-1]) if suffixes else None
