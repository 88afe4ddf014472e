"""Draw a chart as inline SVG, in the page's own fonts and colours, light or dark.

Text can't be measured here, so the margins assume wide letters.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from gradline.formatting import LETTERS, isolated, scientific
from gradline.terminal.printable import for_page
from gradline_export.report.figures import moment_of

Array = NDArray[np.float64]
SIZE = 9  # of the letters, in the chart's units
SCALE = 1.3  # pixels for each unit, if there is room
WIDE, WIDEST = 0.62, 1.3  # a letter's width, and an East Asian one's, as shares of its size
GAP = 5  # between ticks and their texts
TICKS = 6  # about the most
TIME_TICKS = {"h": 4, "D": 4, "M": 5, "Y": 6}  # by unit: the longer the texts, the fewer
MARKED = 9_999.5  # thousands are marked from here on
#: Steps of an axis of times: in seconds, and as a number of NumPy's units.
TIME_STEPS = (
    *((3600 * n, "h", n) for n in (1, 3, 6, 12)),
    *((86_400 * n, "D", n) for n in (1, 2, 7, 14)),
    *((2_629_800 * n, "M", n) for n in (1, 3, 6)),
    *((31_557_600 * n, "Y", n) for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)),
)


@dataclass(frozen=True)
class Axis:
    """An axis: its ends, its ticks with their texts, and a label."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]] = ()
    label: str = ""

    @classmethod
    def over(cls, values: Array, label: str, margin: float = 0.05) -> Axis:
        """Make an axis of numbers."""
        low, high = _ends(values, margin)
        least = 1.0 if (values % 1 == 0).all() else 0.0  # a year has no half
        return cls(low, high, ticks_between(low, high, least), label)

    @classmethod
    def of_times(cls, seconds: Array, label: str) -> Axis:
        """Make an axis of seconds since 1970-01-01, with dates at the ticks."""
        low, high = _ends(seconds, 0.05)
        return cls(low, high, time_ticks(low, high), label)


