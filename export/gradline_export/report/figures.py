"""Write figures as people read them: 2008 instead of 2008.029, dates instead of days."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradline.columns.calendar import DAY
from gradline.formatting import number, scientific

LEVEL = 95  # % of intervals
MOST_DECIMALS = 6
LARGE = 100  # whole numbers from here on have a whole mean


@dataclass(frozen=True)
class Estimate:
    """A coefficient with the ends of its interval; None without one."""

    value: float
    lower: float | None = None
    upper: float | None = None

    def times(self, step: float) -> Estimate:
        """Multiply it by a step of the term."""
        ends = (None if end is None else end * step for end in (self.lower, self.upper))
        return Estimate(self.value * step, *ends)


def with_ends(value: float, lower: float, upper: float) -> list[str]:
    """Write the absolute values of an estimate and its interval's ends, rounded to its width.

    An end that is not 0 is not rounded to 0.
    """
    width, sizes = upper - lower, [abs(value), abs(lower), abs(upper)]
    most = max(sizes)
    if not (0 < width < math.inf and width > most * 1e-12):
        return list(map(number, sizes))
    decimals = math.ceil(-math.log10(width / 5))
    if not 1e-3 <= most < 1e6:
        digits = max(decimals + math.floor(math.log10(most)), 1)
        return [scientific(size, digits) for size in sizes]
    decimals = max(decimals, 0)
    while decimals < MOST_DECIMALS and any(s and not round(s, decimals) for s in sizes):
        decimals += 1
    return [f"{size:,.{decimals}f}" for size in sizes]


def round_step(deviation: float) -> float:
    """Choose a step to describe a slope: 1, or a power of ten near the column's deviation."""
    if not deviation or not math.isfinite(deviation) or 0.1 <= deviation <= 100:
        return 1.0
    return float(10.0 ** math.floor(math.log10(deviation)))


def mean_of(found: Mapping[str, Any]) -> str:
    """Write a column's mean: a whole number if its values are large whole numbers."""
    mean, ends = found["mean"], (found["minimum"], found["maximum"])
    if abs(mean) >= LARGE and all(end is not None and float(end).is_integer() for end in ends):
        mean = float(round(mean))
    return unmarked(mean)


def unmarked(value: float | None) -> str:
    """Write a number; thousands are marked from 10,000 on, so that a year looks like one."""
    if value is None or abs(value) >= 1e6 or (value % 1 and abs(value) < 999.5):
        return number(value)
    return f"{value:.0f}" if abs(value) < 9_999.5 else f"{value:,.0f}"


def day_of(days: float | None) -> str:
    """Write days since 1970-01-01 as a date."""
    return number(None) if days is None else moment_of(days * DAY)[:10]


def moment_of(seconds: float) -> str:
    """Write seconds since 1970-01-01 as a date, with the time of the day if there is one."""
    moment = str(np.datetime64(math.floor(seconds), "s")).replace("T", " ")
    return moment.removesuffix(" 00:00:00").removesuffix(":00")


def in_units(estimate: Estimate, unit: str = "") -> str:
    """Describe a difference, and its interval if there is one."""
    sign = -1 if estimate.value < 0 else 1
    word = "lower" if sign < 0 else "higher"
    low, high = estimate.lower, estimate.upper
    if low is None or high is None or low == high:
        return f"{number(abs(estimate.value))}{unit} {word}"
    value, *ends = (text + unit for text in with_ends(estimate.value, low, high))
    if low < 0 < high:
        return f"{value} {word} ({LEVEL} % interval: {ends[0]} lower to {ends[1]} higher)"
    return f"{value} {word} ({LEVEL} % interval: {' to '.join(ends[::sign])})"


def in_percent(estimate: Estimate) -> str:
    """Describe a difference of logarithms in percent, or as a factor if it is large."""
    known = [e for e in (estimate.value, estimate.lower, estimate.upper) if e is not None]
    shares = [math.expm1(min(e, 700.0)) for e in known]
    if max(shares) >= 1:
        value, *ends = (number(1 + share) for share in shares)
        within = f" ({LEVEL} % interval: {' to '.join(ends)})" if ends else ""
        return f"{value} times as high{within}"
    return in_units(Estimate(*(100 * share for share in shares)), " %")


def percent(share: float) -> str:
    """Write a share of at least 0 in percent."""
    size = 100 * share
    return f"{size:.0f} %" if size >= 10 else f"{size:.2g} %"
