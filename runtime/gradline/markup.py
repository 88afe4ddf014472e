"""HTML for notebooks: escaped, without scripts, in the page's own colours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

LEFT = "text-align: left; white-space: pre-wrap"
RIGHT = "text-align: right; white-space: nowrap"


def block(title: str, *parts: str) -> str:
    """Put parts of HTML below a title, which is text."""
    return f"<div><p><strong>{escape(title)}</strong></p>{''.join(parts)}</div>"


def paragraph(text: str) -> str:
    """Write text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def equations(sides: Sequence[tuple[str, str]]) -> str:
    """Write the sides of equations, their equals signs below each other."""
    rows = "".join(
        f'<tr><td style="{LEFT}">{escape(left)}</td><td style="{LEFT}">= {escape(right)}</td></tr>'
        for left, right in sides
    )
    return f"<table>{rows}</table>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table: the first column is names, the others are figures."""
    styles = [LEFT, *[RIGHT] * (len(head) - 1)]

    def line(cells: Sequence[str], tag: str) -> str:
        pairs = zip(cells, styles, strict=True)
        inner = (f'<{tag} style="{style}">{escape(cell)}</{tag}>' for cell, style in pairs)
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"
