"""On a GPU: the same moments to rounding, and exact arithmetic to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradline_trainer import fit

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

RNG = np.random.default_rng(6)
X = RNG.standard_normal((20_000, 30)) * 10.0 ** RNG.integers(-3, 4, 30) + 5
Y = RNG.standard_normal((20_000, 2))


@pytest.mark.parametrize("weighted", [False, True])
def test_exact_arithmetic_gives_the_bits_of_the_cpu(weighted: bool) -> None:
    weights = RNG.random(20_000) if weighted else None
    found, expected = (
        fit((X, Y), arithmetic="exact", sample_weight=weights, device=device)
        for device in ("cuda", "cpu")
    )
    assert torch.equal(found.weights, expected.weights)
    assert torch.equal(found.bias, expected.bias)


def test_fast_arithmetic_agrees_with_the_cpu() -> None:
    found, expected = (fit((X, Y), arithmetic="fast", device=d) for d in ("cuda", "cpu"))
    torch.testing.assert_close(found.weights, expected.weights, rtol=1e-10, atol=0)
