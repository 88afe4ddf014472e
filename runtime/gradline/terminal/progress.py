"""Progress on stderr, for what takes longer than a second: a live line, or plain ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from gradline.formatting import number
from gradline.terminal.live import bar, can_draw, draw, sparkline, wipe
from gradline.terminal.output import tell

__all__ = ["Progress"]

PATIENCE = 1.0  # seconds before a line is printed
LIVE_PATIENCE = 0.5  # before one is drawn
PLAIN_EVERY = 5.0  # seconds between lines where stderr is no terminal
DRAWN_EVERY = 0.1  # where it is one
MOST_POINTS = 512  # of the loss curve that are kept
NAMES = {  # of one and of many
    "rows": ("row", "rows"),
    "passes": ("pass for λmax", "passes for λmax"),
    "epochs": ("epoch", "epochs"),
}


class Progress:
    """Shows how many rows, passes or epochs are done, how many a second, and the loss.

    Use it as a context manager and call it with (stage, count).

    Args:
        quiet: Whether nothing is to be shown.
        at_first: Called before the first count is shown, when the work is under way.
    """

    def __init__(self, *, quiet: bool = False, at_first: Callable[[], None] | None = None) -> None:
        self._quiet = quiet
        self._at_first = at_first
        self._live = not quiet and can_draw()
        self._stage, self._count, self._before = "", 0, 0
        self._started = self._told = self._due = 0.0
        self._expected: dict[str, int] = {}
        self._curve: list[float] = []
        self._loss = math.nan
        self._stride, self._skipped = 1, 0

    def expect(self, stage: str, count: int) -> None:
        """Note about how many of the stage's units there are to be; of epochs, at most."""
        self._expected[stage] = count

    def note(self, text: str) -> None:
        """Tell of what makes the job take longer than it might."""
        if not self._quiet:
            tell(f"Note: {text}")

    def loss(self, value: float) -> None:
        """Note the loss of the epoch that is told of next."""
        self._loss = value
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        self._curve.append(math.log(value) if 0 < value < math.inf else math.nan)
        if len(self._curve) > MOST_POINTS:  # half of them show the same curve
            self._curve = self._curve[::2]
            self._stride *= 2

    def __call__(self, stage: str, count: int) -> None:
        """Note that `count` of the stage's units are done."""
        if self._at_first is not None:
            self._at_first()
            self._at_first = None
        if self._quiet:
            return
        now = time.monotonic()
        if stage != self._stage or count < self._count:  # another stage, or another pass
            self._begin(stage, count, now)
        self._count, self._told = count, now
        if now < self._due:
            return
        facts = self._facts(count, now - self._started)
        if self._live:
            self._due = now + DRAWN_EVERY
            draw(self._graph(count), facts)
        else:
            self._due = now + PLAIN_EVERY
            tell(", ".join(facts))

    def _begin(self, stage: str, count: int, now: float) -> None:
        """Note that a stage has begun: the first by now, another when the one before it ended."""
        first, self._stage = not self._stage, stage
        self._started, self._before = (now, count) if first else (self._told, 0)
        if first or not self._live:  # else the line that is there goes on
            self._due = now + (LIVE_PATIENCE if self._live else PATIENCE)

    def _facts(self, count: int, seconds: float) -> list[str]:
        """Return what there is to say, the most important first."""
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

    def _graph(self, count: int) -> str:
        """Return the curve of the loss, or how much of the stage is done where that is known."""
        if self._stage == "epochs":
            return sparkline([height for height in self._curve if not math.isnan(height)])
        expected = self._expected.get(self._stage, 0)
        return bar(min(count / expected, 1.0)) if expected else ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        wipe()


def _duration(seconds: float) -> str:
    for unit, size, most in (("s", 1, 180), ("min", 60, 180 * 60)):
        if seconds < most:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{math.ceil(seconds / 3600):,} h"
