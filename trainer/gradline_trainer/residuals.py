"""Targets and residuals of rows at hand, for whoever wants to look at them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Residuals"]

Array = NDArray[np.float64]
MOST_ROWS = 1 << 16
MOST_NUMBERS = 1 << 19


@dataclass
class Residuals:
    """What the metrics of some rows were computed from: of all rows, or of evenly spaced ones.

    Which rows those are does not depend on the blocks that they came in.

    Attributes:
        rows: How many rows there are in all.
        step: Every how many of them one is kept, beginning with the first; a power of 2.
        blocks: Pairs (targets, prediction − targets), each of shape (rows, k).
    """

    rows: int = 0
    step: int = 1
    blocks: list[tuple[Array, Array]] = field(default_factory=list)

    def add(self, targets: Array, residual: Array) -> None:
        """Take the rows of a block, both of shape (rows, k)."""
        due = slice(-self.rows % self.step, None, self.step)
        self.blocks.append((targets[due].copy(), residual[due].copy()))
        self.rows += len(targets)
        while -(-self.rows // self.step) > _most(targets.shape[1]):
            self.step *= 2
            self.blocks = [(self.targets[::2], self.residuals[::2])]

    @property
    def targets(self) -> Array:
        """Shape (rows, k) of those that are kept."""
        return np.concatenate([targets for targets, _ in self.blocks])

    @property
    def residuals(self) -> Array:
        """Prediction − targets, shape (rows, k)."""
        return np.concatenate([residual for _, residual in self.blocks])

    @property
    def predictions(self) -> Array:
        """Shape (rows, k)."""
        return self.targets + self.residuals


def _most(targets: int) -> int:
    return max(min(MOST_ROWS, MOST_NUMBERS // targets), 200)
