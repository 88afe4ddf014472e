"""The parts of what a command prints, and their plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradline.terminal.printable import printable


class Heading(str):
    """A line above a group of others."""


class Verbatim(str):
    """A line to copy, which is never wrapped."""


@dataclass(frozen=True)
class Grid:
    """Rows of cells, the head first: the first column to the left, the others to the right."""

    rows: Sequence[Sequence[str]]
    indent: int = 2  # spaces before each line


@dataclass(frozen=True)
class Facts:
    """Lines of a label and a text."""

    pairs: Sequence[tuple[str, str]]
    width: int = 9  # the least one of the labels
    gap: int = 2  # between label and text

    @property
    def start(self) -> int:
        """The column at which the texts start."""
        return 2 + max([self.width, *(len(name) for name, _ in self.pairs)]) + self.gap


Element = str | Heading | Verbatim | Grid | Facts  # a plain str is a line of prose


def as_text(parts: Sequence[Element]) -> str:
    """Write the parts as plain text, without wrapping any line."""
    return "\n".join(line for part in parts for line in _lines(part))


def _lines(part: Element) -> list[str]:
    if isinstance(part, Grid):
        return aligned([[*map(printable, row)] for row in part.rows], " " * part.indent)
    if isinstance(part, Facts):
        pairs = [(printable(name), printable(text)) for name, text in part.pairs]
        return [f"  {name}".ljust(part.start) + text for name, text in pairs]
    return [printable(part)]


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Align rows of cells: the first column to the left, the others to the right."""
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        figures = [cell.rjust(width) for cell, width in zip(cells, others, strict=True)]
        lines.append(indent + "  ".join([name.ljust(first), *figures]).rstrip())
    return lines
