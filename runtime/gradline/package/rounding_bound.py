"""The rounding bound: the largest error of a correct evaluation of x @ W.T + b.

Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), chapter 3: a sum of d products
and a bias, evaluated in any order, with or without fused multiply-add, is within
γ·(|x|·|W|ᵀ + |b|) of the exact value, with γ = m·u/(1 − m·u). A term meets at most d + 1 roundings.
m = d + 2 adds one, so that the exact value itself may be rounded to float64. 2m·ω covers results
below the smallest normal number ω.

For a logged target, a host computes exp(z)·s (log1p: exp(z)·s − 1) in float64 from a z within the
bound β of the exact one. That is at most exp(z)·s·expm1(β) away. exp and the product add up to
8·2⁻⁵³ of it, the subtraction of 1 up to 2·2⁻⁵³, and the cast to the graph's dtype rounds once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import Functions, in_units

U = 2.0**-53


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


def rounding_bound_in_units(
    z: NDArray[np.float64],
    bounds: NDArray[np.float64],
    functions: Functions,
    dtype: np.dtype[Any],
) -> NDArray[np.float64]:
    """Bound |computed − exact| (n, k) in the targets' units, for exact answers z (n, k) of a graph.

    `bounds` (n, k) are those of z, from `rounding_bound`; for other targets they are returned.
    """
    exact, found = in_units(z, functions), bounds.copy()
    kind = np.finfo(dtype)
    for j, function in enumerate(functions):
        if function is not None:
            with np.errstate(over="ignore"):
                away = (exact[:, j] + function.offset) * (np.expm1(bounds[:, j]) + 8 * U)
            away += 2 * U * function.offset
            rounded = float(kind.eps) / 2 * (np.abs(exact[:, j]) + away)
            found[:, j] = away + rounded + float(kind.smallest_subnormal)
    return found
