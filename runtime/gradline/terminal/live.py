"""One line of a terminal that is written over again and again, on stderr.

It is made of a carriage return and spaces alone: the cursor is never hidden and the terminal never
left in another state, however the process ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from gradline.terminal.output import before_printing

__all__ = ["bar", "can_draw", "draw", "sparkline", "wipe"]

LEVELS = "▁▂▃▄▅▆▇█"
DONE, OPEN = "━", "╌"
GRAPH = 24  # columns of a bar or a curve

_drawn = False


def can_draw() -> bool:
    """Return whether stderr is a terminal that can write over a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def draw(graph: str, facts: Sequence[str]) -> None:
    """Write the graph and the facts over the line: as many as there is room for, the first first.

    Args:
        graph: Left out first, also where the terminal's encoding lacks its characters.
        facts: Of the line, by importance.
    """
    global _drawn
    room = _columns() - 1
    text = facts[0]
    for fact in facts[1:]:
        if len(text) + 2 + len(fact) > room:
            break
        text += f", {fact}"
    if graph and len(graph) + 2 + len(text) <= room and _encodes(graph):
        text = f"{graph}  {text}"
    _drawn = True
    _write("\r" + text[:room].ljust(room))


def wipe() -> None:
    """Leave the line blank, for what is printed next."""
    global _drawn
    if _drawn:
        _drawn = False
        _write("\r" + " " * (_columns() - 1) + "\r")


def bar(share: float) -> str:
    """Return a bar of which a share, 0 to 1, is done."""
    done = round(GRAPH * share)
    return DONE * done + OPEN * (GRAPH - done)


def sparkline(heights: Sequence[float]) -> str:
    """Return a curve of at most GRAPH columns through heights that are evenly spaced."""
    if len(heights) > GRAPH:
        last = len(heights) - 1
        heights = [heights[round(k * last / (GRAPH - 1))] for k in range(GRAPH)]
    least = min(heights, default=0.0)
    span = max(heights, default=0.0) - least or 1.0
    return "".join(LEVELS[round((h - least) / span * (len(LEVELS) - 1))] for h in heights)


before_printing.append(wipe)


def _columns() -> int:
    try:
        return max(os.get_terminal_size(sys.stderr.fileno()).columns, 20)
    except (OSError, ValueError):
        return 80


def _encodes(text: str) -> bool:
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def _write(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it any more
        sys.stderr.write(text)
        sys.stderr.flush()
