"""Progress on stderr, for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from gradline.terminal import tell

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["Progress"]

PATIENCE = 1.0  # seconds before anything is shown
PLAIN_EVERY = 5.0  # seconds between lines where stderr is no terminal


class Progress:
    """Shows how many rows or epochs are done, and how many a second.

    Use it as a context manager and call it with (stage, count).
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._stage = ""
        self._started = self._due = 0.0
        self._expected: dict[str, int] = {}
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def expect(self, stage: str, count: int) -> None:
        """Note about how many of the stage's units there are to be."""
        self._expected[stage] = count

    def note(self, text: str) -> None:
        """Tell of what makes the job take longer than it might."""
        if not self._quiet:
            tell(f"Note: {text}")

    def __call__(self, stage: str, count: int) -> None:
        """Note that `count` of the stage's units are done."""
        if self._quiet:
            return
        now = time.monotonic()
        if stage != self._stage:
            self._end()
            self._stage, self._started, self._due = stage, now, now + PATIENCE
        if now < self._due:
            return
        rate = count / (now - self._started)
        text = f"{count:,} {stage}, {rate:,.0f}/s"
        left = (self._expected.get(stage, 0) - count) / max(rate, 1e-9)
        if left > 0:
            text += f", about {left:,.0f} s left"
        if sys.stderr.isatty():
            self._draw(text)
        else:
            self._due = now + PLAIN_EVERY
            tell(text)

    def _draw(self, text: str) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress as Bar
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(text)
        assert self._task is not None  # noqa: S101 - made with the bar
        self._bar.update(self._task, description=text)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
