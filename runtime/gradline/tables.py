"""A table of any kind as blocks of numbers: files and dataframes, read the same way.

A row is identified by its part (the file's place in sorted order) and its place in that part,
before any row is dropped. A block is an aligned range of BLOCK_ROWS rows of one part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from gradline.categories import PlaceOf, places_of
from gradline.errors import InputError
from gradline.files import (
    COMPRESSED,
    RAGGED_HINT,
    Dialect,
    TableFile,
    odd_rows,
    open_file,
    readable,
    table_files,
)
from gradline.objects import FIRST, ObjectFile, is_remote
from gradline.partitions import partition_columns, partitions
from gradline.text import category_texts, clean, guess, parse

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BLOCK_ROWS", "LARGEST_INTEGER", "Block", "FrameTable", "Part", "open_files"]

BLOCK_ROWS = 65_536
BATCH_ROWS = 16_384
CSV_CHUNK = 1_000_000  # bytes
SLICED = (".parquet", ".pq")  # what any rows can be read from without those before
COUNTED = (
    ".parquet",
    ".pq",
    ".arrow",
    ".feather",
    ".ipc",
)  # files that say how many rows they have
SAMPLE_BYTES = 1 << 16
ASKED = 100  # files that are asked how many rows they have
AT_ONCE = 32  # files of an object store that are opened
HEAD_ROWS = 1_000  # what the kinds of a text file's columns are first guessed from
THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")
LARGEST_INTEGER = 2**53  # the last one up to which float64 holds every integer


@dataclass(frozen=True)
class Block:
    """Consecutive rows of one part.

    Attributes:
        part: The part's place in the table.
        start: The first row's place in the part, from 0.
        pieces: Matrices of the rows whose columns stand side by side; a missing value is NaN.
        kept: Further columns as they are in the table; None where none was asked for.
    """

    part: int
    start: int
    pieces: tuple[NDArray[Any], ...]
    kept: pl.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.pieces[0])

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The pieces as one matrix, shape (rows, columns), float64."""
        if len(self.pieces) == 1:
            return self.pieces[0].astype(np.float64, copy=False)
        return np.concatenate(self.pieces, axis=1, dtype=np.float64)


@dataclass(frozen=True)
class Part:
    """One file, or the one frame in memory.

    Attributes:
        path: The file; None for a frame.
        frame: Its columns, all strings where `text`.
        names: The column names as written, duplicates included.
        text: Whether it is a text file, whose strings are to be read as numbers.
        state: The file's size and time of change when it was opened; None in an object store.
        given: Columns that stand before the file's own, each the same in every row.
        start: The place in the file of the frame's first row.
        numbers: Columns of a text file that are read as numbers at once, None where one's text is
            missing or no number.
    """

    path: TableFile | None
    frame: pl.LazyFrame
    names: list[str]
    text: bool
    state: tuple[int, int] | None = None
    given: Mapping[str, pl.Expr] = field(default_factory=dict)
    start: int = 0
    numbers: Sequence[str] = ()

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.path.name if self.path else "the table"


@dataclass(frozen=True)
class TextColumn:
    """What a column of text holds: how many values, how many of them numbers, and odd ones."""

    present: int
    numbers: int
    odd: list[str]
    first: str


