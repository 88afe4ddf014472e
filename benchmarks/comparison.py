"""Compare two things measured side by side, and print the table.

The ratio is the median over the turns of the ratio within each turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from statistics import median
from typing import Literal

from benchmarks.measure import Samples
from gradline.terminal.layout import aligned

__all__ = ["Comparison", "compare", "table"]


@dataclass(frozen=True)
class Comparison:
    """One line of the table.

    Attributes:
        what: What gradline does.
        peer: What it is compared with.
        ours: gradline's median; None if the two were not run.
        theirs: The peer's median.
        ratio: The median over the turns of ours / theirs.
        goal: The largest acceptable ratio; None if there is no goal.
        turns: How many turns both took.
        unit: Unit of the medians, seconds or bytes.
        error: Relative error of gradline's answer; None if all answers agree.
        peer_error: Relative error of the peer's answer.
        resolution: An error below this counts as none.
        note: Why the two were not run.
    """

    what: str
    peer: str
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    goal: float | None = None
    turns: int = 0
    unit: Literal["s", "B"] = "s"
    error: float | None = None
    peer_error: float | None = None
    resolution: float = 0.0
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached, at the peer's accuracy or better; None without one."""
        if self.goal is None or self.ratio is None:
            return None
        return self.ratio <= self.goal and self._as_accurate

    @property
    def _as_accurate(self) -> bool:
        if self.error is None or self.peer_error is None:
            return True
        return self.error <= max(self.peer_error, self.resolution)


def compare(
    samples: Samples,
    what: str,
    peer: str,
    goal: float | None = None,
    *,
    unit: Literal["s", "B"] = "s",
    error: float | None = None,
    peer_error: float | None = None,
    resolution: float = 0.0,
) -> Comparison:
    """Compare two of the samples, by their names, in the turns that both took."""
    ours, theirs = samples[what], samples[peer]
    ratios = [a / b for a, b in zip(ours, theirs, strict=False)]
    return Comparison(
        what=what,
        peer=peer,
        ours=median(ours),
        theirs=median(theirs),
        ratio=median(ratios),
        goal=goal,
        turns=len(ratios),
        unit=unit,
        error=error,
        peer_error=peer_error,
        resolution=resolution,
    )


def table(lines: list[Comparison]) -> list[str]:
    """Format the comparisons as aligned lines, without empty columns."""
    head = ["", "against", "ours", "peer", "ratio", "goal", "reached", "error", "its error", ""]
    cells = [_cells(line) for line in lines]
    shown = [any(column) for column in zip(*cells, strict=True)]
    rows = [list(compress(row, shown)) for row in (head, *cells)]
    width = max(len(row[1]) for row in rows)  # peers' names are left-aligned, like ours
    return aligned([[row[0], row[1].ljust(width), *row[2:]] for row in rows])


def _cells(line: Comparison) -> list[str]:
    quantity = _time if line.unit == "s" else _size
    amounts = ["" if x is None else quantity(x) for x in (line.ours, line.theirs)]
    ratio = "" if line.ratio is None else _ratio(line.ratio)
    goal = "" if line.goal is None else f"≤ {_ratio(line.goal)}"
    reached = {None: "", True: "yes", False: "NO"}[line.reached]
    errors = ["" if x is None else f"{x:.0e}" for x in (line.error, line.peer_error)]
    return [line.what, line.peer, *amounts, ratio, goal, reached, *errors, line.note]


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def _size(count: float) -> str:
    return f"{count / 1e6:.0f} MB"


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}×" if ratio >= 0.5 else f"1/{1 / ratio:.3g}"
