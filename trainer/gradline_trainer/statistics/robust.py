"""Compute standard errors that hold if the errors' variance differs from row to row.

The coefficients of (weighted) least squares are (XᵀWX)⁻¹XᵀWy. For any variances of the errors
their covariance is about (XᵀWX)⁻¹ · Σ w²e²/(1 − h)^j xxᵀ · (XᵀWX)⁻¹, with residuals e and leverages
h: HC0 has j = 0 (White, 1980), HC1 is n/(n − p) times that, HC2 has j = 1 and HC3 j = 2 (MacKinnon
and White, 1985; HC3 is their jackknife up to terms of 1/n, as in statsmodels). A further pass over
the rows computes the sum in whitened coordinates, in which features of different scales, or nearly
dependent ones, cost no digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.formatting import count
from gradline_trainer.descent.losses import Solution
from gradline_trainer.descent.problem import EPSILON, Problem
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows
from gradline_trainer.statistics.whitening import Whitening

Array = NDArray[np.float64]
Kind = Literal["HC0", "HC1", "HC2", "HC3"]
POWERS = {"HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2}
CHUNK = 1 << 18  # numbers of a batch in whitened coordinates
LEAST_ROWS = 256
MOST = 1 << 24  # numbers of all covariances together; a few times as many are in memory at once


@dataclass(frozen=True)
class Robust:
    """The covariances of a fit's coefficients, for errors of any variances."""

    kind: Kind
    covariance: Array | None  # (k, p, p), the bias last; None if it divides by a row's 1 − h = 0
    f: list[float | None]  # Wald's test that all weights are 0, divided by their number
    alone: int  # rows of leverage 1


@dataclass(frozen=True)
class Middle:
    """The middle of the sandwich, a sum over rows."""

    products: Array  # Σ w²e²/(1 − h)^j qqᵀ of each target, (k, p, p)
    alone: int  # rows with h = 1

    def merge(self, other: Middle) -> Middle:
        """Add the sums of other rows."""
        return Middle(self.products + other.products, self.alone + other.alone)


@dataclass(frozen=True)
class Sandwich:
    """Computes the middle of the sandwich from rows, at the fit's weights."""

    kind: Kind
    whitening: Whitening
    weights: Array  # W of the r active features, (k, r)
    target_centre: tuple[Array, Array]  # means (k,), their rounding errors; 0 without a bias
    condition: float  # of the features, estimated

    def middle(self, rows: Rows) -> Middle:
        """Compute the middle of a batch of rows."""
        whitening = self.whitening
        centred = whitening.centred(rows.features)
        centre, rest = self.target_centre
        # PyTorch's products take one thread in a pass.
        sides = torch.from_numpy(np.vstack([whitening.factor, self.weights]))
        moved = (torch.from_numpy(centred) @ sides.T).numpy()
        white, predicted = np.split(moved, [centred.shape[1]], axis=1)
        residual = ((rows.targets - centre) - rest) - predicted
        if whitening.bias:
            level = np.full((len(white), 1), whitening.root[-1, -1])
            white = np.hstack([white, level])
        if rows.weights is not None:
            root = np.sqrt(rows.weights)[:, None]
            white, residual = white * root, residual * root
        left = 1 - np.einsum("ij,ij->i", white, white)
        # Within rounding of 0: this row alone determines a coefficient.
        alone = left <= 16 * len(whitening.root) * self.condition * EPSILON
        left[alone] = np.inf
        residual /= left[:, None] ** (POWERS[self.kind] / 2)
        terms = (torch.from_numpy(white * residual[:, [t]]) for t in range(residual.shape[1]))
        return Middle(np.stack([(term.T @ term).numpy() for term in terms]), int(alone.sum()))

    def wald(self, weights: Array, middle: Array) -> float | None:
        """Compute wᵀV⁻¹w / r in whitened coordinates; V is the covariance of the r weights."""
        r = len(weights)
        try:
            half = np.linalg.cholesky(middle[:r, :r])
            moved = np.linalg.solve(half, np.linalg.solve(self.whitening.factor.T, weights))
        except np.linalg.LinAlgError:
            return None
        return float(moved @ moved) / r if r else None


def measure_robust(
    kind: Kind, walk: Walk, moments: Moments, solution: Solution, problem: Problem
) -> Robust | None:
    """Compute the robust covariances of a fit in one pass over its rows.

    None, without a pass, if the run ended before the optimum or no degree of freedom is left.
    """
    if not solution.converged:
        return None
    whitening = Whitening.of(moments, problem, solution.exact)
    root = whitening.root
    p, total = len(root), walk.reader.counts.training
    if moments.rows <= p:
        return None
    weights = solution.weights.numpy()
    centre, rest = (
        part[weights.shape[1] :] * whitening.bias for part in (moments.mean, moments.mean_rest)
    )
    active = problem.rank.gathered(weights)
    sandwich = Sandwich(kind, whitening, active, (centre, rest), problem.condition)
    # A batch's result has p² numbers, so a batch has at least p rows.
    found = walk.total(Pass(sandwich.middle, max(LEAST_ROWS, CHUNK // p, p)))
    assert found is not None  # noqa: S101 - a run without rows is refused
    if found.alone and POWERS[kind]:
        return Robust(kind, None, [None] * len(active), found.alone)
    middle = found.products * (total / (total - p) if kind == "HC1" else 1)
    f = [sandwich.wald(*each) for each in zip(active, middle, strict=True)]
    return Robust(kind, root.T @ middle @ root, f, found.alone)


def refuse_robust(features: int, targets: int) -> None:
    """Raise if the covariances of so many coefficients do not fit in memory."""
    if targets * (features + 1) ** 2 > MOST:
        raise InputError(
            f"robust standard errors of {count(targets, 'target')} and "
            f"{count(features, 'feature')} take {targets:,} covariance matrices of "
            f"{features + 1:,} rows, together more than {MOST:,} numbers",
            code="bad-option",
            hint="leave --robust out, or give fewer features or targets",
        )


def robust_warnings(robust: Robust) -> list[str]:
    """Warn if the robust standard errors are not defined."""
    if robust.covariance is not None:
        return []
    return [
        f"{robust.kind} standard errors are not defined: {count(robust.alone, 'row')} with "
        "leverage 1, without which a coefficient could not be estimated; HC1 is defined"
    ]