def _ends(values: Array, margin: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = margin * (high - low) or 0.5 * abs(high) or 1.0
    return low - room, high + room


def ticks_between(low: float, high: float, least: float = 0.0) -> list[tuple[float, str]]:
    """Choose round numbers between two limits, at least `least` apart, with their texts."""
    raw = max((high - low) / TICKS, least)
    decade = 10.0 ** math.floor(math.log10(raw))
    step = next(decade * m for m in (1, 2, 5, 10) if decade * m >= raw)
    places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    decimals = max(-math.floor(math.log10(step) + 1e-9), 0)
    return [(place * step, _written(place * step, decimals)) for place in places]


def _written(value: float, decimals: int) -> str:
    text = f"{value + 0.0:,.{decimals}f}" if abs(value) >= MARKED else f"{value + 0.0:.{decimals}f}"
    return text.replace("-", "−")


def time_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Choose round times between two limits in seconds, with short texts."""
    fitting = (s for s in TIME_STEPS if (high - low) / s[0] <= TIME_TICKS[s[1]])
    _, unit, count = next(fitting, TIME_STEPS[-1])
    first, last = (np.datetime64(math.floor(end), "s") for end in (low, high))
    start = first.astype(f"datetime64[{unit}]").astype(np.int64)
    end = last.astype(f"datetime64[{unit}]").astype(np.int64)
    offset = 1970 if unit == "Y" else 0  # round years, not years since 1970
    start = -(-(start + offset) // count) * count - offset
    moments = np.arange(start, end + 1, count).astype(f"datetime64[{unit}]")
    found = []
    for moment in moments:
        seconds = float(moment.astype("datetime64[s]").astype(np.int64))
        text = moment_of(seconds)[5:] if unit == "h" else str(moment)
        if low <= seconds <= high:
            found.append((seconds, text))
    return found


def width_of(text: str) -> float:
    """Estimate the width of a text, in the chart's units."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return SIZE * (WIDE * (len(text) - wide) + WIDEST * wide)


def short(name: str) -> str:
    """Shorten a name for the edge of a chart."""
    return isolated(name if len(name) <= LETTERS_BESIDE else name[: LETTERS_BESIDE - 1] + "…")


LETTERS_BESIDE = min(24, LETTERS)


@dataclass
class Chart:
    """A chart with two axes, on which marks are drawn.

    Attributes:
        name: Unique in the page; it starts the identifiers.
        title: What screen readers say.
        x: The axis across.
        y: The axis upwards.
        width, height: In units; a unit is 1.3 pixels if there is room.
        frame: Whether to draw the axes' lines.
        turned: Whether to turn the texts below, which long names need.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    width: float = 320
    height: float = 230
    frame: bool = True
    turned: bool = False
    parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        below = max((width_of(text) for _, text in self.x.ticks), default=0.0)
        self.left = GAP + max((width_of(text) for _, text in self.y.ticks), default=0.0) + 4
        self.left += 14 if self.y.label else 0
        self.right = self.width - (4 if self.turned else 4 + below / 2)
        self.top = 6.0
        under = below + GAP if self.turned else SIZE + GAP
        self.bottom = self.height - under - (14 if self.x.label else 4)

    def across(self, values: Array) -> Array:
        """Place values on the axis across."""
        span = self.right - self.left
        return self.left + span * (values - self.x.low) / (self.x.high - self.x.low)

    def up(self, values: Array) -> Array:
        """Place values on the axis upwards."""
        span = self.bottom - self.top
        return self.bottom - span * (values - self.y.low) / (self.y.high - self.y.low)

    def line(
        self, x: Sequence[float] | Array, y: Sequence[float] | Array, colour: str = "accent",
        *, width: float = 1.5, dashed: bool = False,
    ) -> None:  # fmt: skip
        """Draw a line through points."""
        style = f"fill: none; stroke: var(--{colour}); stroke-width: {width:g}"
        dash = "; stroke-dasharray: 4 2" if dashed else ""
        pairs = zip(*self._places(x, y), strict=True)
        path = "M" + "L".join(f"{a} {b}" for a, b in pairs)
        self.parts.append(f'<path d="{path}" style="{style}{dash}"/>')

    def points(
        self, x: Sequence[float] | Array, y: Sequence[float] | Array, colour: str = "accent",
        *, size: float = 4, alpha: float = 1.0,
    ) -> None:  # fmt: skip
        """Draw points, all of them as one path."""
        style = (
            f"fill: none; stroke: var(--{colour}); stroke-width: {size:g}; stroke-linecap: round"
        )
        faint = f"; opacity: {alpha:g}" if alpha < 1 else ""
        path = "".join(f"M{a} {b}h0" for a, b in zip(*self._places(x, y), strict=True))
        self.parts.append(f'<path d="{path}" style="{style}{faint}"/>')

    def cells(
        self, across: tuple[Array, Array], up: tuple[Array, Array], colour: str, alpha: float
    ) -> None:
        """Draw rectangles between pairs of ends, all of them as one path."""
        if not len(across[0]):
            return
        (left, right), (low, high) = map(self.across, across), map(self.up, up)
        top, bottom = np.minimum(low, high), np.maximum(low, high)
        corners = zip(*map(_written_all, (left, top, right - left, bottom - top)), strict=True)
        path = "".join(f"M{a} {b}h{w}v{h}h-{w}z" for a, b, w, h in corners)
        self.parts.append(f'<path d="{path}" style="fill: var(--{colour}); opacity: {alpha:g}"/>')

    def area(self, x: Array, low: Array, high: Array, colour: str, alpha: float) -> None:
        """Fill the area between two lines."""
        ends = np.append(x, x[::-1]), np.append(low, high[::-1])
        path = "M" + "L".join(f"{a} {b}" for a, b in zip(*self._places(*ends), strict=True)) + "z"
        self.parts.append(f'<path d="{path}" style="fill: var(--{colour}); opacity: {alpha:g}"/>')

    def text(self, x: float, y: float, text: str) -> None:
        """Write a short text, centred on a point."""
        (a,), (b,) = self._places([x], [y])
        self._write(a, float(b) + 3, text, "middle", "text")

    def drawn(self, names: str = "quiet") -> Markup:
        """Write the chart; `names` is the colour of the ticks' texts."""
        marks = "".join(self.parts)
        self.parts = []
        self._axes(names)
        size = f"width: {SCALE * self.width:g}px"
        title = f'<title id="{self.name}-title">{escape(for_page(self.title))}</title>'
        return Markup(  # noqa: S704 - every text is escaped
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" style="{size}; font-size: {SIZE}px"'
            f' role="img" aria-labelledby="{self.name}-title">{title}{"".join(self.parts)}{marks}'
            "</svg>"
        )

    def _axes(self, names: str) -> None:
        if self.frame:
            path = f"M{self.left:.1f} {self.top:.1f}V{self.bottom:.1f}H{self.right:.1f}"
            self.parts.append(f'<path d="{path}" style="fill: none; stroke: var(--line)"/>')
        for place, text in self.x.ticks:
            a = float(self.across(np.array(place)))
            if self.turned:
                turn = f'transform="rotate(-90 {a + 3:.1f} {self.bottom + GAP:.1f})"'
                self._write(a + 3, self.bottom + GAP, text, "end", names, turn)
            else:
                self._write(a, self.bottom + SIZE + GAP, text, "middle", "quiet")
        for place, text in self.y.ticks:
            b = float(self.up(np.array(place)))
            self._write(self.left - GAP, b + 3, text, "end", names)
        middle = (self.top + self.bottom) / 2
        if self.x.label:
            place = (self.left + self.right) / 2
            half = width_of(self.x.label) / 2
            place = max(min(place, self.width - half), half)
            self._write(place, self.height - 3, self.x.label, "middle", "quiet")
        if self.y.label:
            turn = f'transform="rotate(-90 9 {middle:.1f})"'
            self._write(9, middle, self.y.label, "middle", "quiet", turn)

    def _write(
        self, x: float | str, y: float, text: str, anchor: str, colour: str, more: str = ""
    ) -> None:
        a = x if isinstance(x, str) else f"{x:.1f}"
        style = f"text-anchor: {anchor}; fill: var(--{colour})"
        shown = escape(for_page(text))
        self.parts.append(f'<text x="{a}" y="{y:.1f}" style="{style}" {more}>{shown}</text>')

    def _places(
        self, x: Sequence[float] | Array, y: Sequence[float] | Array
    ) -> tuple[list[str], list[str]]:
        across = self.across(np.asarray(x, np.float64))
        return _written_all(across), _written_all(self.up(np.asarray(y, np.float64)))


def _written_all(values: Array) -> list[str]:
    """Write places to a tenth of a unit."""
    return [f"{value:.1f}".removesuffix(".0") for value in (values + 0.0).tolist()]


def decade_of(values: Array) -> float:
    """Choose a power of ten to divide numbers by, so that they are short."""
    most = float(np.abs(values).max(initial=0.0))
    place = math.floor(math.log10(most)) if most else 0
    return 1.0 if place in PLAIN else 10.0 ** max(place, -300)


PLAIN = range(-3, 6)  # decades written without an exponent


def times(decade: float) -> str:
    """Write the power of ten that an axis' numbers are divided by."""
    return "" if decade == 1 else f" (×{scientific(decade, 0)})"
