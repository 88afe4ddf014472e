"""Parts of a time that recur: month, weekday and hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DAY = 86_400  # seconds
FIRST, LAST = -62_135_596_800, 253_402_300_799  # of the years 1 to 9999


@dataclass(frozen=True)
class Part:
    """A part of a time: its values, and how to compute it.

    Attributes:
        values: The whole numbers that it can be.
        of: Computes it from seconds, shape (n,); NaN where the time is missing.
    """

    values: range
    of: Callable[[Array], Array]


def _month(seconds: Array) -> Array:
    known = ~np.isnan(seconds)
    found = np.full(len(seconds), np.nan)
    days = np.floor(seconds[known] / DAY).astype("datetime64[D]")
    found[known] = days.astype("datetime64[M]").astype(np.int64) % 12 + 1
    return found


def _weekday(seconds: Array) -> Array:
    found: Array = (np.floor(seconds / DAY) + 3) % 7  # 1970-01-01 was a Thursday
    return found


def _hour(seconds: Array) -> Array:
    found: Array = np.floor(seconds % DAY / 3600)
    return found


PARTS = {
    "month": Part(range(1, 13), _month),
    "weekday": Part(range(7), _weekday),  # Monday is 0
    "hour": Part(range(24), _hour),
}
