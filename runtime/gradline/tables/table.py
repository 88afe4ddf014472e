"""A table of any kind as blocks of numbers: files and dataframes, read the same way.

A row is identified by its part (the file's place in sorted order) and its place in that part,
before any row is dropped. A block is an aligned range of BLOCK_ROWS rows of one part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from gradline.columns.categories import PlaceOf
from gradline.columns.python_numbers import LARGEST_INTEGER
from gradline.errors import InputError
from gradline.tables.batches import frames, picked
from gradline.tables.files import Dialect, TableFile
from gradline.tables.numbers import NotNumbersError, kind_of, numbers_of
from gradline.tables.opening import open_file, readable
from gradline.tables.parts import BLOCK_ROWS, Block, Part
from gradline.tables.passthrough import kept_types
from gradline.tables.survey import TextColumn, not_numbers, survey
from gradline.tables.text import guesses, without_nulls

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FrameTable"]

ASKED = 100  # files that are asked how many rows they have
HEAD_ROWS = 1_000  # what the kinds of a text file's columns are first guessed from


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
            part.check_unchanged()

    def _rows(
        self, part: Part, columns: Sequence[str], size: int, keep: Sequence[str]
    ) -> Iterator[tuple[NDArray[Any], pl.DataFrame | None]]:
        """Yield the named columns as numbers and those to keep, `size` rows at a time."""
        done = 0
        if keep and part.text and part.path is not None:
            part = self._verbatim(part)
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
        if not part.text or part.path is None or part.path in self._odd:
            return None
        numbers = set(columns) - {*self.place_of, *keep, *part.given}
        if self.dialect.decimal_comma or not numbers:
            return None
        dialect = self.dialect
        if keep:
            if dialect.numeric_nulls:
                return None
            dialect = replace(dialect, nulls=())
        return self._reopened(part, dialect, sorted(numbers))

    def _verbatim(self, part: Part) -> Part:
        """Return a text file in which the text for a missing value is text, too."""
        return self._reopened(part, replace(self.dialect, nulls=()))

    def _reopened(self, part: Part, dialect: Dialect, numbers: Sequence[str] = ()) -> Part:
        import polars as pl

        assert part.path is not None  # noqa: S101 - a text is a file
        frame, *_ = open_file(part.path, dialect, numbers)
        if part.given:
            frame = frame.select(*part.given.values(), pl.all())
        return replace(part, frame=frame, numbers=numbers)

    def _read(
        self,
        part: Part,
        columns: Sequence[str],
        size: int,
        keep: Sequence[str],
        start: int = 0,
    ) -> Iterator[tuple[NDArray[Any], pl.DataFrame | None]]:
        """Yield what `_rows` does, from a row on."""
        read = list(dict.fromkeys([*columns, *keep]))
        separator, ahead = self.dialect.separator, self.row_groups_ahead
        for frame in frames(part, read, size, start, separator=separator, row_groups_ahead=ahead):
            wanted, first = picked(frame, columns), part.start + start
            if keep and part.text:
                wanted = without_nulls(wanted, self.dialect)
            try:
                values = numbers_of(part, wanted, first, self.dialect, self.place_of)
            except NotNumbersError as error:
                raise self.not_numbers(error.column) from None
            yield values, picked(frame, keep) if keep else None
            start += len(frame)

    def kept_types(self, names: Sequence[str]) -> dict[str, pl.DataType]:
        """Return the types that columns have as they are, in all the parts.

        Raises:
            InputError: Where the parts' types are such that some values would become others.
        """
        return kept_types(self.parts, names)

    def expected_rows(self) -> int | None:
        """Return about how many rows there are, None where only reading them would tell.

        Parquet and Arrow files say it; of other files a sample tells the length of a line. Of many
        files some tell it. Of an object store it is None: it would be asked once more.
        """
        asked = self.parts[:: max(1, len(self.parts) // ASKED)]
        rows = [part.expected_rows() for part in asked]
        if None in rows:
            return None
        total, told = (sum(p.state[0] for p in parts if p.state) for parts in (self.parts, asked))
        return round(sum(filter(None, rows)) * (total / told if told else 1))

    def _kinds(self, part: Part) -> dict[str, str]:
        with readable(part.path, self.dialect.separator):
            if not part.text:
                return {name: kind_of(dtype) for name, dtype in part.frame.collect_schema().items()}
            head = part.frame.head(HEAD_ROWS).collect()
        return guesses(head, self.dialect)

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

    def survey(self, column: str) -> TextColumn:
        """Return how many of a text column's values are numbers, over the whole table."""
        return survey(self.parts, column, self.dialect)

    def not_numbers(self, name: str, role: str = "feature") -> InputError:
        """Return the error for a column, chosen as `role`, that holds something else."""
        return not_numbers(name, self.kinds[name], lambda: self.survey(name), self.dialect, role)
