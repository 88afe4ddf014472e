"""Report progress on stderr once a job takes longer than a second."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gradline.formatting import number
from gradline.terminal.output import before_printing, is_styled, tell

if TYPE_CHECKING:
    from gradline.terminal.live import LiveLine

PATIENCE = 1.0  # seconds before the first plain line
LIVE_PATIENCE = 0.5  # before the live line
PLAIN_EVERY = 5.0  # seconds between plain lines
DRAWN_EVERY = 0.1  # between two drawings of the live line
NAMES = {  # singular and plural
    "rows": ("row", "rows"),
    "passes": ("pass for λmax", "passes for λmax"),
    "epochs": ("epoch", "epochs"),
}


class ProgressDisplay:
    """Show how many rows, passes or epochs are done, their rate, and the loss.

    A terminal gets a line that is redrawn, if rich is installed; anything else gets plain lines.
    `at_first` is called once, before the first count is shown.
    """

    def __init__(self, *, quiet: bool = False, at_first: Callable[[], None] | None = None) -> None:
        self._quiet = quiet
        self._at_first = at_first
        self._is_live = (
            sys.stderr.isatty() and is_styled(sys.stderr) and find_spec("rich") is not None
        )
        self._line: LiveLine | None = None
        self._stage, self._count, self._before = "", 0, 0
        self._started = self._last_call = self._due = 0.0
        self._expected: dict[str, int] = {}
        self._loss = math.nan
        self._curve: list[float] = []  # the logarithm of the loss at each drawing

    def expect(self, stage: str, count: int) -> None:
        """Set about how many units a stage has; for epochs, at most."""
        self._expected[stage] = count

    def note(self, text: str) -> None:
        """Print a remark on why the job takes longer than it might."""
        if not self._quiet:
            tell(f"Note: {text}")

    def loss(self, value: float) -> None:
        """Set the loss of the epoch that is counted next."""
        self._loss = value

    def __call__(self, stage: str, count: int) -> None:
        """Report that `count` of the stage's units are done."""
        if self._at_first is not None:
            self._at_first()
            self._at_first = None
        if self._quiet:
            return
        now = time.monotonic()
        if stage != self._stage or count < self._count:  # another stage, or another pass
            self._begin(stage, count, now)
        self._count, self._last_call = count, now
        if now < self._due:
            return
        facts = ", ".join(self._facts(count, now - self._started))
        if self._is_live:
            self._due = now + DRAWN_EVERY
            self._draw(facts)
        else:
            self._due = now + PLAIN_EVERY
            tell(facts)

    def _begin(self, stage: str, count: int, now: float) -> None:
        is_first, self._stage = not self._stage, stage
        self._started, self._before = (now, count) if is_first else (self._last_call, 0)
        if is_first or not self._is_live:  # a live line just goes on
            self._due = now + (LIVE_PATIENCE if self._is_live else PATIENCE)

    def _facts(self, count: int, seconds: float) -> list[str]:
        facts = [f"{count:,} {NAMES[self._stage][count != 1]}"]
        if self._stage == "epochs" and not math.isnan(self._loss):
            facts.append(f"loss {number(self._loss)}")
        if count > self._before and seconds > 0:
            rate = (count - self._before) / seconds
            facts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
            left = (self._expected.get(self._stage, 0) - count) / rate
            if left > 0:
                about = "at most" if self._stage == "epochs" else "about"
                facts.append(f"{about} {_duration(left)} left")
        return facts

    def _draw(self, facts: str) -> None:
        if self._line is None:
            from gradline.terminal.live import LiveLine

            self._line = LiveLine()
            before_printing.append(self._line.wipe)
        if self._stage != "epochs":
            expected = self._expected.get(self._stage, 0)
            self._line.redraw(facts, share=min(self._count / expected, 1.0) if expected else None)
            return
        if 0 < self._loss < math.inf:
            self._curve.append(math.log(self._loss))
        self._line.redraw(facts, curve=self._curve)

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.wipe()
            before_printing.remove(self._line.wipe)
            self._line = None


def _duration(seconds: float) -> str:
    for unit, size, most in (("s", 1, 180), ("min", 60, 180 * 60)):
        if seconds < most:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{math.ceil(seconds / 3600):,} h"
