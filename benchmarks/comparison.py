"""What came of two things measured side by side, and the table of it.

A ratio is taken within each turn, and the median over the turns is what counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks.measure import Samples
from gradline.wording import aligned

__all__ = ["Comparison", "compare", "table"]


@dataclass(frozen=True)
class Comparison:
    """One line of the table.

    Attributes:
        what: What gradline does.
        peer: What it is measured against.
        seconds: Its median.
        peer_seconds: The peer's.
        ratio: The median over the turns of its time by the peer's.
        goal: The ratio not to be exceeded; None for a line that is only shown.
        turns: How often both were measured.
    """

    what: str
    peer: str
    seconds: float
    peer_seconds: float
    ratio: float
    goal: float | None
    turns: int

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.goal is None else self.ratio <= self.goal


def compare(samples: Samples, what: str, peer: str, goal: float | None = None) -> Comparison:
    """Return how two of the samples compare, by their names."""
    ours, theirs = samples[what], samples[peer]
    ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
    return Comparison(what, peer, median(ours), median(theirs), ratio, goal, len(ours))


def table(lines: list[Comparison]) -> list[str]:
    """Return the comparisons as aligned lines."""
    head = ["", "against", "ours", "peer", "ratio", "goal", "reached"]
    rows = [head, *map(_cells, lines)]
    width = max(len(row[1]) for row in rows)  # names of peers stand to the left, like ours
    return aligned([[row[0], row[1].ljust(width), *row[2:]] for row in rows])


def _cells(line: Comparison) -> list[str]:
    times = _time(line.seconds), _time(line.peer_seconds)
    goal = "" if line.goal is None else f"≤ {_ratio(line.goal)}"
    reached = {None: "", True: "yes", False: "NO"}[line.reached]
    return [line.what, line.peer, *times, _ratio(line.ratio), goal, reached]


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}×" if ratio >= 0.5 else f"1/{1 / ratio:.3g}"
