"""Redraw one line on stderr while a command works, with rich."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

LEVELS = "▁▂▃▄▅▆▇█"
GRAPH = 24  # columns of a bar or a curve
ROOM = 60  # columns of the narrowest terminal that gets a graph


class LiveLine:
    """A line that is redrawn in place and leaves no trace."""

    def __init__(self) -> None:
        self._console = _Console(file=sys.stderr)
        self._live: Live | None = None

    def redraw(self, facts: str, share: float | None = None, curve: Sequence[float] = ()) -> None:
        """Draw the facts behind a bar of the share done (0 to 1), or a curve, if there is room."""
        text = Text(facts, no_wrap=True, overflow="ellipsis")
        graph = self._graph(share, curve)
        line: RenderableType = text
        if graph is not None:
            line = Table.grid(Column(width=GRAPH), "", padding=(0, 2, 0, 0))
            line.add_row(graph, text)
        with contextlib.suppress(OSError):  # the terminal is gone
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True,
                                  redirect_stdout=False, redirect_stderr=False)  # fmt: skip
                self._live.start()
            self._live.update(line, refresh=True)

    def _graph(self, share: float | None, curve: Sequence[float]) -> RenderableType | None:
        if self._console.width < ROOM:
            return None
        if curve and not self._console.options.ascii_only:
            return Text(sparkline(curve))
        return None if share is None else ProgressBar(1.0, share, width=GRAPH)

    def wipe(self) -> None:
        """Remove the line, to make room for what is printed next."""
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(OSError):
                live.stop()


class _Console(Console):
    """A console that never hides the cursor: a killed process would leave it hidden."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


def sparkline(heights: Sequence[float]) -> str:
    """Draw evenly spaced heights as a curve of at most GRAPH columns."""
    if len(heights) > GRAPH:
        last = len(heights) - 1
        heights = [heights[round(k * last / (GRAPH - 1))] for k in range(GRAPH)]
    least = min(heights, default=0.0)
    span = max(heights, default=0.0) - least or 1.0
    return "".join(LEVELS[round((h - least) / span * (len(LEVELS) - 1))] for h in heights)
