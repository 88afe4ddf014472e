"""Invert a triangular matrix in several threads, with the same bits for any number of them."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from torch import Tensor

from gradline_trainer.rows.library_state import in_threads

BLOCK = 256  # rows and columns that are computed together


def invert_triangular(factor: Tensor) -> Tensor:
    """Compute the inverse of a lower triangular matrix, shape (r, r), by forward substitution.

    The diagonal blocks are inverted first; the rest are products of matrices. The strips of columns
    do not depend on each other, so each is one thread's work.
    """
    array, r = factor.numpy(), len(factor)
    inverse = np.zeros((r, r))
    blocks = [slice(k, min(k + BLOCK, r)) for k in range(0, r, BLOCK)]

    def invert(k: int) -> None:
        columns = blocks[k]
        for rows in blocks[k + 1 :]:
            above = slice(columns.start, rows.start)
            sums = np.dot(array[rows, above], inverse[above, columns])
            np.negative(np.dot(inverse[rows, rows], sums), out=inverse[rows, columns])

    for block in blocks:
        identity = torch.eye(block.stop - block.start, dtype=torch.float64)
        found = torch.linalg.solve_triangular(factor[block, block], identity, upper=False)
        inverse[block, block] = found.numpy()
    deque(in_threads(invert, range(len(blocks) - 1)), maxlen=0)
    return torch.from_numpy(inverse)
