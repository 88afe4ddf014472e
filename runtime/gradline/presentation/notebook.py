"""Write the parts of a text (see `gradline.terminal.layout`) as HTML for a notebook.

It sets no colour, so that it fits a light and a dark notebook, and has no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gradline.terminal.layout import Element, Facts, Grid, Heading, Verbatim
from gradline.terminal.printable import printable

LEFT = "text-align:left;vertical-align:top;padding:1px 10px 1px 0"
RIGHT = "text-align:right;vertical-align:top;padding:1px 0 1px 14px;white-space:nowrap"
WRAPPED = f"{LEFT};white-space:normal;overflow-wrap:anywhere;max-width:44em"
TABLE = "border-collapse:collapse;margin:2px 0 6px 0"


def as_html(parts: Sequence[Element]) -> str:
    """Write the parts as HTML."""
    return f"<div>{''.join(map(_written, parts))}</div>"


def _written(part: Element) -> str:
    if isinstance(part, Grid):
        head, *rows = part.rows
        return _table([_row(head, "th"), *(_row(row, "td") for row in rows)])
    if isinstance(part, Facts):
        pairs = [f"{_cell(n, 'td', LEFT)}{_cell(text, 'td', WRAPPED)}" for n, text in part.pairs]
        return _table([f"<tr>{pair}</tr>" for pair in pairs])
    text = escape(printable(part.strip()))
    if not text:
        return ""
    if isinstance(part, Verbatim):
        return f"<pre>{text}</pre>"
    return (
        f"<div><strong>{text}</strong></div>" if isinstance(part, Heading) else f"<div>{text}</div>"
    )


def _table(rows: Sequence[str]) -> str:
    table = f'<table style="{TABLE}">{"".join(rows)}</table>'
    return f'<div style="overflow-x:auto">{table}</div>'  # a narrow window scrolls


def _row(cells: Sequence[str], tag: str) -> str:
    name, *figures = cells
    written = [_cell(name, tag, LEFT), *(_cell(cell, tag, RIGHT) for cell in figures)]
    return f"<tr>{''.join(written)}</tr>"


def _cell(text: str, tag: str, style: str) -> str:
    # A right-to-left name must not reorder the figures beside it.
    return f'<{tag} style="{style}"><bdi>{escape(printable(text))}</bdi></{tag}>'
