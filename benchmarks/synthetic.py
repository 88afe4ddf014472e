"""Tables of any shape, their least-squares solution, and how far another one is from it.

The features are standard normal: that suits the rivals that iterate, which on raw units would
need thousands of epochs more, and costs the direct ones nothing.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "DType", "Solution", "draw", "optimum", "prediction_error"]

Array = NDArray[Any]
DType = Literal["float32", "float64"]
Solution = tuple[Array, Array]  # W (k, d) and b (k,)
NOISE = 0.1
SAMPLE = 10_000  # rows on which two solutions are told apart


def draw(n: int, d: int, k: int, dtype: DType = "float64") -> tuple[Array, Array]:
    """Return X (n, d) and Y = X @ W.T + b + noise (n, k), the same at every call."""
    generator = np.random.default_rng(20)
    X: Array = generator.standard_normal((n, d), dtype=dtype)
    Y: Array = generator.standard_normal((n, k), dtype=dtype)
    Y *= NOISE
    Y += X @ generator.standard_normal((d, k)).astype(dtype) + 1
    return X, Y


def optimum(X: Array, Y: Array) -> Solution:
    """Return the least-squares solution in float64, to the last few roundings.

    Normal equations, refined on the rows themselves (Björck, Numerical Methods for Least Squares
    Problems, section 2.9): enough where the columns are nearly orthogonal, as here.
    """
    columns = np.column_stack([X, np.ones(len(X))]).astype(np.float64, copy=False)
    gram = columns.T @ columns
    solution = np.zeros((columns.shape[1], Y.shape[1]))
    for _ in range(3):
        solution += np.linalg.solve(gram, columns.T @ (Y - columns @ solution))
    return solution[:-1].T, solution[-1]


def prediction_error(found: Solution, best: Solution, X: Array) -> float:
    """Return how far the predictions of `found` are from the best ones.

    The root mean square of the difference by the standard deviation of the best predictions,
    over the table's first rows, for the worst target. The difference is taken between the
    coefficients, so that it is resolved far below float64's rounding of the predictions.
    """
    rows = X[:SAMPLE].astype(np.float64)
    (W, b), (best_W, best_b) = found, best
    off = rows @ (W - best_W).T + (b - best_b)
    size = (rows @ best_W.T).std(axis=0)
    return float((np.sqrt((off * off).mean(axis=0)) / size).max())
