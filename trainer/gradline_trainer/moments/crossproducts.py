"""Cross-products of a block of rows about a shift, as fast as the machine's matrix products.

A block is processed in pieces that fit in the processor's cache. There each piece is shifted,
summed, searched for its extremes and multiplied, so the rows come from memory once. NumPy computes
zᵀz by OpenBLAS's syrk, which takes half the operations of a product, and lets other threads run
meanwhile. OpenBLAS, because it is fast on processors of Intel and AMD; PyTorch's MKL is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PIECE = 1 << 18  # numbers in a piece
LEAST_ROWS = 4096  # in a piece of many columns: adding their products takes long, too
ON_DEVICE = 1 << 24  # numbers that a device multiplies at a time
SAMPLED = 16  # of so many rows at least one: the mean of these is the shift
ALL_SAMPLED = 1 << 17  # up to so many numbers, every row is
TILE = 64  # rows that are summed together: sums over the first axis are slow if the second is short
FEW = 4  # columns that are multiplied one by one, which is faster than a product of matrices


@dataclass(frozen=True)
class CrossProducts:
    """Weighted sums over rows z of p columns.

    Attributes:
        shift: The centre of the sums, shape (p,); near the mean.
        sums: Σw·(z − shift), shape (p,).
        products: Σw·(z − shift)(z − shift)ᵀ, shape (p, p).
        minimum: Shape (p,); NaN or infinite if a value is.
        maximum: Shape (p,); likewise.
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

    The shift is the mean of every 16th row, or of more. For any rows it is within √16 standard
    deviations of the mean of all, so the later correction cancels at most 1 + 16 of a product.

    Args:
        parts: Matrices of n rows each, float64 or float32.
        weights: Shape (n,), ≥ 0; None if every row weighs 1.
        device: PyTorch's name of the device that multiplies.
    """
    if device != "cpu":
        return _on_device(parts, weights, device)
    n, p = len(parts[0]), sum(part.shape[1] for part in parts)
    rows = min(n, max(LEAST_ROWS, PIECE // p // TILE * TILE))
    columns = [_Columns(part, rows) for part in parts]
    ends = np.cumsum([0, *(part.shape[1] for part in parts)])
    places = [slice(start, stop) for start, stop in pairwise(ends)]
    products = np.zeros((p, p))
    pairs = [
        (a, b, products[places[a], places[b]], np.empty((parts[a].shape[1], parts[b].shape[1])))
        for a, b in combinations_with_replacement(range(len(parts)), 2)
    ]
    ones = np.ones(rows)
    whole = n - n % TILE
    for start, stop in pairwise(sorted({*range(0, whole, rows), whole, n})):
        roots = ones[: stop - start] if weights is None else np.sqrt(weights[start:stop])
        pieces = [c.centre(start, stop) for c in columns]
        for c, z in zip(columns, pieces, strict=True):
            if weights is not None:
                z *= roots[:, None]  # so that the products are symmetric to the last bit
            c.sums += np.dot(roots, z)
        for a, b, found, room in pairs:
            found += _product(pieces[a], pieces[b], room)
    for a, b, found, _ in pairs:
        if a != b:
            products[places[b], places[a]] = found.T
    return CrossProducts(
        np.concatenate([c.shift for c in columns]),
        np.concatenate([c.sums for c in columns]),
        products,
        np.concatenate([c.minimum for c in columns]),
        np.concatenate([c.maximum for c in columns]),
    )


def _product(a: Array, b: Array, room: Array) -> Array:
    """Compute aᵀb in the room; np.dot sees that a is b, and lets other threads run."""
    if a is b or b.shape[1] > FEW:
        return np.dot(a.T, b, out=room)
    for j in range(b.shape[1]):
        room[:, j] = np.dot(b[:, j], a)
    return room


class _Columns:
    """The columns of one part, processed piece by piece."""

    def __init__(self, values: NDArray[Any], rows: int) -> None:
        self.values = values
        d = values.shape[1]
        self.across = values.flags.f_contiguous and not values.flags.c_contiguous
        self.buffer = np.empty(rows * d)
        self.shift = _shift(values)
        self.tiled = np.tile(self.shift, TILE)
        self.sums = np.zeros(d)
        self.minimum = np.full(d, np.inf)
        self.maximum = np.full(d, -np.inf)

    def centre(self, start: int, stop: int) -> Array:
        """Return z − shift of some rows, in the buffer, and note their extremes."""
        rows = self.values[start:stop]
        m, d = rows.shape
        room = self.buffer[: m * d]
        if self.across:
            room = room.reshape(d, m)
            np.subtract(rows.T, self.shift[:, None], out=room)
        else:
            rows = np.ascontiguousarray(rows)
            room = room.reshape(m, d)
            tile = _tile(m)
            wide = rows.reshape(m // tile, tile * d)
            np.subtract(wide, self.tiled[: tile * d], out=room.reshape(wide.shape))
        np.minimum(self.minimum, _reduce(np.minimum, rows), out=self.minimum)
        np.maximum(self.maximum, _reduce(np.maximum, rows), out=self.maximum)
        return room.T if self.across else room


def _shift(values: NDArray[Any]) -> Array:
    """Compute the mean of a sample of the rows."""
    step = min(SAMPLED, max(1, values.size // ALL_SAMPLED))
    sample = values[::step].astype(np.float64, order="K")
    sample = sample[: len(sample) // TILE * TILE or None]
    least = _reduce(np.minimum, sample)
    # A column of one value is shifted by that very value, so that its products are 0.
    mean = _reduce(np.add, sample) / len(sample)
    return np.where(least == _reduce(np.maximum, sample), least, mean)


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


def _on_device(parts: Sequence[NDArray[Any]], weights: Array | None, device: str) -> CrossProducts:
    """Compute the cross-products with PyTorch on a device."""
    import torch

    n, p = len(parts[0]), sum(part.shape[1] for part in parts)
    shift = np.concatenate([_shift(part) for part in parts])
    centre = torch.from_numpy(shift).to(device)
    sums, products = centre.new_zeros(p), centre.new_zeros(p, p)
    minimum, maximum = torch.full_like(centre, np.inf), torch.full_like(centre, -np.inf)
    for start in range(0, n, size := max(LEAST_ROWS, ON_DEVICE // p)):
        pieces = [torch.tensor(part[start : start + size], device=device) for part in parts]
        piece = torch.cat([columns.double() for columns in pieces], dim=1)
        low, high = piece.aminmax(dim=0)
        minimum, maximum = torch.minimum(minimum, low), torch.maximum(maximum, high)
        heavy = piece.sub_(centre)
        if weights is not None:
            heavy = piece * torch.tensor(weights[start : start + size, None], device=device)
        sums += heavy.sum(dim=0)
        products.addmm_(heavy.T, piece)
    products = products.triu() + products.triu(1).T
    found = (part.cpu().numpy() for part in (sums, products, minimum, maximum))
    return CrossProducts(shift, *found)
