"""Bounds on the effect of rounding on an optimum that was found in float64.

The loss is a quadratic. Rounding perturbs its matrix and its gradient. The perturbation theory of
linear systems (Higham, Accuracy and Stability, 2nd ed., ch. 7, with theorem 10.5 for the Cholesky
factorization) bounds how far that moves the minimum. Sums of n terms are assumed to have a relative
error of at most √n·u, which holds with high probability (Higham and Mary, SIAM J. Sci. Comput. 41,
2019). The condition is never estimated from below: the norm of the factor's inverse is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gradline_trainer.descent.problem import EPSILON, STRIP, Problem

RESOLVED = 1e-6  # share of the loss: if rounding may exceed it, the minimum is unknown


@dataclass(frozen=True)
class Rounding:
    """Bounds on the effect of rounding on the scaled normal matrix N ≈ LLᵀ and the gradient.

    Attributes:
        matrix: A bound on ‖L⁻¹·ΔN·L⁻ᵀ‖; from 1 on N may be singular, and there is no bound.
        gradient: A bound on ‖L⁻¹·δ‖ of each target, shape (k,), δ the error of half its gradient.
        loss: A bound on the error of the loss.
        reach: The largest move of W, in raw units, for each unit of a whitened step.
    """

    matrix: float
    gradient: Tensor
    loss: float
    reach: float

    def largest_gap(self, gaps: Tensor) -> float:
        """Bound the loss minus its minimum, from each target's part of the computed gap, (k,)."""
        if not self.matrix < 1 / 2:
            return math.inf
        k = len(gaps)
        steps = (gaps * k).sqrt() + self.gradient
        return float(steps.square().sum()) / k / (1 - self.matrix)

    def weights_error(self, gaps: Tensor, error: Tensor) -> float | None:
        """Bound ‖W − W*‖ (Frobenius, raw units) from its computed value; None if it is unknown."""
        if not self.matrix < 1 / 2:
            return None
        moved = self.matrix * (gaps * len(gaps)).sqrt() + self.gradient
        bound = float(error.norm() + self.reach * moved.norm() / (1 - self.matrix))
        return bound if math.isfinite(bound) else None


def relative_noise(features: int, rows: int) -> float:
    """Compute the relative rounding of sums over rows and of products over features."""
    return (4 * (features + 2) + math.sqrt(rows)) * EPSILON


def bound_rounding(
    problem: Problem, noise: float, sizes: Tensor, steepness: Tensor, loss: float, rows: int
) -> Rounding:
    """Bound the rounding errors of a problem and of the gradient at some weights.

    Args:
        problem: The problem, in float64.
        noise: The relative rounding of the gradient's terms.
        sizes: The size of each target's residual terms: the sum of their root mean squares,
            shape (k,).
        steepness: For each feature, the size of its gradient's terms relative to its scale, (r,).
        loss: A bound on the error of the loss.
        rows: n.
    """
    r = len(problem.scale)
    squares, moved, reach = 0.0, [torch.zeros(0, dtype=torch.float64)], [0.0]
    for k in range(0, r, STRIP):  # the inverse is lower triangular, and may be large
        stop = min(k + STRIP, r)
        strip = problem.inverse_factor[k:stop, :stop].abs()
        squares += float(strip.square().sum())
        moved.append(strip @ steepness[:stop])
        reach.append(float((strip / problem.scale[:stop]).norm()))
    matrix = relative_noise(r, rows) + problem.rounding
    return Rounding(
        matrix=matrix * squares,
        gradient=(noise + problem.rounding) * sizes * (torch.cat(moved).norm() + 1),
        loss=loss,
        reach=math.hypot(*reach),
    )
