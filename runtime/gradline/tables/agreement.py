"""Agreement of a table's files: only the columns in use must be the same in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gradline.errors import InputError
from gradline.tables.files import Dialect
from gradline.tables.lazy_polars import pl
from gradline.tables.numbers import column_kind, guesses
from gradline.tables.opening import readable
from gradline.tables.parts import SAMPLED_FILES, Part, mixed_schemas

HEAD_ROWS = 1_000  # for a first guess of a text file's column kinds
SAME_COLUMNS = "give files with the same columns"
SAME_TYPES = "give files whose columns have the same types"


@dataclass(frozen=True)
class Agreement:
    """What the files of a table have in common.

    Attributes:
        names: The columns of every file, as the first one writes them, repeated ones too.
        kinds: What each of them holds, see `numbers.column_kind`.
        lacking: For a column that some file lacks, a file with it and a file without.
        differing: For a column of two kinds, both with the files that have them.
        repeated: For a column that a later file has more than once, that file.
    """

    names: list[str]
    kinds: dict[str, str]
    lacking: dict[str, tuple[str, str]]
    differing: dict[str, str]
    repeated: dict[str, str]

    @classmethod
    def of(cls, parts: Sequence[Part], kinds: Iterable[dict[str, str]]) -> Agreement:
        """Compare the parts; `kinds` yields those of each part, without columns of nulls alone."""
        first = parts[0]
        lacking: dict[str, tuple[str, str]] = {}
        repeated: dict[str, str] = {}
        having: dict[str, str] = {}  # the first file that has each column
        for part in parts:
            having |= {name: part.label for name in part.names if name not in having}
        for part in parts:
            own = set(part.names)
            for name in having.keys() - own:
                lacking.setdefault(name, (having[name], part.label))
            if len(own) < len(part.names) and part is not first:
                counts = Counter(part.names)
                repeated |= {name: part.label for name in own if counts[name] > 1}
        found: dict[str, tuple[str, str]] = {}  # each column's kind, and a file that has it
        differing: dict[str, str] = {}
        for part, of_part in zip(parts, kinds, strict=False):
            for name, kind in of_part.items():
                other, label = found.setdefault(name, (kind, part.label))
                if kind != other:
                    told = f"the column {name!r} is {other} in {label} and {kind} in {part.label}"
                    differing.setdefault(name, told)
        names = [name for name in first.names if name not in lacking]
        return cls(
            names,
            {name: found.get(name, ("number", ""))[0] for name in names},
            {name: lacking[name] for name in having if name in lacking},
            differing,
            repeated,
        )

    def notes(self) -> list[str]:
        """Say which columns are not used since a file lacks them."""
        return [
            f"the column {name!r} is not used: {having} has it, {lacking} does not"
            for name, (having, lacking) in self.lacking.items()
        ]

    def check_names(self, names: Iterable[str]) -> None:
        """Raise an InputError if a file lacks one of the columns, or has it twice."""
        for name in names:
            if name in self.lacking:
                having, lacking = self.lacking[name]
                found = f"{having} has the column {name!r}, {lacking} does not"
                raise mixed_schemas(found, SAME_COLUMNS)
            if name in self.repeated:
                found = f"{self.repeated[name]} has several columns named {name!r}"
                raise InputError(found, code="duplicate-column", hint="rename them in the file")

    def check_kinds(self, names: Iterable[str]) -> None:
        """Raise an InputError if one of the columns is of another kind in another file."""
        for name in names:
            if name in self.differing:
                raise mixed_schemas(self.differing[name], SAME_TYPES)


def kinds_of(parts: Sequence[Part], dialect: Dialect) -> Iterator[dict[str, str]]:
    """Yield the kinds of each part's columns, without those that hold nothing but nulls.

    Of text files only the first rows are read, of as many files as that takes.
    """
    unknown = set(parts[0].names) if parts[0].text else set()
    for number, part in enumerate(parts):
        if part.text and (not unknown or number >= SAMPLED_FILES):
            yield {}
            continue
        with readable(part.path, part.separator):
            schema = part.frame.collect_schema()
            if not part.text:
                typed = {name: dtype for name, dtype in schema.items() if dtype != pl.Null}
                yield {name: column_kind(dtype) for name, dtype in typed.items()}
                continue
            wanted = pl.selectors.by_name(unknown & set(schema.names()))
            head = part.frame.head(HEAD_ROWS).select(wanted).collect()
        found = guesses(head, dialect)
        unknown -= found.keys()
        yield found


def types_of(parts: Sequence[Part]) -> dict[str, dict[Any, str]]:
    """Find each column's types, but for Null, and the first file of each."""
    found: dict[str, dict[Any, str]] = {}
    for part in parts:
        with readable(part.path, part.separator):
            schema = part.frame.collect_schema()
        for name, dtype in schema.items():
            if dtype != pl.Null:
                found.setdefault(name, {}).setdefault(dtype, part.label)
    return found
