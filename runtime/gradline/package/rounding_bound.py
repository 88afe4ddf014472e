"""The rounding bound: the largest error of a correct evaluation of x @ W.T + b.

Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), chapter 3: a sum of d products
and a bias, evaluated in any order, with or without fused multiply-add, is within
γ·(|x|·|W|ᵀ + |b|) of the exact value, with γ = m·u/(1 − m·u). A term meets at most d + 1 roundings.
m = d + 2 adds one, so that the exact value itself may be rounded to float64. 2m·ω covers results
below the smallest normal number ω.

If the terms are computed too, m = d + 3 adds the cast of each to the graph's dtype, and δ_j the
relative error of the j-th term in float64: 2⁻⁵³ for each operation, and four times that for a
logarithm or a root, which hosts compute differently.

For a logged target, a host computes exp(z)·s (log1p: exp(z)·s − 1) in float64 from a z within the
bound β of the exact one. That is at most exp(z)·s·expm1(β) away. exp, the product and the
subtraction add up to 8·2⁻⁵³ of exp(z)·s, and the cast to the graph's dtype rounds once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.columns.targets import Functions
from gradline.columns.terms import Term

U = 2.0**-53


def row_count(d: int) -> int:
    """Compute how many golden rows the format requires for a graph of d inputs."""
    return max(4, min(64, 4096 // d))


def rounding_bound(
    x: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any], dtype: np.dtype[Any]
) -> NDArray[np.float64]:
    """Bound |computed − exact| (n, k) for x (n, d), W (k, d) and b (k,), values of `dtype`."""
    return _bound(x, weights, bias, dtype, weights.shape[1] + 2)


def _bound(
    x: NDArray[Any],
    weights: NDArray[Any],
    bias: NDArray[Any],
    dtype: np.dtype[Any],
    m: int,
    delta: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    u = float(np.finfo(dtype).eps) / 2  # the unit roundoff
    gamma = m * u / (1 - m * u)
    rows, factors, offset = (np.abs(a.astype(np.float64)) for a in (x, weights, bias))
    bound: NDArray[np.float64] = gamma * (rows @ factors.T + offset) + (rows * delta) @ factors.T
    bound += 2 * m * float(np.finfo(dtype).tiny)
    return bound


def pipeline_bound(
    x: NDArray[Any], plan: Plan, weights: NDArray[Any], bias: NDArray[Any], functions: Functions
) -> NDArray[np.float64]:
    """Bound |computed − exact| (n, k) of answers from raw columns, for their terms x (n, d).

    NaN where the answer is missing. A logged target is in its own units.
    """
    delta = np.array([U * _roundings(term) for term in plan.terms])
    with np.errstate(over="ignore", invalid="ignore"):  # of a row that is no golden one
        bound = _bound(x, weights, bias, weights.dtype, weights.shape[1] + 3, delta)
        if not any(functions):
            return bound
        z = x.astype(np.float64) @ weights.T.astype(np.float64) + bias.astype(np.float64)
    return bound_in_units(z, bound, functions, weights.dtype)


def bound_in_units(
    z: NDArray[np.float64],
    bounds: NDArray[np.float64],
    functions: Functions,
    dtype: np.dtype[Any],
) -> NDArray[np.float64]:
    """Bound |computed − exact| (n, k) in the targets' units, from the bounds of z (n, k).

    For a logged target that is exp(z)·s·(expm1(bound of z) + 8·2⁻⁵³), and one rounding to the
    dtype; for another the bound of z.
    """
    found = bounds.copy()
    smallest, u = float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps) / 2
    with np.errstate(over="ignore", invalid="ignore"):
        for j, function in enumerate(functions):
            if function is not None:
                grown = np.exp(z[:, j]) * function.scale
                relative = np.expm1(bounds[:, j]) + 8 * U
                found[:, j] = grown * relative + u * np.abs(grown - function.offset) + smallest
    return found


def _roundings(term: Term) -> int:
    """Count the roundings of a term's operations in float64, four for a logarithm or a root."""
    total = len(term) - 1
    for factor in term:
        of_power = int(factor.argument or 0) - 1 if factor.function == "power" else 0
        total += {"log": 4, "log1p": 5, "sqrt": 4, "hinge": 1, "time": 1}.get(
            str(factor.function), of_power
        )
    return total
