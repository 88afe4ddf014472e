"""Sums over the rows that the float32 certificate of a wide table needs: it has no co-moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.moments.pickling import SavedAsArrays
from gradline_trainer.rows.rows import Rows

SLICE = 1 << 21  # values whose partial sums are in memory at a time


@dataclass(frozen=True)
class PartialSums(SavedAsArrays):
    """Weighted sums over the training rows, for the mean squares of partial predictions.

    Attributes:
        total: Σw.
        change: Σw·(ΔW·x + Δb)², where Δ is the rounding to float32, shape (k,).
        partial: Σw·s_m² of s_m = Σ_{j ≤ m} W_j·x_j, shape (k, d).
    """

    total: float
    change: Tensor
    partial: Tensor

    @classmethod
    def of(cls, rows: Rows, weights: Tensor, bias: Tensor) -> PartialSums:
        """Sum over rows, for W of shape (k, d) and b of shape (k,), float64."""
        rows = rows.laid_out()
        x = torch.from_numpy(rows.features)
        n, d = x.shape
        size = max(1, SLICE // d)
        w = torch.from_numpy(np.ones(n) if rows.weights is None else rows.weights)
        change = torch.addmm(bias - bias.float(), x, (weights - weights.float()).t())
        partial = torch.zeros_like(weights)
        for start in range(0, n, size):
            part, share = x[start : start + size], w[start : start + size]
            for target, row in enumerate(weights):
                partial[target] += share @ (part * row).cumsum(1).square()
        return cls(float(w.sum()), w @ change.square(), partial)

    def merge(self, other: PartialSums) -> PartialSums:
        """Add the sums over two sets of rows."""
        return PartialSums(
            self.total + other.total, self.change + other.change, self.partial + other.partial
        )

    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `change` (k,) and `partial` (k, d) as means over the rows."""
        return (self.change / self.total).numpy(), (self.partial / self.total).numpy()
