"""Make tables of any shape, and measure how far a solution is from the least-squares one.

The features are standard normal. On raw units, iterative rivals would need thousands of epochs
more; for direct ones it makes no difference.
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
SAMPLE = 10_000  # rows for comparing two solutions


def draw(n: int, d: int, k: int, dtype: DType = "float64") -> tuple[Array, Array]:
    """Draw X (n, d) and Y = X @ W.T + b + noise (n, k), the same at every call."""
    generator = np.random.default_rng(20)
    X: Array = generator.standard_normal((n, d), dtype=dtype)
    Y: Array = generator.standard_normal((n, k), dtype=dtype)
    Y *= NOISE
    Y += X @ generator.standard_normal((d, k)).astype(dtype) + 1
    return X, Y


def optimum(X: Array, Y: Array) -> Solution:
    """Compute the least-squares solution in float64, accurate to a few roundings.

    Normal equations, refined on the rows themselves (Björck, Numerical Methods for Least Squares
    Problems, section 2.9): enough if the columns are nearly orthogonal, as here.
    """
    columns = np.column_stack([X, np.ones(len(X))]).astype(np.float64, copy=False)
    gram = columns.T @ columns
    solution = np.zeros((columns.shape[1], Y.shape[1]))
    for _ in range(3):
        solution += np.linalg.solve(gram, columns.T @ (Y - columns @ solution))
    return solution[:-1].T, solution[-1]


def prediction_error(found: Solution, best: Solution, X: Array) -> float:
    """Measure how far the predictions of `found` are from the best ones.

    The root mean square of the difference, divided by the standard deviation of the best
    predictions, over the table's first rows, for the worst target. It is computed from the
    difference of the coefficients, so it shows errors far below the rounding of predictions.
    """
    rows = X[:SAMPLE].astype(np.float64)
    (W, b), (best_W, best_b) = found, best
    off = rows @ (W - best_W).T + (b - best_b)
    size = (rows @ best_W.T).std(axis=0)
    return float((np.sqrt((off * off).mean(axis=0)) / size).max())
