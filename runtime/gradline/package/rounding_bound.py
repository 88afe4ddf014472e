"""The rounding bound: the largest error of a correct evaluation of x @ W.T + b.

Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), chapter 3: a sum of d products
and a bias, evaluated in any order, with or without fused multiply-add, is within
γ·(|x|·|W|ᵀ + |b|) of the exact value, with γ = m·u/(1 − m·u). A term meets at most d + 1 roundings.
m = d + 2 adds one, so that the exact value itself may be rounded to float64. 2m·ω covers results
below the smallest normal number ω.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rounding_bound(
    x: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any], dtype: np.dtype[Any]
) -> NDArray[np.float64]:
    """Bound |computed − exact| (n, k) for x (n, d), W (k, d) and b (k,), values of `dtype`."""
    u = float(np.finfo(dtype).eps) / 2  # the unit roundoff
    m = weights.shape[1] + 2
    gamma = m * u / (1 - m * u)
    rows, factors, offset = (np.abs(a.astype(np.float64)) for a in (x, weights, bias))
    bound: NDArray[np.float64] = gamma * (rows @ factors.T + offset)
    bound += 2 * m * float(np.finfo(dtype).tiny)
    return bound
