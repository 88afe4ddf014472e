"""Counts of what the training rows hold in columns of numbers and times."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import DAY, PARTS
from gradline.columns.kinds import Column
from gradline.errors import InputError
from gradline_trainer.rows.surveyed import fill_of

Array = NDArray[np.float64]


@dataclass
class Statistics:
    """Counts of each number's and each time's values in the training rows."""

    rows: int = 0
    found: dict[str, Counted] = field(default_factory=dict)

    def merge(self, later: Statistics) -> Statistics:
        """Add the counts of later rows."""
        self.rows += later.rows
        for name, counted in later.found.items():
            self.found[name].merge(counted)
        return self


@dataclass
class Counted:
    """What the training rows hold in one column of numbers or times."""

    missing: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    sums: list[float] = field(default_factory=list)  # of values times weights, per block
    weights: list[float] = field(default_factory=list)
    days: set[int] = field(default_factory=set)
    parts: dict[str, Counter[int]] = field(default_factory=dict)

    def add(self, column: Column, values: Array, weights: Array | None) -> None:
        """Count a block's values, shape (n,)."""
        present = ~np.isnan(values)
        self.missing += int(len(values) - present.sum())
        values = values[present]
        if not len(values):
            return
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        w = None if weights is None else weights[present]
        with np.errstate(over="ignore", invalid="ignore"):
            self.sums.append(float(np.sum(values if w is None else values * w)))
        self.weights.append(len(values) if w is None else float(np.sum(w)))
        if column.kind == "time":
            self.days.update(np.unique(np.floor(values / DAY)).astype(np.int64).tolist())
            for name, part in PARTS.items():
                known, counts = np.unique(part.of(values).astype(np.int64), return_counts=True)
                counter = self.parts.setdefault(name, Counter())
                counter.update(dict(zip(known.tolist(), counts.tolist(), strict=True)))

    def merge(self, later: Counted) -> None:
        """Add the counts of later rows."""
        self.missing += later.missing
        self.minimum = min(self.minimum, later.minimum)
        self.maximum = max(self.maximum, later.maximum)
        self.sums += later.sums
        self.weights += later.weights
        self.days |= later.days
        for name, counts in later.parts.items():
            self.parts.setdefault(name, Counter()).update(counts)

    @property
    def mean(self) -> float:
        """The (weighted) mean of the values; NaN without any, infinite if they do not add up."""
        weight = math.fsum(self.weights)
        if not weight:
            return math.nan
        total = math.fsum(self.sums) if _is_finite(np.array(self.sums)) else math.inf
        return total / weight

    def fill(self, column: Column) -> float | None:
        """Compute the value that fills missing ones, if there are some; a time's is a whole second.

        Raises:
            InputError: For values that do not add up.
        """
        if not self.missing or math.isnan(self.mean):
            return None
        if not math.isfinite(self.mean):
            raise InputError(
                f"the column {column.name!r} has infinite values, or values too large to add up",
                code="out-of-range",
                hint="correct or remove these rows, or divide the column first",
            )
        return fill_of(column, self.mean)


def _is_finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())
