"""Render what a command prints with rich: in the terminal's width, with rules and colours."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from gradline.terminal.layout import Element, Facts, Grid, Heading, Verbatim
from gradline.terminal.printable import printable

NARROWEST = 20  # columns; narrower terminals wrap lines by themselves
#: Options to paste, at the end of a text or with a quoted value: broken, a part would run alone.
PASTED = re.compile(r"\((?:(?:-f|--[a-z-]+)(?: (?:'.*?'|[^' ]+?))? ?)+\)$|--[a-z-]+ '[^']*'")
HELD = "\ue000"  # a space at which no line is broken
SPACE = re.compile(" (?!%)")  # at which a head is wrapped


def colored(text: str, color: str) -> str:
    """Return the text in bold letters of a color."""
    return Style(color=color, bold=True).render(text, color_system=ColorSystem.STANDARD)


def as_styled(parts: Sequence[Element], width: int, *, color: bool) -> str:
    """Render the parts as text with a terminal's escape codes, `width` columns wide."""
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


def _renderables(part: Element, console: Console) -> Iterator[RenderableType]:
    if isinstance(part, Grid):
        yield from _tables(part, console.width - part.indent)
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
    first, *words = PASTED.sub(lambda found: found[0].replace(" ", HELD), text).split(" ")
    lines = [first]
    for word in words:
        longer = f"{lines[-1]} {word}"
        if cell_len(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return [line.replace(HELD, " ") for line in lines]


def _tables(grid: Grid, room: int) -> Iterator[RenderableType]:
    """Yield tables: one, or several with the same first column if the grid is too wide.

    Before that, columns move closer, heads are wrapped, and so is the first column, between words
    alone as long as a word takes no more than half of the room.
    """
    columns = [[printable(cell) for cell in column] for column in zip(*grid.rows, strict=True)]
    widths = [max(map(cell_len, column)) for column in columns]
    gap = 2
    groups = [range(1, len(columns))]
    if sum(widths) + gap * (len(columns) - 1) > room:
        gap = 1
        widths = [max(map(cell_len, (*SPACE.split(head), *cells))) for head, *cells in columns]
        excess = sum(widths) + gap * (len(columns) - 1) - room
        longest = max(cell_len(word) for cell in columns[0] for word in cell.split(" "))
        widths[0] = min(widths[0], max(min(longest, room // 2), widths[0] - excess))
        groups = _groups([width + gap for width in widths], room + gap)
    for group in groups:
        if group.start > 1:
            yield Text()
        places = (0, *group)
        table = _table([columns[j] for j in places], [widths[j] for j in places], gap)
        yield Padding(table, (0, 0, 0, grid.indent))


def _groups(widths: Sequence[int], room: int) -> list[range]:
    """Deal the columns after the first to tables, in order and as many to each as fit."""
    groups, start, used = [], 1, widths[0]
    for column, width in enumerate(widths[1:], 1):
        if column > start and used + width > room:
            groups.append(range(start, column))
            start, used = column, widths[0]
        used += width
    return [*groups, range(start, len(widths))]


def _table(columns: Sequence[Sequence[str]], widths: Sequence[int], gap: int) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
        header_style="bold",
    )
    for place, ((head, *_), width) in enumerate(zip(columns, widths, strict=True)):
        table.add_column(
            Text(head),
            overflow="fold",
            justify="right" if place else "left",
            vertical="bottom",
            max_width=width,
        )
    for row in zip(*(cells for _, *cells in columns), strict=True):
        table.add_row(*map(Text, row))
    return table