class FrameTable:
    """Files or a dataframe, read in blocks as often as asked.

    Attributes:
        parts: The files in sorted order, or one frame.
        names: The column names as written, duplicates included.
        kinds: For each name "number", "text", "date" or "other".
        place_of: For each category column, what turns its text into the number that is read.
        row_groups_ahead: Of a Parquet file that are read before they are asked for. With two of
            them two cores read, in up to twice the memory.
        first_part: The number of the first part, where these are a share of a table's.
    """

    place_of: Mapping[str, PlaceOf] = MappingProxyType({})
    row_groups_ahead = 1
    first_part = 0

    def __init__(self, parts: list[Part], dialect: Dialect) -> None:
        self.parts = parts
        self.dialect = dialect
        self.names = parts[0].names
        self.kinds = self._kinds(parts[0])
        self._odd: set[TableFile] = set()  # text files that can't be read as numbers at once
        for part in parts[1:]:
            self._check_same(part)

    @property
    def paths(self) -> list[TableFile]:
        """The files, in the order in which they are read."""
        return [part.path for part in self.parts if part.path]

    def label(self, part: int) -> str:
        """Return what messages call a part."""
        return self.parts[part - self.first_part].label

    def with_parts(self, parts: list[Part], first: int) -> Self:
        """Return a share of the table: some of its parts, of which the first has this number."""
        table = copy(self)
        table.parts, table.first_part = parts, first
        return table

    def with_categories(self, place_of: Mapping[str, PlaceOf]) -> Self:
        """Return the same table with these columns read as categories, each as its place."""
        table = copy(self)
        table.place_of = place_of
        return table

    def blocks(
        self, columns: Sequence[str], rows: int | None = None, keep: Sequence[str] = ()
    ) -> Iterator[Block]:
        """Yield the named columns as numbers, `rows` (BLOCK_ROWS) at a time, part by part.

        Args:
            columns: To read as numbers.
            rows: Of a block.
            keep: To yield as they are, a text file's as text.

        Raises:
            InputError: For text or dates in a column, integers beyond 2^53, or a file that cannot
                be read.
        """
        for number, part in enumerate(self.parts, self.first_part):
            start = part.start
            for values, kept in self._rows(part, columns, rows or BLOCK_ROWS, keep):
                yield Block(number, start, (values,), kept)
                start += len(values)
            _check_unchanged(part)

    def _rows(
        self, part: Part, columns: Sequence[str], size: int, keep: Sequence[str]
    ) -> Iterator[tuple[NDArray[Any], pl.DataFrame | None]]:
        """Yield the named columns as numbers and those to keep, `size` rows at a time."""
        done = 0
        as_numbers = self._as_numbers(part, columns, keep)
        if as_numbers is not None:
            # What is odd or missing in a file is looked at more closely, and told, in its text.
            with suppress(InputError):
                for values, kept in self._read(as_numbers, columns, size, keep):
                    if (values >= LARGEST_INTEGER).any() or (values <= -LARGEST_INTEGER).any():
                        break
                    yield values, kept
                    done += len(values)
                else:
                    return
            self._odd.add(part.path)  # type: ignore[arg-type] # a text is a file
        yield from self._read(part, columns, size, keep, done)

    def _as_numbers(self, part: Part, columns: Sequence[str], keep: Sequence[str]) -> Part | None:
        """Return a text file with the columns read as numbers, in about two thirds of the time."""
        import polars as pl

        if not part.text or part.path is None or part.path in self._odd:
            return None
        numbers = set(columns) - {*self.place_of, *keep, *part.given}
        if self.dialect.decimal_comma or not numbers:
            return None
        frame, *_ = open_file(part.path, self.dialect, sorted(numbers))
        if part.given:
            frame = frame.select(*part.given.values(), pl.all())
        return replace(part, frame=frame, numbers=sorted(numbers))

    def _read(
        self,
        part: Part,
        columns: Sequence[str],
        size: int,
        keep: Sequence[str],
        start: int = 0,
    ) -> Iterator[tuple[NDArray[Any], pl.DataFrame | None]]:
        """Yield what `_rows` does, from a row on."""
        for frame in self._frames(part, list(dict.fromkeys([*columns, *keep])), size, start):
            values = self._numbers(part, _picked(frame, columns), part.start + start)
            yield values, _picked(frame, keep) if keep else None
            start += len(frame)

    def kept_schema(self, names: Sequence[str]) -> dict[str, pl.DataType]:
        """Return the types of columns as they are in the (first part of the) table."""
        schema = self.parts[0].frame.collect_schema()
        return {name: schema[name] for name in names}

    def expected_rows(self) -> int | None:
        """Return about how many rows there are, None where only reading them would tell.

        Parquet and Arrow files say it; of other files a sample tells the length of a line. Of many
        files some tell it. Of an object store it is None: it would be asked once more.
        """
        asked = self.parts[:: max(1, len(self.parts) // ASKED)]
        rows = [_expected_rows(part) for part in asked]
        if None in rows:
            return None
        total, told = (sum(p.state[0] for p in parts if p.state) for parts in (self.parts, asked))
        return round(sum(filter(None, rows)) * (total / told if told else 1))

    def survey(self, column: str) -> TextColumn:
        """Return how many of a text column's values are numbers, over the whole table."""
        import polars as pl
        from polars import selectors

        present = numbers = 0
        first = ""
        odd: list[str] = []
        for part in self.parts:
            frame = part.frame.select(selectors.by_name(column).cast(pl.String))
            rows = 0
            with readable(part.path, self.dialect.separator):
                for batch in frame.collect_batches(chunk_size=BLOCK_ROWS):
                    text = clean(batch.to_series().alias(""), self.dialect)
                    bad = text.is_not_null() & parse(text, self.dialect).is_null()
                    if bad.any():
                        row = rows + int(bad.arg_true()[0]) + 1
                        first = first or f"row {row} of {part.label}"
                        odd += text.filter(bad).head(3).to_list()
                    present += len(text) - text.null_count()
                    numbers += len(text) - text.null_count() - int(bad.sum())
                    rows += len(text)
        return TextColumn(present, numbers, odd[:3], first)

    def _kinds(self, part: Part) -> dict[str, str]:

        with readable(part.path, self.dialect.separator):
            if not part.text:
                return {name: _kind(dtype) for name, dtype in part.frame.collect_schema().items()}
            head = part.frame.head(HEAD_ROWS).collect()
        return {name: guess(head[name].alias(""), self.dialect) for name in head.columns}

    def _check_same(self, part: Part) -> None:
        first = self.parts[0]
        odd = sorted(set(part.names) ^ set(self.names))
        if odd:
            having, lacking = (part, first) if odd[0] in part.names else (first, part)
            raise InputError(
                f"the files differ: {having.label} has the column {odd[0]!r}, {lacking.label} "
                "has not",
                code="mixed-schemas",
                hint="give files with the same columns",
            )
        if not part.text:
            kinds = self._kinds(part)
            for name, kind in kinds.items():
                if kind != self.kinds[name]:
                    raise InputError(
                        f"the files differ: the column {name!r} is {self.kinds[name]} in "
                        f"{first.label} and {kind} in {part.label}",
                        code="mixed-schemas",
                        hint="give files whose columns have the same types",
                    )

    def _frames(
        self, part: Part, columns: Sequence[str], size: int, start: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the part's columns in frames of `size` rows, the last one shorter."""
        import polars as pl

        kept: list[pl.DataFrame] = []
        rows = 0
        with readable(part.path, self.dialect.separator):
            for batch in self._batches(part, columns, size, start):
                kept.append(batch)
                rows += len(batch)
                while rows >= size:
                    frame = pl.concat(kept)
                    yield frame.head(size)
                    rows -= size
                    kept = [frame.tail(rows)]
        if rows:
            yield pl.concat(kept)

    def _batches(
        self, part: Part, columns: Sequence[str], size: int, start: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the part's columns in frames of any length, blank lines of a text left out.

        Args:
            part: To read.
            columns: To yield.
            size: Rows of a frame, about.
            start: The first row's place, before which there is no blank line.

        Raises:
            InputError: For a text file with a row of another length than its header, or whose
                numbers were to be read at once and are not all there.
        """
        from polars import selectors

        # A short row lacks the file's last field: it is read too, to see such rows.
        last = part.frame.collect_schema().names()[-1:] if part.text else []
        wanted = selectors.by_name(dict.fromkeys([*columns, *last]))
        blank: NDArray[np.int64] | None = None
        frames = part.frame.select(wanted)
        for batch in self._in_pieces(part, frames.slice(start) if start else frames, size):
            if any(batch[name].has_nulls() for name in part.numbers):
                raise InputError(f"{part.label} is to be read as text", code="not-at-once")
            if last and blank is None and batch[last[0]].has_nulls():
                ragged, lines = odd_rows(part.path, self.dialect.separator)
                if ragged:
                    raise InputError(
                        f"{part.label} is ragged: {ragged}", code="ragged", hint=RAGGED_HINT
                    )
                blank = np.array(lines, np.int64)
            frame = _picked(batch, columns)
            if blank is not None and len(blank):
                rows = np.arange(start, start + len(frame))
                frame = frame.filter(~np.isin(rows, blank))
            yield frame
            start += len(batch)

    def _in_pieces(self, part: Part, frame: pl.LazyFrame, size: int) -> Iterator[pl.DataFrame]:
        """Yield a part's columns in frames of about `size` rows."""
        if size == BLOCK_ROWS or part.path is None or part.path.suffix.lower() not in SLICED:
            with _little_ahead(self.row_groups_ahead):
                batches = frame.collect_batches(chunk_size=min(size, BATCH_ROWS))
                first = next(batches, None)
            if first is not None:
                yield first
                yield from batches
            return
        # Batches are read ahead of whoever takes them, and a wide file's would fill the memory.
        start = 0
        while len(piece := frame.slice(start, size).collect()):
            yield piece
            start += len(piece)

    def _numbers(self, part: Part, frame: pl.DataFrame, start: int) -> NDArray[Any]:
        import polars as pl

        values = self._at_once(part, frame)
        if values is not None:
            return values
        columns = []
        for name in frame.columns:
            column = frame.get_column(name).alias("")  # an expression takes ^b$ for a pattern
            if name in self.place_of:
                columns.append(self._places(part, name, column, start))
                continue
            if part.text:
                numbers = parse(column, self.dialect)
                if numbers.null_count() > column.null_count():
                    column = clean(column, self.dialect)
                    numbers = parse(column, self.dialect)
                    if numbers.null_count() > column.null_count():
                        raise self.not_numbers(name)
            else:
                if _kind(column.dtype) != "number":
                    raise self.not_numbers(name)
                numbers = column.cast(pl.Float64)
            check_integers(part, name, column, numbers, start)
            columns.append(numbers.alias(name))
        return pl.DataFrame(columns).to_numpy(order="fortran")

    def _at_once(self, part: Part, frame: pl.DataFrame) -> NDArray[Any] | None:
        """Return the columns together, which is quick, or None where one needs a closer look."""
        import polars as pl

        if any(name in self.place_of for name in frame.columns):
            return None
        if all(kind in (pl.Float32, pl.Float64) for kind in frame.dtypes):
            return frame.to_numpy(order="fortran")
        if part.text:
            numbers = frame.cast(pl.Float64, strict=False)
            if self.dialect.decimal_comma or numbers.null_count().rows() != (
                frame.null_count().rows()
            ):
                return None
        elif all(_kind(kind) == "number" for kind in frame.dtypes):
            numbers = frame.cast(pl.Float64)
        else:
            return None
        values = numbers.to_numpy(order="fortran")
        return None if (np.abs(values) >= LARGEST_INTEGER).any() else values

    def _places(self, part: Part, name: str, column: pl.Series, start: int) -> pl.Series:
        """Return a category column as the places of its values, NaN where one is missing."""
        import polars as pl

        texts = category_texts(column, self.dialect if part.text else None)
        if texts is None:
            raise self.not_numbers(name)
        place_of = self.place_of[name]
        return pl.Series(name, places_of(texts.to_list(), name, place_of, part.label, start))

    def not_numbers(self, name: str) -> InputError:
        """Return the error for a chosen column that holds something else than numbers."""
        kind = self.kinds[name]
        if kind in ("date", "other"):
            what = "dates" if kind == "date" else "values that are not numbers"
            return InputError(
                f"the column {name!r} holds {what}, expected numbers",
                code="not-numeric",
                hint="convert it to numbers first, or choose other columns",
            )
        found = self.survey(name)
        if found.numbers == found.present:
            return InputError(
                f"the column {name!r} is text, though all of its values are numbers",
                code="not-numeric",
                hint="cast it to numbers first",
            )
        examples = ", ".join(map(repr, found.odd)) or "text"
        return InputError(
            f"the column {name!r} is text: {found.present - found.numbers} of {found.present} "
            f"values are not numbers, such as {examples}"
            + (f"; the first stands in {found.first}" if found.first else ""),
            code="not-numeric",
            hint=self._mend(name, found.odd),
        )

    def _mend(self, name: str, odd: list[str]) -> str:
        if odd and all(map(THOUSANDS.fullmatch, odd)):
            return "remove the thousands marks, or give --decimal-comma where 1,005 is about one"
        if any("," in value for value in odd) and not self.dialect.decimal_comma:
            return "give --decimal-comma where 1,5 means one and a half"
        return (
            "mend them, name what means missing with --null TOKEN, or leave the column out with "
            f"--exclude {name!r}"
        )


def _picked(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the columns of these very names: an expression would take ^b$ for a pattern."""
    if frame.columns == list(names):
        return frame
    return frame.select(map(frame.get_column, names))


@contextmanager
def _little_ahead(row_groups: int) -> Iterator[None]:
    """Have queries that start here read little ahead, so that memory is the same for any file.

    Polars has no other way to say so.
    """
    wanted = {
        "POLARS_ROW_GROUP_PREFETCH_SIZE": str(row_groups),
        "POLARS_CSV_CHUNK_SIZE": str(CSV_CHUNK),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
        return Part(path, frame, names, text, _state(path) if isinstance(path, Path) else None)

    if is_remote(data):
        with ThreadPoolExecutor(AT_ONCE) as pool:  # mostly waiting for answers
            parts = list(pool.map(opened, files))
        return FrameTable(_with_partitions(parts, ObjectFile(str(data)).path), dialect)
    return FrameTable(_with_partitions([opened(file) for file in files], Path(data)), dialect)


def _expected_rows(part: Part) -> float | None:
    """Return what `FrameTable.expected_rows` does of one part."""
    import polars as pl

    if isinstance(part.path, ObjectFile):
        return None
    if part.path is None or part.path.suffix.lower() in COUNTED:
        with readable(part.path):
            rows: int = part.frame.select(pl.len()).collect().item()
        return rows
    with part.path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if not sample.count(b"\n") or part.path.suffix.lower() in COMPRESSED:
        return None
    return part.path.stat().st_size * sample.count(b"\n") / len(sample)


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


def _check_unchanged(part: Part) -> None:
    """Raise for a file that is not as it was when it was opened."""
    if not isinstance(part.path, Path) or part.state is None:
        return
    if not part.path.exists() or _state(part.path) != part.state:
        raise InputError(
            f"{part.label} changed while it was read",
            code="changed-data",
            hint="run again when nothing writes to it",
        )


def _state(path: Path) -> tuple[int, int]:
    """Return what tells that a file has changed: its size and time of change."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _kind(dtype: Any) -> str:
    import polars as pl

    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return "number"
    if dtype.is_temporal():
        return "date"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "other"


def check_integers(
    part: Part, name: str, column: pl.Series, numbers: pl.Series, start: int
) -> None:
    """Raise for an integer of the column that float64 can't hold."""
    large = numbers.abs().fill_nan(None) >= LARGEST_INTEGER
    if not large.any():
        return
    for row in large.arg_true():
        value = column[int(row)]
        digits = value.strip().lstrip("+-") if isinstance(value, str) else ""
        exact = int(value) if digits.isdigit() or isinstance(value, int) else 0
        if abs(exact) > LARGEST_INTEGER:
            raise InputError(
                f"the column {name!r} holds the integer {value} in row "
                f"{start + int(row) + 1} of {part.label}: float64 is exact only up to 2^53",
                code="large-integer",
                hint=f"--exclude {name!r}, or divide it first (an identifier is no feature)",
            )
