"""Render what a command prints with rich: in the terminal's width, with rules and colours."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table as Grid
from rich.text import Text

from gradline.terminal.layout import Facts, Heading, Part, Table, Verbatim
from gradline.terminal.printable import printable

__all__ = ["as_styled", "colored"]

NARROWEST = 20  # columns; narrower terminals wrap lines by themselves
NAMES = 12  # columns that a table's first column keeps if the table is too wide
GAP = 2  # columns between two of a table


def colored(text: str, color: str) -> str:
    """Return the text in bold letters of a color."""
    return Style(color=color, bold=True).render(text, color_system=ColorSystem.STANDARD)


def as_styled(parts: Sequence[Part], width: int, *, color: bool) -> str:
    """Render the parts as text with a terminal's escape codes.

    Args:
        parts: What to print.
        width: Columns of the terminal.
        color: Allow colours and bold letters.
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
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _renderables(part: Part, console: Console) -> Iterator[RenderableType]:
    if isinstance(part, Table):
        yield from _grids(part, console.width - part.indent)
    elif isinstance(part, Facts):
        for name, text in part.pairs:
            style = "yellow" if name == "warning" else "cyan"
            head = Text(f"  {printable(name)}".ljust(part.start), style)
            yield from _wrapped(head, printable(text), console)
    elif isinstance(part, Verbatim):
        yield Text(printable(part))
    else:
        text = printable(part).lstrip(" ")
        indent = Text(" " * (len(part) - len(text)))
        style = "bold" if isinstance(part, Heading) else ""
        yield from _wrapped(indent, text, console, style)


def _wrapped(head: Text, text: str, console: Console, style: str = "") -> Iterator[Text]:
    """Wrap a text behind its head; a word longer than a line stays whole, unlike rich's."""
    start = head.cell_len
    if start > console.width // 2:  # the head gets a line of its own
        yield head
        start = 4
        head = Text(" " * start)
    for line in _lines(text, console.width - start):
        yield Text.assemble(head, (line, style))
        head = Text(" " * start)


def _lines(text: str, room: int) -> list[str]:
    first, *words = text.split(" ")
    lines = [first]
    for word in words:
        longer = f"{lines[-1]} {word}"
        if cell_len(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _grids(table: Table, room: int) -> Iterator[RenderableType]:
    """Yield the table, split by columns if it is too wide; each part repeats the first column.

    Before that, heads are wrapped at their spaces and the first column is narrowed.
    """
    columns = [[printable(cell) for cell in column] for column in zip(*table.rows, strict=True)]
    natural = [max(map(cell_len, column)) for column in columns]
    if sum(natural) + GAP * (len(columns) - 1) <= room:
        groups, widths = [list(range(1, len(columns)))], natural
    else:
        widths = [max(map(cell_len, (*head.split(), *cells))) for head, *cells in columns]
        excess = sum(widths) + GAP * (len(columns) - 1) - room
        widths[0] = min(widths[0], max(NAMES, widths[0] - excess))
        groups = _groups(widths, room)
    for place, group in enumerate(groups):
        if place:
            yield Text()
        grid = _grid([columns[j] for j in (0, *group)], [widths[j] for j in (0, *group)])
        yield Padding(grid, (0, 0, 0, table.indent))


def _groups(widths: Sequence[int], room: int) -> list[list[int]]:
    """Deal the columns after the first to as few grids as have room for them, in order."""
    groups: list[list[int]] = [[]]
    left = room - widths[0]
    for column, width in enumerate(widths[1:], 1):
        if groups[-1] and width + GAP > left:
            groups.append([])
            left = room - widths[0]
        groups[-1].append(column)
        left -= width + GAP
    return groups


def _grid(columns: Sequence[Sequence[str]], widths: Sequence[int]) -> Grid:
    grid = Grid(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        header_style="bold",
    )
    for place, ((head, *_), width) in enumerate(zip(columns, widths, strict=True)):
        grid.add_column(
            Text(head),
            overflow="fold",
            justify="right" if place else "left",
            vertical="bottom",
            max_width=width,
        )
    for row in zip(*(cells for _, *cells in columns), strict=True):
        grid.add_row(*map(Text, row))
    return grid
