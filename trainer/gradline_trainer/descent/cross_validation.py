"""How well a model predicts rows that it was not trained on, from the moments of the folds.

Each fold is predicted by the least squares of the other folds. The fold's own moments give the
squared errors, so no row is read again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from gradline_trainer.descent.problem import FEW_FEATURES, cholesky
from gradline_trainer.moments.folds import training_moments
from gradline_trainer.moments.moments import Moments

Array = NDArray[np.float64]
LEAST_ROWS = 50
ROWS_PER_COEFFICIENT = 2
NEGLIGIBLE = 1e-10  # relative eigenvalues that count as 0


def cross_validated(
    whole: Moments, folds: Sequence[Moments], features: int, *, penalty: float, bias: bool
) -> Array | None:
    """Compute the mean squared error of the predictions of all folds, shape (k,).

    None for fewer than 50 rows, and for fewer than 2 rows for each coefficient in the rows that
    predict a fold.

    Args:
        whole: The moments of all training rows of [features, targets].
        folds: Those of each fold.
        features: d.
        penalty: The ridge penalty.
        bias: Whether the model has a bias.
    """
    least = whole.rows - max((fold.rows for fold in folds), default=whole.rows)
    if whole.rows < LEAST_ROWS or least < ROWS_PER_COEFFICIENT * (features + bias):
        return None
    total: Array = np.zeros(len(whole.mean) - features)
    for others, fold in zip(training_moments(folds), folds, strict=True):
        weights, constant = _solve(others, features, penalty, bias=bias)
        residual = np.hstack([weights, -np.eye(len(total))])
        offset = residual @ (fold.mean + fold.mean_rest) + constant
        spread = np.einsum("ij,ij->i", residual @ fold.comoment, residual)
        total = total + np.maximum(spread, 0) + fold.weight * offset**2
    return total / whole.weight


def _solve(moments: Moments, d: int, penalty: float, *, bias: bool) -> tuple[Array, Array]:
    """Solve least squares from moments: W (k, d) and b (k,)."""
    second, mean = moments.comoment, moments.mean + moments.mean_rest
    if not bias:
        second = second + moments.weight * np.outer(mean, mean)
    normal = second[:d, :d] + penalty * np.eye(d)
    scale = np.sqrt(np.maximum(normal.diagonal(), 0))
    varies = np.flatnonzero(scale > 0)
    scaled = normal[np.ix_(varies, varies)] / np.outer(scale[varies], scale[varies])
    cross = second[varies, d:] / scale[varies, None]
    weights = np.zeros((second.shape[0] - d, d))
    weights[:, varies] = (_divided(scaled, cross) / scale[varies, None]).T
    constant = mean[d:] - weights @ mean[:d] if bias else np.zeros(len(weights))
    return weights, constant


def _divided(matrix: Array, right: Array) -> Array:
    """Solve for a semidefinite matrix with a unit diagonal; of least norm if it is singular."""
    factor = cholesky(matrix)
    if factor is not None and bool((factor.diagonal() ** 2 > len(matrix) * 2.0**-40).all()):
        if len(matrix) > FEW_FEATURES:  # a second factorisation would take twice as long
            return torch.cholesky_solve(torch.from_numpy(right), factor).numpy()
        return np.asarray(np.linalg.solve(matrix, right))
    values, vectors = np.linalg.eigh(matrix)
    kept = values > NEGLIGIBLE * values[-1]
    return np.asarray(vectors[:, kept] @ ((vectors[:, kept].T @ right) / values[kept, None]))
