"""Measure what bounds every solver on this machine: reading X once, and the product ZᵀZ.

Z = [X Y]. The product is symmetric, so OpenBLAS computes half of it (SYRK). Each core multiplies a
block of rows that stays in its cache as often as its share of the rows needs. The limit is the
larger of the two times.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
from numpy.typing import DTypeLike

from benchmarks.synthetic import Array

__all__ = ["LIMITS", "READ", "SYRK", "SYRK64"]

READ, SYRK, SYRK64 = "read once", "product", "product in float64"
BLOCK = 2**18  # numbers: 2 MB, the fastest size on narrow tables
DEEPEST = 4  # rows per column of a block of a wide table, whose product doesn't fit in the cache


def read_once(X: Array, Y: Array) -> Callable[[], None]:
    """Make the sum over X, which reads each byte once, on all cores."""
    import torch

    rows = torch.from_numpy(X)

    def job() -> None:
        rows.sum()

    return job


def product(X: Array, Y: Array, dtype: DTypeLike = None) -> Callable[[], None]:
    """Make the product of as many rows as Z has, on all cores with one BLAS thread each."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)  # for the rest of this process
    cores, columns = os.cpu_count() or 1, X.shape[1] + Y.shape[1]
    share = -(-len(X) // cores)
    times = -(-share // max(BLOCK // columns, DEEPEST * columns))
    rows = -(-share // times)
    block = np.column_stack([X[:rows], Y[:rows]]).astype(dtype or X.dtype)
    own = [(block.copy(), np.empty((columns, columns), block.dtype)) for _ in range(cores)]
    pool = ThreadPoolExecutor(cores)

    def multiply(z: Array, out: Array) -> None:
        for _ in repeat(None, times):
            np.dot(z.T, z, out=out)

    def job() -> None:
        for _ in pool.map(multiply, *zip(*own, strict=True)):
            pass

    return job


#: By name; each takes X and Y and makes a call without an answer.
LIMITS: dict[str, Callable[[Array, Array], Callable[[], None]]] = {
    READ: read_once,
    SYRK: product,
    SYRK64: lambda X, Y: product(X, Y, np.float64),
}
