"""Cross-products of a block of rows about a shift, as fast as the machine's matrix products.

A block is processed in pieces that fit in the processor's cache. There each piece is shifted,
summed, searched for its extremes and multiplied, so the rows come from memory once. Narrow rows are
summed TILE at a time, since sums over the first axis are slow if the second is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]
PIECE = 1 << 19  # numbers in a piece
LEAST_ROWS = 1024  # in a piece of many columns: their products take longer than reading
SAMPLED = 4096  # rows whose mean is the shift
TILE = 64
STRIP = 256  # columns; their products with earlier columns follow by symmetry


@dataclass(frozen=True)
class CrossProducts:
    """Weighted sums over rows z of p columns.

    Attributes:
        shift: The centre of the sums, shape (p,); near the mean.
        sums: Σw·(z − shift), shape (p,).
        products: Σw·(z − shift)(z − shift)ᵀ, shape (p, p).
        minimum: Shape (p,).
        maximum: Shape (p,).
    """

    shift: Array
    sums: Array
    products: Array
    minimum: Array
    maximum: Array


def cross_products(
    parts: Sequence[NDArray[Any]], weights: Array | None, device: str = "cpu"
) -> CrossProducts:
    """Compute the cross-products of all columns of the parts.

    The shift is the mean of a share f of the rows, evenly spread. For any rows it is within √(1/f)
    standard deviations of the mean of all, so the later correction cancels at most 1 + 1/f of a
    product.

    Args:
        parts: Matrices of n rows each, float64 or float32.
        weights: Shape (n,); None if every row weighs 1.
        device: PyTorch's name of the device that multiplies.
    """
    n, p = len(parts[0]), sum(part.shape[1] for part in parts)
    rows = min(n, max(LEAST_ROWS, PIECE // p // TILE * TILE))
    step = max(1, n // SAMPLED)
    across = all(part.flags.f_contiguous for part in parts)
    buffer = torch.empty((p, rows) if across else (rows, p), dtype=torch.float64)
    buffer = buffer.T if across else buffer
    columns, width = [], 0
    for part in parts:
        columns.append(_Columns(part, step, buffer[:, width : width + part.shape[1]]))
        width += part.shape[1]
    sums = torch.zeros(1, p, dtype=torch.float64, device=device)
    products = torch.zeros(p, p, dtype=torch.float64, device=device)
    ones = torch.ones(rows, 1, dtype=torch.float64, device=device)
    whole = n - n % TILE
    for start, stop in pairwise(sorted({*range(0, whole, rows), whole, n})):
        for c in columns:
            c.centre(start, stop)
        piece = heavy = buffer[: stop - start].to(device)
        w = ones[: stop - start]
        if weights is not None:
            w = torch.tensor(weights[start:stop, None], device=device)
            heavy = piece * w
        sums.addmm_(w.T, piece)
        for k in range(0, p, STRIP):  # the upper triangle, and little below it
            products[k : k + STRIP, k:].addmm_(heavy[:, k : k + STRIP].T, piece[:, k:])
    for k in range(0, p, STRIP):
        corner = products[k : k + STRIP, k : k + STRIP]
        corner.copy_(corner.triu() + corner.triu(1).T)
        products[k + STRIP :, k : k + STRIP] = products[k : k + STRIP, k + STRIP :].T
    return CrossProducts(
        np.concatenate([c.shift for c in columns]),
        sums[0].cpu().numpy(),
        products.cpu().numpy(),
        np.concatenate([c.minimum for c in columns]),
        np.concatenate([c.maximum for c in columns]),
    )


class _Columns:
    """The columns of one part, processed piece by piece."""

    def __init__(self, values: NDArray[Any], step: int, buffer: torch.Tensor) -> None:
        tidy = values.flags.c_contiguous or values.flags.f_contiguous
        self.values = values if tidy else np.ascontiguousarray(values)
        self.buffer = buffer
        sample = values[::step].astype(np.float64, order="K")
        sample = sample[: len(sample) // TILE * TILE or None]
        least = _reduce(np.minimum, sample)
        # A column of one value is shifted by that very value, so that its products are 0.
        mean = _reduce(np.add, sample) / len(sample)
        self.shift = np.where(least == _reduce(np.maximum, sample), least, mean)
        self.minimum = np.full_like(self.shift, np.inf)
        self.maximum = np.full_like(self.shift, -np.inf)

    def centre(self, start: int, stop: int) -> None:
        """Write z − shift of some rows at the head of the buffer, and note their extremes."""
        rows = self.values[start:stop]
        np.minimum(self.minimum, _reduce(np.minimum, rows), out=self.minimum)
        np.maximum(self.maximum, _reduce(np.maximum, rows), out=self.maximum)
        room = self.buffer[: stop - start]
        if rows.flags.writeable:  # PyTorch warns of others
            torch.sub(torch.from_numpy(rows), torch.from_numpy(self.shift), out=room)
        else:
            np.subtract(rows, self.shift, out=room.numpy())


def _tile(rows: int) -> int:
    return 1 if rows % TILE else TILE


def _reduce(operation: np.ufunc, rows: NDArray[Any]) -> NDArray[Any]:
    """Return the operation over the first axis."""
    if not rows.flags.c_contiguous or rows.shape[1] == 1:
        found: NDArray[Any] = operation.reduce(rows.T, axis=1)
        return found
    tile = _tile(len(rows))
    tiles = operation.reduce(rows.reshape(len(rows) // tile, -1), axis=0)
    reduced: NDArray[Any] = operation.reduce(tiles.reshape(tile, -1), axis=0)
    return reduced
