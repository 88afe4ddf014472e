"""Choose the ridge penalty by cross-validation, from the moments of the folds alone.

For each fold, the features of the other folds give S = Q·diag(λ)·Qᵀ (about their mean; about 0
without a bias) and, with the targets, C. The weights for a penalty α are W = Q·(λ + α)⁻¹·QᵀC. The
fold's own moments, rotated by Q, give the mean squared error of these weights. So after one
eigendecomposition a penalty costs O(d²k), and no row is read again. The path and the rule are those
of glmnet's cv.glmnet (Friedman, Hastie and Tibshirani, 2010), with scikit-learn's `alpha`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.formatting import number
from gradline_trainer.descent.problem import EPSILON
from gradline_trainer.moments.folds import training_moments
from gradline_trainer.moments.moments import Moments, one_value

Array = NDArray[np.float64]
RATIOS = np.logspace(3, -9, 100)  # penalty / mean second moment of the features


@dataclass(frozen=True)
class RidgePath:
    """The cross-validated errors along a path of ridge penalties.

    An error is the mean over the targets of the mean squared error on the held-out fold, divided
    by the target's variance over all training rows. So it is 1 − R², and units don't matter.

    Attributes:
        folds: The number of folds.
        penalties: Descending; scikit-learn's `alpha`.
        errors: The mean error over the folds for each penalty.
        standard_errors: Of those means: the folds' standard deviation / √folds.
        chosen: The penalty with the least error; of equals the largest.
    """

    folds: int
    penalties: list[float]
    errors: list[float]
    standard_errors: list[float]
    chosen: float


def choose_ridge(
    whole: Moments, folds: Sequence[Moments], features: int, *, bias: bool
) -> RidgePath:
    """Compute the cross-validated error along a path of penalties, and choose the best.

    The path is Σw·tr(S)/d times 10^3 … 10^-9 in 100 even steps of the exponent. S is the covariance
    of the features over all training rows, or without a bias their second moment about 0.
    """
    d = features
    # If every feature is constant, no penalty matters.
    scale = float(np.mean(_second(whole, bias=bias).diagonal()[:d])) or 1.0
    with np.errstate(over="ignore"):
        penalties = scale * RATIOS
    if not np.isfinite(penalties[0]):
        raise InputError(
            "the features have values too large to penalise",
            code="out-of-range",
            hint="divide the features first",
        )
    variance = whole.comoment.diagonal()[d:] / whole.weight
    variance = np.where(variance > 0, variance, 1.0)  # a constant target has no error
    errors = np.array(
        [
            (_held_out_errors(others, fold, d, scale, bias=bias) / variance).mean(axis=1)
            for others, fold in zip(training_moments(folds), folds, strict=True)
        ]
    )
    mean = errors.mean(axis=0)
    return RidgePath(
        folds=len(folds),
        penalties=penalties.tolist(),
        errors=mean.tolist(),
        standard_errors=(errors.std(axis=0, ddof=1) / len(folds) ** 0.5).tolist(),
        chosen=float(penalties[np.argmin(mean)]),  # the first of equals is the largest
    )


def _second(moments: Moments, *, bias: bool) -> Array:
    """Compute Σw·zzᵀ about the mean, or without a bias about 0, shape (p, p)."""
    if bias:
        return moments.comoment
    return moments.comoment + moments.weight * np.outer(moments.mean, moments.mean)


def _held_out_errors(
    training: Moments, held_out: Moments, d: int, scale: float, *, bias: bool
) -> Array:
    """Compute the mean squared error for each penalty and target, shape (penalties, k).

    An error is at least the resolution of the moments, as in `Problem.resolution`.
    """
    second = _second(training, bias=bias) / scale
    values, vectors = np.linalg.eigh(second[:d, :d])
    damped = np.maximum(values, 0)[:, None, None] + RATIOS[:, None]
    weights = (vectors.T @ second[:d, d:])[:, None] / damped  # rotated by Q, (d, penalties, k)
    covariance = held_out.comoment / held_out.weight
    offset = held_out.mean + held_out.mean_rest
    if bias:
        offset = (held_out.mean - training.mean) + (held_out.mean_rest - training.mean_rest)
    rotated = vectors.T @ covariance[:d, :d] @ vectors
    cross = vectors.T @ covariance[:d, d:]
    power = covariance.diagonal()[d:]
    products = np.tensordot(rotated, weights, 1) - 2 * cross[:, None]
    squared = np.sum(weights * products, axis=0) + power
    squared += (np.tensordot(vectors.T @ offset[:d], weights, 1) - offset[d:]) ** 2
    noise = 2 * (d + 2) * EPSILON
    errors: Array = np.maximum(squared, noise * power + (noise * held_out.mean[d:]) ** 2)
    return errors


def path_warnings(path: RidgePath, whole: Moments, features: list[str]) -> list[str]:
    """Warn of a choice at the end of the path, and of features that every penalty suppresses."""
    found = []
    choice = f"the ridge penalty {number(path.chosen)} is the"
    if path.chosen == path.penalties[0]:
        found.append(
            f"{choice} largest that cross-validation tried: the features hardly help to predict "
            "new rows"
        )
    elif path.chosen == path.penalties[-1]:
        found.append(
            f"{choice} smallest that cross-validation tried: a smaller one may be better, "
            "try --ridge 0"
        )
    squares = whole.comoment.diagonal()[: len(features)]
    varies = ~one_value(whole)[: len(features)]
    tiny = np.flatnonzero(varies & (squares < path.penalties[-1]))
    if len(tiny):
        found.append(
            f"{features[tiny[0]]!r} varies so little beside other features that every penalty "
            "tried suppresses its weight: multiply the column by a constant"
        )
    return found
