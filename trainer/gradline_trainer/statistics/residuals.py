"""Targets and residuals of some rows, for whoever wants to look at them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Residuals", "step_among"]

Array = NDArray[np.float64]
MOST_ROWS = 1 << 16
MOST_NUMBERS = 1 << 19


@dataclass(frozen=True)
class Residuals:
    """What the metrics of some rows were computed from: of all rows, or of evenly spaced ones.

    Attributes:
        rows: How many rows there are in all.
        step: Every how many of them one is kept, beginning with the first.
        targets: Of those that are kept, shape (rows, k).
        residuals: Prediction − target, shape (rows, k).
    """

    rows: int = 0
    step: int = 1
    targets: Array = field(default_factory=lambda: np.empty((0, 0)))
    residuals: Array = field(default_factory=lambda: np.empty((0, 0)))

    @classmethod
    def of(cls, targets: Array, residuals: Array, first: int, step: int) -> Residuals:
        """Return those of rows of which so many come before, both of shape (rows, k)."""
        due = slice(-first % step, None, step)
        return cls(len(targets), step, targets[due].copy(), residuals[due].copy())

    def merge(self, later: Residuals) -> Residuals:
        """Return those of both sets of rows, in order."""
        return Residuals(
            self.rows + later.rows,
            self.step,
            np.concatenate([self.targets, later.targets]),
            np.concatenate([self.residuals, later.residuals]),
        )

    @property
    def predictions(self) -> Array:
        """Shape (rows, k)."""
        return self.targets + self.residuals


def step_among(rows: int, targets: int) -> int:
    """Return every how many rows one is kept, a power of 2, for as many as there is room.

    Args:
        rows: In all.
        targets: k.
    """
    most = max(min(MOST_ROWS, MOST_NUMBERS // targets), 200)
    step = 1
    while -(-rows // step) > most:
        step *= 2
    return step
