"""Measure what no solver can beat on this machine: the product XᵀX, and reading X once.

The product XᵀX is symmetric, so n·p² operations suffice (SYRK). Their speed is measured on
PyTorch's full product of a block of rows of the same width, which stays in the cache if its width
allows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.synthetic import Array

__all__ = ["block_product", "block_product_share", "read_once"]

BLOCK = 4096  # rows


def block_product(X: Array, Y: Array) -> Callable[[], object]:
    """Make the product ZᵀZ of the first rows Z of [X Y], shape (rows, p), p = d + k."""
    import torch

    Z = torch.from_numpy(np.column_stack([X[:BLOCK], Y[:BLOCK]]))
    product = Z.new_empty(Z.shape[1], Z.shape[1])
    return lambda: torch.mm(Z.T, Z, out=product)


def block_product_share(n: int) -> float:
    """Compute the block's operations, 2·rows·p², as a fraction of the n·p² that n rows need."""
    return 2 * min(BLOCK, n) / n


def read_once(X: Array) -> Callable[[], object]:
    """Make the sum over X, which reads each byte once, on all cores."""
    import torch

    return torch.from_numpy(X).sum
