"""Targets and residuals of rows at hand, for whoever wants to look at them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Residuals"]

Array = NDArray[np.float64]
MOST = 1 << 16  # rows


@dataclass
class Residuals:
    """What the metrics of some rows were computed from: of the first 65,536 rows.

    Attributes:
        rows: How many rows there are in all.
        blocks: Pairs (targets, prediction − targets), each of shape (rows, k).
    """

    rows: int = 0
    blocks: list[tuple[Array, Array]] = field(default_factory=list)

    def add(self, targets: Array, residual: Array) -> None:
        """Take the rows of a block, as many as there is room for."""
        room = max(MOST - self.rows, 0)
        if room and len(targets):
            self.blocks.append((targets[:room].copy(), residual[:room]))
        self.rows += len(targets)

    @property
    def targets(self) -> Array:
        """Shape (rows, k), at most 65,536 rows."""
        return np.concatenate([targets for targets, _ in self.blocks])

    @property
    def predictions(self) -> Array:
        """Shape (rows, k), at most 65,536 rows."""
        return np.concatenate([targets + residual for targets, residual in self.blocks])
