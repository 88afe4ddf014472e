"""Cross-products of a block of rows about a shift, at the speed of the machine's matrix products.

A block is walked in pieces that stay in the processor's cache: each is shifted, summed, searched
for its extremes and multiplied there, so that the rows come from memory once. Narrow rows are taken
TILE at a time, since sums over the first axis are slow where the second is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["CrossProducts", "cross_products"]

Array = NDArray[np.float64]
PIECE = 1 << 19  # numbers in a piece
SAMPLED = 4096  # rows that the shift is the mean of
TILE = 64
STRIP = 128  # columns whose products with those before them are spared


@dataclass(frozen=True)
class CrossProducts:
    """Weighted sums over rows z of p columns.

    Attributes:
        shift: About which the sums are taken, shape (p,): near the mean.
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
    """Return the cross-products of the parts' columns side by side.

    The shift is the mean of a share f of the rows, evenly spread. It is within √(1/f) standard
    deviations of the mean of all whatever the rows are, so that taking it out again cancels no more
    than 1 + 1/f of a product.

    Args:
        parts: Matrices of n rows each, float64 or float32.
        weights: Shape (n,); None where every row weighs 1.
        device: PyTorch's name of where to multiply.
    """
    n, p = len(parts[0]), sum(part.shape[1] for part in parts)
    rows = max(1, PIECE // p // TILE) * TILE
    columns = [_Columns(part, max(1, n // SAMPLED), min(rows, n)) for part in parts]
    products = torch.zeros(p, p, dtype=torch.float64, device=device)
    whole = n - n % TILE
    for start, stop in pairwise(sorted({*range(0, whole, rows), whole, n})):
        pieces = [c.centred(start, stop) for c in columns]
        heavy = pieces
        if weights is not None:
            w = torch.from_numpy(weights[start:stop, None])
            heavy = [piece * w for piece in pieces]
        for c, piece in zip(columns, heavy, strict=True):
            c.sums += _reduce(np.add, piece.numpy())
        sent = [piece.to(device) for piece in pieces]
        _add_upper(products, sent, sent if weights is None else [h.to(device) for h in heavy])
    return CrossProducts(
        np.concatenate([c.shift for c in columns]),
        np.concatenate([c.sums for c in columns]),
        (products.triu() + products.triu(1).T).cpu().numpy(),
        np.concatenate([c.minimum for c in columns]),
        np.concatenate([c.maximum for c in columns]),
    )


class _Columns:
    """One part's columns, on their way through the cache."""

    def __init__(self, values: NDArray[Any], step: int, rows: int) -> None:
        tidy = values.flags.c_contiguous or values.flags.f_contiguous
        self.values = values if tidy else np.ascontiguousarray(values)
        sample = values[::step]
        least = sample.min(axis=0)
        # A column of one value is shifted by that very value, so that its products are 0.
        mean = sample.mean(axis=0, dtype=np.float64)
        self.shift = np.where(least == sample.max(axis=0), least, mean)
        self.buffer = np.empty(rows * values.shape[1])  # a new one for each piece takes long
        self.sums = np.zeros_like(self.shift)
        self.minimum = np.full_like(self.shift, np.inf)
        self.maximum = np.full_like(self.shift, -np.inf)

    def centred(self, start: int, stop: int) -> torch.Tensor:
        """Return z − shift of some rows, shape (rows, width), and note their extremes.

        It is overwritten by the next call.
        """
        rows = self.values[start:stop]
        np.minimum(self.minimum, _reduce(np.minimum, rows), out=self.minimum)
        np.maximum(self.maximum, _reduce(np.maximum, rows), out=self.maximum)
        if rows.flags.f_contiguous or self.values.flags.f_contiguous:
            across = self.buffer[: rows.size].reshape(rows.shape[::-1])
            return torch.from_numpy(np.subtract(rows.T, self.shift[:, None], out=across)).T
        tile = _tile(len(rows))
        tiled = rows.reshape(len(rows) // tile, -1)
        room = self.buffer[: rows.size].reshape(tiled.shape)
        np.subtract(tiled, np.tile(self.shift, tile), out=room)
        return torch.from_numpy(room.reshape(rows.shape))


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


def _add_upper(products: torch.Tensor, left: list[torch.Tensor], right: list[torch.Tensor]) -> None:
    """Add leftᵀ @ right to the upper triangle of the products, and to little below it."""
    row = 0
    for i, piece in enumerate(left):
        column = row
        for j in range(i, len(right)):
            width = right[j].shape[1]
            target = products[row : row + piece.shape[1], column : column + width]
            if i < j:
                target.addmm_(piece.T, right[j])
            else:
                for k in range(0, width, STRIP):
                    target[k : k + STRIP, k:].addmm_(piece[:, k : k + STRIP].T, right[j][:, k:])
            column += width
        row += piece.shape[1]
