"""What a command prints, as a terminal shows it: in its width, with rules and colours."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from gradline.terminal.layout import Facts, Heading, Part, Table, Verbatim
from gradline.terminal.printable import printable

__all__ = ["as_styled"]

NARROWEST = 20  # columns of a terminal that lines are still broken for
SPACE = re.compile(" (?!%)")  # at which a head may be broken
NAME = 12  # columns that a table's names keep where it is too wide


def as_styled(parts: Sequence[Part], width: int, *, color: bool) -> str:
    """Return the parts with the escape codes of a terminal.

    Args:
        parts: What to print.
        width: Of the terminal, in columns.
        color: Whether it may have colours and bold letters.
    """
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(width, NARROWEST),
        force_terminal=True,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
    )
    for part in parts:
        for item in _renderables(part, console):
            console.print(item, soft_wrap=isinstance(item, Text))
    text = out.getvalue()
    return "\n".join(line.rstrip() for line in text.splitlines())


def _renderables(part: Part, console: Console) -> Iterator[RenderableType]:
    if isinstance(part, Table):
        rows = [[*map(printable, row)] for row in part.rows]
        yield from _grids(Table(rows, part.indent), console.width)
    elif isinstance(part, Facts):
        for name, text in part.pairs:
            head = Text(
                f"  {printable(name)}".ljust(part.start), "yellow" if name == "warning" else "cyan"
            )
            yield from _broken(head, printable(text), console)
    elif isinstance(part, Heading):
        yield from _broken(Text(), printable(part), console, "bold")
    elif isinstance(part, Verbatim):
        yield Text(printable(part))
    else:
        text = printable(part).lstrip(" ")
        yield from _broken(Text(part[: len(part) - len(text)]), text, console)


def _broken(head: Text, text: str, console: Console, style: str = "") -> Iterator[Text]:
    """Yield the lines of a text behind its head; a word longer than a line stays whole."""
    start = head.cell_len
    if start > console.width // 2:  # the head has a line of its own
        yield head
        start = 4
        head = Text(" " * start)
    for line in _lines(text, console.width - start):
        yield Text.assemble(head, (line, style))
        head = Text(" " * start)


def _lines(text: str, room: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_len(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _grids(table: Table, width: int) -> Iterator[RenderableType]:
    """Yield the table, or its columns in as many tables as fit, each with the names (as R does).

    Before that the words of its head stand below each other, and names are broken.
    """
    room = width - table.indent
    widths = [_width(column) for column in zip(*table.rows, strict=True)]
    gap = 2 if sum(widths) + 2 * (len(widths) - 1) <= room else 1
    excess = sum(widths) + gap * (len(widths) - 1) - room
    widths[0] = min(widths[0], max(NAME, widths[0] - excess))
    groups: list[list[int]] = [[]]
    left = room - widths[0]
    for column, cells in enumerate(widths[1:], 1):
        if groups[-1] and cells + gap > left:
            groups.append([])
            left = room - widths[0]
        groups[-1].append(column)
        left -= cells + gap
    for place, columns in enumerate(groups):
        if place:
            yield Text()
        grid = _grid(table.rows, [0, *columns], [widths[j] for j in (0, *columns)], gap)
        yield Padding(grid, (0, 0, 0, table.indent))


def _width(column: Sequence[str]) -> int:
    return max(map(cell_len, (*column[1:], *SPACE.split(column[0]))))


def _grid(
    rows: Sequence[Sequence[str]], columns: Sequence[int], widths: Sequence[int], gap: int
) -> Grid:
    grid = Grid(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
        header_style="bold",
    )
    for column, width in zip(columns, widths, strict=True):
        grid.add_column(
            Text(rows[0][column]),
            overflow="fold",
            justify="right" if column else "left",
            vertical="bottom",
            max_width=width if gap == 1 else None,
        )
    for row in rows[1:]:
        grid.add_row(*(Text(row[column]) for column in columns))
    return grid
