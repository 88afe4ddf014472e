"""Estimate the largest eigenvalue of a Hessian from gradients alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEPS = 16  # at most


def largest_eigenvalue(times: Callable[[Tensor], Tensor], size: int, seed: int) -> float:
    """Estimate λmax of a symmetric positive semidefinite matrix, hardly ever below 3/4 of it.

    The estimate is Lanczos' method from a random start, plus its residual; every vector is made
    orthogonal to all earlier ones (Zhou and Li, Bounding the spectrum of large Hermitian matrices,
    2011). By Kuczyński and Woźniakowski (1992), 16 steps find 3/4 of λmax, except for one start in
    3,000 at size 1e6. So a step of 1/estimate is below the largest stable rate at any momentum.

    Args:
        times: The matrix times a vector, shape (size,), float64.
        size: Of the matrix.
        seed: Of the start.
    """
    start = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis = [start / start.norm()]
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(STEPS, size)):
        image = times(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        for _ in range(2):  # the second time removes what rounding left
            for vector in basis:
                image = image - (image @ vector) * vector
        beside.append(float(image.norm()))
        if beside[-1] <= 1e-12 * max(diagonal):
            break
        basis.append(image / beside[-1])
    inner = torch.tensor(beside[:-1], dtype=torch.float64)
    matrix = torch.tensor(diagonal, dtype=torch.float64).diag() + inner.diag(1) + inner.diag(-1)
    values, vectors = torch.linalg.eigh(matrix)
    return float(values[-1] + beside[-1] * vectors[-1, -1].abs())
