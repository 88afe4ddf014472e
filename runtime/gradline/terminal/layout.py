"""What a command prints, before it is known whether a terminal or a program reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradline.terminal.printable import printable

__all__ = ["Facts", "Heading", "Part", "Table", "Verbatim", "aligned", "as_text"]


class Heading(str):
    """A line above what belongs together."""


class Verbatim(str):
    """A line to be copied, which no terminal may break."""


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of them the head; the first column to the left, others right.

    Attributes:
        rows: All of the same length.
        indent: Spaces before each line.
    """

    rows: Sequence[Sequence[str]]
    indent: int = 2


@dataclass(frozen=True)
class Facts:
    """Lines of a label and a text.

    Attributes:
        pairs: Label and text.
        width: Of the labels, at least.
        gap: Spaces between label and text.
    """

    pairs: Sequence[tuple[str, str]]
    width: int = 9
    gap: int = 2

    @property
    def start(self) -> int:
        """Where a text starts in its line."""
        return 2 + max([self.width, *(len(name) for name, _ in self.pairs)]) + self.gap


Part = str | Heading | Verbatim | Table | Facts  # a mere str is a line of prose


def as_text(parts: Sequence[Part]) -> str:
    """Return the parts as text, one line a line whatever its length."""
    return "\n".join(line for part in parts for line in _lines(part))


def _lines(part: Part) -> list[str]:
    if isinstance(part, Table):
        return aligned([[*map(printable, row)] for row in part.rows], " " * part.indent)
    if isinstance(part, Facts):
        pairs = [(printable(name), printable(text)) for name, text in part.pairs]
        return [f"  {name}".ljust(part.start) + text for name, text in pairs]
    return [printable(part)]


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Return rows of cells as lines, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        indent
        + "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
