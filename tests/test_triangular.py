"""The inverse of a triangular factor, by blocks."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from gradline_trainer.descent.triangular import BLOCK, invert_triangular


def factor(size: int, condition: float = 1e4) -> torch.Tensor:
    rng = np.random.default_rng(size)
    q = np.linalg.qr(rng.standard_normal((size, size))).Q
    matrix = q * np.logspace(0, -np.log10(condition), size) @ q.T
    return torch.from_numpy(np.linalg.cholesky((matrix + matrix.T) / 2))


@pytest.mark.parametrize("size", [1, 5, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 17])
def test_it_is_the_inverse(size: int) -> None:
    lower = factor(size)
    found = invert_triangular(lower)
    identity = torch.eye(size, dtype=torch.float64)
    expected = torch.linalg.solve_triangular(lower, identity, upper=False)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(found @ lower, identity, rtol=0, atol=1e-12)
    assert not found.triu(1).any()


def test_the_bits_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    lower, found = factor(4 * BLOCK), []
    for threads in (1, 2, 5):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        found.append(invert_triangular(lower))
    assert found[0].equal(found[1])
    assert found[0].equal(found[2])
