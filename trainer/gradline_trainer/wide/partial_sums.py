"""What the float32 certificate needs of a wide table's rows, where no co-moment matrix tells it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.rows import Rows

__all__ = ["PartialSums"]

SLICE = 1 << 21  # values of a table whose partial sums are in memory at a time


@dataclass
class PartialSums:
    """Mean squares over the training rows of the sums that a prediction is made of.

    Attributes:
        weights: W, shape (k, d), float64.
        bias: b, shape (k,).
        total: Σw of the rows so far.
        change: Σw·(ΔW·x + Δb)², where Δ is what rounding to float32 takes, shape (k,).
        partial: Σw·s_m² of s_m = Σ_{j ≤ m} W_j·x_j, shape (k, d).
    """

    weights: Tensor
    bias: Tensor
    total: float
    change: Tensor
    partial: Tensor

    @classmethod
    def of(cls, weights: Tensor, bias: Tensor) -> PartialSums:
        """Return the sums over no row yet."""
        return cls(weights, bias, 0.0, torch.zeros_like(bias), torch.zeros_like(weights))

    def add(self, rows: Rows) -> None:
        """Take a block of rows in."""
        n, d = rows.features.shape
        size = max(1, SLICE // d)
        delta = self.weights - self.weights.float()
        offset = self.bias - self.bias.float()
        w = torch.from_numpy(np.ones(n) if rows.weights is None else rows.weights)
        x = torch.from_numpy(rows.features).double()
        self.total += float(w.sum())
        self.change += w @ torch.addmm(offset, x, delta.t()).square()
        for start in range(0, n, size):
            part, share = x[start : start + size], w[start : start + size]
            for target, row in enumerate(self.weights):
                self.partial[target] += share @ (part * row).cumsum(1).square()

    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `change` (k,) and `partial` (k, d) as means over the rows."""
        return (self.change / self.total).numpy(), (self.partial / self.total).numpy()
