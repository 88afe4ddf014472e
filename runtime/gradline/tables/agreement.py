"""Agreement of a table's files: only the columns in use must be the same in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradline.errors import InputError
from gradline.tables.parts import Part, mixed_schemas

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
        having = {name: part.label for part in reversed(parts) for name in part.names}
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
            lacking,
            differing,
            repeated,
        )

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
