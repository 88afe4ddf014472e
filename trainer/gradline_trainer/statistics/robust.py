"""Standard errors that hold where the variance of the errors differs from row to row.

The coefficients of (weighted) least squares are (XᵀWX)⁻¹XᵀWy, and whatever the variance of each
row's error is, their covariance is about (XᵀWX)⁻¹ · Σ w²e²/(1 − h)^j xxᵀ · (XᵀWX)⁻¹, with the
residuals e and the leverages h: HC0 has j = 0 (White, 1980), HC1 is n/(n − p) times that, HC2 has
j = 1 and HC3 j = 2 (MacKinnon and White, 1985; HC3 is their jackknife but for terms of 1/n, as
statsmodels has it). The rows of a further pass are taken in whitened coordinates, where the sum in
the middle loses no digits to features of other scales or that go together.
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
from gradline_trainer.descent.problem import Problem
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows
from gradline_trainer.statistics.whitening import Whitening

__all__ = ["Robust", "measure_robust", "refuse_robust", "robust_warnings"]

Array = NDArray[np.float64]
Kind = Literal["HC0", "HC1", "HC2", "HC3"]
POWERS = {"HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2}
EPSILON = 2.0**-53
CHUNK = 1 << 18  # numbers of a block in whitened coordinates
LEAST_ROWS = 256
MOST = 1 << 24  # numbers of all the covariances together; a few times as many are held at once


@dataclass(frozen=True)
class Robust:
    """What is known of a fit whose errors may be of any variances.

    Attributes:
        kind: "HC0" to "HC3".
        covariance: Of each target's p estimated coefficients, the bias last, shape (k, p, p); None
            where rows have a leverage of 1 and the kind divides by 1 − h.
        f: Of Wald's test that every weight is 0, divided by their number; None where undefined.
        alone: How many rows have a leverage of 1.
    """

    kind: Kind
    covariance: Array | None
    f: list[float | None]
    alone: int


@dataclass(frozen=True)
class Middle:
    """Sums over rows.

    Attributes:
        products: Σ w²e²/(1 − h)^j qqᵀ of each target, shape (k, p, p).
        alone: How many rows have h = 1.
    """

    products: Array
    alone: int

    def merge(self, other: Middle) -> Middle:
        """Return those of both sets of rows."""
        return Middle(self.products + other.products, self.alone + other.alone)


@dataclass(frozen=True)
class Sandwich:
    """What the rows are judged by.

    Attributes:
        kind: "HC0" to "HC3".
        whitening: Of the fit.
        weights: W of the active features, shape (k, r).
        target_centre: The targets' means, shape (k,), and what rounding took from them; 0 without
            a bias. The optimum's plane goes through the means, so that b is not needed.
        condition: Estimated condition number of the features.
    """

    kind: Kind
    whitening: Whitening
    weights: Array
    target_centre: tuple[Array, Array]
    condition: float

    def about(self, walk: Walk) -> Robust:
        """Return the robust covariances from a pass over all the training rows."""
        p, total = len(self.whitening.root), walk.reader.counts.training
        # A chunk's product is p² numbers, which merge in less time than so many rows take.
        found = walk.total(Pass(self.middle, max(LEAST_ROWS, CHUNK // p, p)))
        assert found is not None  # noqa: S101 - of no rows, which are refused
        if found.alone and POWERS[self.kind]:
            return Robust(self.kind, None, [None] * len(self.weights), found.alone)
        middle = found.products * (total / (total - p) if self.kind == "HC1" else 1)
        root = self.whitening.root
        return Robust(
            self.kind,
            root.T @ middle @ root,
            [self._wald(*each) for each in zip(self.weights, middle, strict=True)],
            found.alone,
        )

    def middle(self, rows: Rows) -> Middle:
        """Return what rows add to the middle of the sandwich."""
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
        # As much may be rounding's: such a row decides a coefficient alone, whatever its target is.
        alone = left <= 16 * len(whitening.root) * self.condition * EPSILON
        left[alone] = np.inf
        residual /= left[:, None] ** (POWERS[self.kind] / 2)
        terms = (torch.from_numpy(white * residual[:, [t]]) for t in range(residual.shape[1]))
        return Middle(np.stack([(term.T @ term).numpy() for term in terms]), int(alone.sum()))

    def _wald(self, weights: Array, middle: Array) -> float | None:
        """Return wᵀV⁻¹w / r, V the covariance of the r weights, in whitened coordinates."""
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
    """Return the robust covariances of a fit, from one pass over its rows.

    They hold at the optimum only: None, and no row is read, if the run stopped before it, or if no
    degree of freedom is left.

    Args:
        kind: "HC0" to "HC3".
        walk: Over the rows.
        moments: The moments of the training rows.
        solution: What the run learned from them.
        problem: The problem that they state.
    """
    if not solution.converged:
        return None
    whitening = Whitening.of(moments, problem, solution.exact)
    if moments.rows <= len(whitening.root):
        return None
    weights = solution.weights.numpy()
    centre, rest = (part[weights.shape[1] :] for part in (moments.mean, moments.mean_rest))
    sandwich = Sandwich(
        kind,
        whitening,
        problem.rank.gathered(weights),
        (centre * whitening.bias, rest * whitening.bias),
        problem.condition,
    )
    return sandwich.about(walk)


def refuse_robust(features: int, targets: int) -> None:
    """Raise where the covariances of so many coefficients would not fit.

    Raises:
        InputError: Naming the numbers.
    """
    if targets * (features + 1) ** 2 > MOST:
        raise InputError(
            f"robust standard errors of {count(targets, 'target')} and "
            f"{count(features, 'feature')} take {targets:,} covariance matrices of "
            f"{features + 1:,} rows, together more than {MOST:,} numbers",
            code="bad-option",
            hint="leave --robust out, or give fewer features or targets",
        )


def robust_warnings(robust: Robust) -> list[str]:
    """Return what a person should know of them, where they are not defined."""
    if robust.covariance is not None:
        return []
    return [
        f"{robust.kind} standard errors are not defined: {count(robust.alone, 'row')} of leverage "
        "1, without which a coefficient could not be estimated; HC1 is defined"
    ]
