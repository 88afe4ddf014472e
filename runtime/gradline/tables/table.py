"""A table of files or a dataframe, read as blocks of numbers.

A row is identified by its part (the file's place in sorted order) and its place in that part,
before any row is dropped. A block is an aligned range of BLOCK_ROWS rows of one part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import PlaceOf, places_of
from gradline.columns.inputs import UNKNOWN_PLACE
from gradline.columns.kinds import Column
from gradline.columns.python_numbers import LARGEST_INTEGER
from gradline.errors import InputError
from gradline.tables.agreement import Agreement, kinds_of, types_of
from gradline.tables.faults import default_separator
from gradline.tables.files import Dialect, TableFile
from gradline.tables.lazy_polars import pl
from gradline.tables.numbers import (
    category_texts,
    clean,
    column_kind,
    first_large,
    is_plain,
    needs_text,
    numbers_at_once,
    parse_numbers,
)
from gradline.tables.opening import open_file
from gradline.tables.parts import (
    BLOCK_ROWS,
    Block,
    OddColumnsError,
    Part,
    expected_rows,
    frames,
)
from gradline.tables.text_columns import TextColumn, of_another_kind
from gradline.tables.values import series_values

_Read = tuple[NDArray[Any], "pl.DataFrame | None"]  # numbers, and kept columns


class FrameTable:
    """Files or a dataframe, read in blocks as often as needed."""

    #: For each category column, the function from its text to its number.
    place_of: Mapping[str, PlaceOf] = MappingProxyType({})
    #: Columns read as a package describes them, see `with_columns`.
    columns: Mapping[str, Column] = MappingProxyType({})
    unknown = "error"  # what an unknown level of theirs becomes
    notes: Sequence[str] = ()  # on files that are not read
    row_groups_ahead = 1  # of a Parquet file; 2 let two cores read, in up to twice the memory
    first_part = 0  # the first part's place in the whole table, if this is a shard of one

    def __init__(self, parts: list[Part], dialect: Dialect) -> None:
        self.parts = parts  # the files in sorted order, or one frame
        self.dialect = dialect
        self.agreement = Agreement.of(parts, kinds_of(parts, dialect))
        self.names = self.agreement.names  # of the columns that every part has
        self.kinds = self.agreement.kinds  # "number", "text", "date" or "other" by name
        self.strange: dict[str, str] = {}
        #: A text file's columns that Polars cannot parse, or that have missing values.
        self._odd: dict[TableFile | None, set[str]] = {}

    @property
    def paths(self) -> list[TableFile]:
        """The files in the order of reading."""
        return [part.path for part in self.parts if part.path]

    def label(self, part: int) -> str:
        """Look up a part's name in messages."""
        return self.parts[part - self.first_part].label

    def with_parts(self, parts: list[Part], first: int) -> Self:
        """Copy the table with only these parts; the first has the place `first` in the whole."""
        table = copy(self)
        table.parts, table.first_part = parts, first
        return table

    def with_categories(self, place_of: Mapping[str, PlaceOf]) -> Self:
        """Copy the table with these columns read as categories."""
        table = copy(self)
        table.place_of = place_of
        return table

    def with_columns(self, columns: Sequence[Column], unknown: str) -> Self:
        """Copy the table with these columns read as `Plan.compute` takes them.

        Numbers by their rule, times in seconds, categories as the places of their levels; `unknown`
        is a value of `unknown_category`. `strange` collects an unknown level of each column.
        """
        table = copy(self)
        table.columns = {column.name: column for column in columns}
        table.unknown, table.strange = unknown, {}
        return table

    def all_notes(self) -> list[str]:
        """List the notes, also on columns that not every file has."""
        return [*self.notes, *self.agreement.notes()]

    def check_names(self, names: Iterable[str]) -> None:
        """Raise an InputError that names the file if one of them lacks a column in use."""
        self.agreement.check_names(names)

    def blocks(
        self, columns: Sequence[str], rows: int | None = None, keep: Sequence[str] = ()
    ) -> Iterator[Block]:
        """Yield `columns` as numbers in blocks, by default of BLOCK_ROWS rows, part by part.

        The columns `keep` are passed through unchanged, a text file's as text.
        """
        self.agreement.check_names([*columns, *keep])
        own_types = {name for name, column in self.columns.items() if column.null}  # of format 2
        self.agreement.check_kinds(name for name in columns if name not in own_types)
        for number, part in enumerate(self.parts, self.first_part):
            start = part.start
            for values, kept in self._rows(part, columns, rows or BLOCK_ROWS, keep):
                yield Block(number, start, (values,), kept)
                start += len(values)
            part.check_unchanged()

    def _rows(
        self, part: Part, columns: Sequence[str], size: int, keep: Sequence[str]
    ) -> Iterator[_Read]:
        """Yield the numbers and the kept columns, `size` rows at a time."""
        done = 0
        if keep and part.text:  # keep a missing value's text, too
            part = self._reopened(part, replace(self.dialect, nulls=()))
        while fast := self._parsed_by_polars(part, columns, keep):
            # A column with a missing or odd value is read as text, which gives the full error.
            try:
                for values, kept in self._read(fast, columns, size, keep, done):
                    self._refuse_large(fast, columns, values)
                    yield values, kept
                    done += len(values)
            except OddColumnsError as found:
                self._note_odd(part, found.columns)
            except InputError:
                self._note_odd(part, fast.numbers)
            else:
                return
        yield from self._read(part, columns, size, keep, done)

    def _note_odd(self, part: Part, columns: Iterable[str]) -> None:
        self._odd.setdefault(part.path, set()).update(columns)

    @staticmethod
    def _refuse_large(part: Part, columns: Sequence[str], values: NDArray[Any]) -> None:
        """Raise for parsed integers that float64 may not hold: their text tells."""
        if (values >= LARGEST_INTEGER).any() or (values <= -LARGEST_INTEGER).any():
            large = (np.abs(values) >= LARGEST_INTEGER).any(axis=0)
            odd = {columns[j] for j in np.flatnonzero(large).tolist()}.intersection(part.numbers)
            if odd:
                raise OddColumnsError(sorted(odd))

    def _parsed_by_polars(
        self, part: Part, columns: Sequence[str], keep: Sequence[str]
    ) -> Part | None:
        """Let Polars parse a text file's numbers, in about two thirds of the time, if it can."""
        if not part.text or self.dialect.decimal_comma:
            return None
        as_text = filter(needs_text, self.columns.values())
        as_text_names = {*self.place_of, *(column.name for column in as_text)}
        as_text_names |= self._odd.get(part.path, set())
        numbers = set(columns) - as_text_names - {*keep, *part.partitions}
        if not numbers or (keep and self.dialect.numeric_nulls):
            return None
        dialect = replace(self.dialect, nulls=()) if keep else self.dialect
        return self._reopened(part, dialect, sorted(numbers))

    def _reopened(self, part: Part, dialect: Dialect, numbers: Sequence[str] = ()) -> Part:
        assert part.path is not None  # noqa: S101 - a text part is a file
        frame, *_ = open_file(part.path, dialect, numbers)
        if part.partitions:
            frame = frame.select(*part.partitions.values(), pl.all())
        return replace(part, frame=frame, numbers=numbers)

    def _read(
        self, part: Part, columns: Sequence[str], size: int, keep: Sequence[str], start: int = 0
    ) -> Iterator[_Read]:
        """Yield what `_rows` yields, from the row `start` on."""
        both = list(dict.fromkeys([*columns, *keep]))
        for frame in frames(part, both, size, start, row_groups_ahead=self.row_groups_ahead):
            wanted = frame[list(columns)]
            if keep and part.text:  # Polars' CSV reader has kept the dialect's nulls
                nulls = list(self.dialect.nulls)
                wanted = wanted.with_columns(pl.selectors.string().replace(nulls, None))
            values = self._numbers(part, wanted, part.start + start)
            yield values, frame[list(keep)] if keep else None
            start += len(frame)

    def _numbers(self, part: Part, frame: pl.DataFrame, start: int) -> NDArray[Any]:
        """Convert a part's rows from `start` on to a matrix, float32 or float64, NaN if missing."""
        values = self._at_once(part, frame)
        if values is not None:
            return values
        columns = []
        for name in frame.columns:
            column = frame.get_column(name).alias("")  # an expression takes ^b$ for a pattern
            if name in self.place_of:
                found = pl.Series(self._places(part, name, column, start))
            elif name in self.columns and not is_plain(self.columns[name], column):
                found = pl.Series(self._described(part, name, column, start))
            else:
                found = self._plain(part, name, column, start)
            columns.append(found.alias(name))
        return pl.DataFrame(columns).to_numpy(order="fortran")

    def _plain(self, part: Part, name: str, column: pl.Series, start: int) -> pl.Series:
        """Convert a column of numbers, or of their text."""
        if part.text:
            numbers = parse_numbers(column, self.dialect)
            if numbers.null_count() > column.null_count():
                column = clean(column, self.dialect)
                numbers = parse_numbers(column, self.dialect)
        elif column_kind(column.dtype) != "number":
            raise self.not_numbers(name)
        else:
            numbers = column.cast(pl.Float64)
        if numbers.null_count() > column.null_count():
            raise self.not_numbers(name)
        if error := first_large(part, name, column, numbers, start):
            raise error
        return numbers

    def _places(self, part: Part, name: str, column: pl.Series, start: int) -> NDArray[np.float64]:
        texts = category_texts(column, self.dialect if part.text else None)
        if texts is None:
            raise self.not_numbers(name)
        return places_of(texts.to_list(), name, self.place_of[name], part.label, start)

    def _described(
        self, part: Part, name: str, column: pl.Series, start: int
    ) -> NDArray[np.float64]:
        """Read a column as the package describes it; note an unknown level."""
        own, dialect = self.columns[name], self.dialect if part.text else None
        values = series_values(
            own, column, self.unknown, label=part.label, start=start, dialect=dialect
        )
        if own.kind == "category" and name not in self.strange:
            unknown = values == UNKNOWN_PLACE
            if unknown.any():
                self.strange[name] = str(column[int(np.argmax(unknown))])
        return values

    def _at_once(self, part: Part, frame: pl.DataFrame) -> NDArray[Any] | None:
        """Convert all columns together, which is fast; return None if one needs a closer look."""
        if any(name in self.place_of for name in frame.columns):
            return None
        own = [self.columns[name] for name in frame.columns if name in self.columns]
        if any(not is_plain(column, frame[column.name]) for column in own):
            return None
        return numbers_at_once(frame, self.dialect if part.text else None)

    def raw(
        self, columns: Sequence[str], rows: int | None = None
    ) -> Iterator[tuple[int, int, pl.DataFrame]]:
        """Yield columns as they are, a text file's as text, with the part and its first row."""
        for number, part in enumerate(self.parts, self.first_part):
            read = self._reopened(part, replace(self.dialect, nulls=())) if part.text else part
            start = part.start
            for frame in frames(
                read, columns, rows or BLOCK_ROWS, row_groups_ahead=self.row_groups_ahead
            ):
                yield number, start, frame
                start += len(frame)
            part.check_unchanged()

    def is_text(self, name: str) -> bool:
        """Check whether a column holds text, so that every value must be read to know its kind."""
        return self.has_text_files or self.dtype(name) == pl.String

    @cached_property
    def has_text_files(self) -> bool:
        """Whether a part is a text file, whose values have no types."""
        return any(part.text for part in self.parts)

    def dtype(self, name: str) -> Any:
        """Look up a column's type: text, or the one in the first part where it is not null."""
        if self.has_text_files:
            return pl.String()
        return next(iter(self.dtypes.get(name, {pl.Null(): ""})))

    @cached_property
    def dtypes(self) -> dict[str, dict[Any, str]]:
        """Each column's types, but for Null, and the first file of each; those of text are text."""
        return types_of(self.parts)

    @property
    def separator(self) -> str | None:
        """The separator of text files' fields; None for any other table."""
        part = next((part for part in self.parts if part.text), None)
        if part is None or part.path is None:
            return None
        return self.dialect.separator or default_separator(part.path)

    def dialect_of(self, part: int) -> Dialect | None:
        """How a part is written that is a text file; None for any other."""
        return self.dialect if self.parts[part - self.first_part].text else None

    def expected_rows(self) -> int | None:
        """Estimate the number of rows; None if that needs a full read."""
        return expected_rows(self.parts)

    def not_numbers(self, name: str, role: str = "feature") -> InputError:
        """Build the error for a column, chosen as `role`, that does not hold numbers."""
        if self.kinds[name] in ("date", "other"):
            return of_another_kind(name, self.kinds[name])
        found = TextColumn.of(name, self.parts, self.dialect)
        return found.not_numbers(name, self.dialect, role)
