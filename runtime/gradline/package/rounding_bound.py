"""The rounding bound: how far a correct evaluation of x @ W.T + b may lie from the exact value.

Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), chapter 3: a sum of d products
and a bias, evaluated in any order, with or without fused multiply-add, is within
γ·(|x|·|W|ᵀ + |b|) of the exact value, γ = m·u/(1 − m·u). One more than the d + 1 roundings that
a term can meet is counted, m = d + 2, so that an exact value rounded to float64 may stand in for
the exact one; 2m·ω covers results below the smallest normal number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["rounding_bound", "unit_roundoff"]


def unit_roundoff(dtype: np.dtype[Any]) -> float:
    """Return u, half the distance from 1 to the next number of `dtype`."""
    return float(np.finfo(dtype).eps) / 2


def rounding_bound(
    x: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any], dtype: np.dtype[Any]
) -> NDArray[np.float64]:
    """Return the bound on |computed − exact| of every prediction, shape (n, k), float64.

    Args:
        x: Rows, shape (n, d), already values of `dtype`.
        weights: W, shape (k, d), already values of `dtype`.
        bias: b, shape (k,), already values of `dtype`.
        dtype: The dtype in which a host evaluates the graph.
    """
    u = unit_roundoff(dtype)
    m = weights.shape[1] + 2
    gamma = m * u / (1 - m * u)
    rows, factors, offset = (np.abs(a.astype(np.float64)) for a in (x, weights, bias))
    bound: NDArray[np.float64] = gamma * (rows @ factors.T + offset)
    bound += 2 * m * float(np.finfo(dtype).tiny)
    return bound
