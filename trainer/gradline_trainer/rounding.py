"""Bounds on what rounding did to an optimum that was found in float64.

The loss is a quadratic. Rounding perturbs its matrix and its gradient, and the perturbation theory
of linear systems (Higham, Accuracy and Stability, 2nd ed., ch. 7, with theorem 10.5 for Cholesky's
own rounding) tells how far that moves the minimum. Sums of n terms are taken to be wrong by √n·u,
which holds with high probability (Higham and Mary, SIAM J. Sci. Comput. 41, 2019). The condition
is never estimated from below: the norm of the factor's inverse is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gradline_trainer.problem import Problem

__all__ = ["EPSILON", "RESOLVED", "Rounding", "bound_rounding", "relative_noise"]

EPSILON = 2.0**-53
RESOLVED = 1e-6  # of the loss: rounding that moves it by more leaves its least value unknown


@dataclass(frozen=True)
class Rounding:
    """What rounding may have done to the scaled normal matrix N ≈ LLᵀ and to the gradient.

    Attributes:
        matrix: A bound on ‖L⁻¹·ΔN·L⁻ᵀ‖; from 1 on N may be singular, and nothing is known.
        gradient: A bound on ‖L⁻¹·δ‖ of each target, shape (k,), δ the error of half its gradient.
        loss: A bound on the error of the loss.
        reach: How far W moves at most, in raw units, for each unit of a whitened step.
    """

    matrix: float
    gradient: Tensor
    loss: float
    reach: float

    def largest_gap(self, gaps: Tensor) -> float:
        """Bound how far the loss is above its least value.

        Args:
            gaps: What each target adds to the gap as computed, shape (k,).
        """
        if not self.matrix < 1 / 2:
            return math.inf
        k = len(gaps)
        steps = (gaps * k).sqrt() + self.gradient
        return float(steps.square().sum()) / k / (1 - self.matrix)

    def weights_error(self, gaps: Tensor, error: Tensor) -> float | None:
        """Bound ‖W − W*‖ (Frobenius, raw units); None where rounding leaves it unknown.

        Args:
            gaps: As in `largest_gap`.
            error: W − W* as computed, shape (k, r).
        """
        if not self.matrix < 1 / 2:
            return None
        moved = self.matrix * (gaps * len(gaps)).sqrt() + self.gradient
        bound = float(error.norm() + self.reach * moved.norm() / (1 - self.matrix))
        return bound if math.isfinite(bound) else None


def relative_noise(features: int, rows: int) -> float:
    """Return the relative rounding of sums over the rows and of products over the features."""
    return (4 * (features + 2) + math.sqrt(rows)) * EPSILON


def bound_rounding(
    problem: Problem, noise: float, sizes: Tensor, steepness: Tensor, loss: float, rows: int
) -> Rounding:
    """Bound what rounding did to a problem and to the gradient at some weights.

    Args:
        problem: In float64.
        noise: Relative rounding of the gradient's terms.
        sizes: The root mean square of the terms that each target's residual is a sum of, added
            up, shape (k,).
        steepness: Of each feature, how large the terms of its gradient are beside its scale, (r,).
        loss: A bound on the error of the loss.
        rows: n.
    """
    r = len(problem.scale)
    factor = problem.factor
    inverse = torch.linalg.solve_triangular(
        factor, torch.eye(r, dtype=torch.float64), upper=False
    ).abs()
    matrix = relative_noise(r, rows) + problem.rounding
    return Rounding(
        matrix=matrix * float(inverse.square().sum()),
        gradient=(noise + problem.rounding) * sizes * ((inverse @ steepness).norm() + 1),
        loss=loss,
        reach=float((inverse / problem.scale).norm()),
    )
