"""The coordinates that the loop runs in, and the way back to the table's units.

A preconditioning is a linear change of variables: predictions are (x − shift) @ W.T + bias, and
W comes from the loop's own weights V. Whatever V is, `fold` gives the same function in raw units.

    none         W = V, shift 0                   the tutorial's own coordinates
    standardize  W = V / scale, shift μ           every feature has unit deviation
    whiten       W = V L⁻¹ / scale, shift μ       the Hessian is (2/k)·I: one step is the answer
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.descent.problem import FEW_FEATURES, ColumnProblem, Problem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnCoordinates:
    """A change of variables that takes each column alone: `none` or `standardize`.

    Attributes:
        problem: In raw units.
        kind: The preconditioning.
    """

    problem: ColumnProblem
    kind: Literal["none", "standardize", "whiten"]

    @property
    def shift(self) -> Tensor:
        """What is subtracted from the r active features, shape (r,)."""
        return torch.zeros_like(self.problem.centre) if self.kind == "none" else self.problem.centre

    def start(self, features: int, seed: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Choose the loop's first weights (k, r) and bias (k,).

        Without preconditioning they are the tutorial's, drawn in float32 for all d features.
        Otherwise they are 0, and the first loss is the targets' mean square.
        """
        k = self.problem.targets
        if self.kind == "none":
            weights, bias = _tutorial_start(k, features, seed)
            if len(self.problem.active) < features:
                weights = weights[:, self.problem.active]
        else:
            weights, bias = torch.zeros(k, len(self.problem.active)), torch.zeros(k)
        if not self.problem.bias:
            bias = torch.zeros(k)
        return weights.to(dtype), bias.to(dtype)

    def weights(self, working: Tensor) -> Tensor:
        """Compute W (k, r) in raw units for the loop's weights, differentiably."""
        return working if self.kind == "none" else working / self.problem.scale

    def fold(self, working: Tensor, bias: Tensor, features: int) -> tuple[Tensor, Tensor]:
        """Compute W (k, d) and b (k,) in raw units, float64; see `Rank.placed`."""
        weights = self.weights(working.double())
        return self.problem.rank.placed(weights, bias.double() - weights @ self.shift, features)


@dataclass(frozen=True)
class Coordinates(ColumnCoordinates):
    """A change of variables of a problem whose normal matrix, and so whose Hessian, is known."""

    problem: Problem

    def weights(self, working: Tensor) -> Tensor:
        """Compute W (k, r) in raw units for the loop's weights, differentiably."""
        if self.kind != "whiten":
            return super().weights(working)
        if len(self.problem.active) > FEW_FEATURES:  # without a second large factor
            factor = self.problem.factor
            scaled: Tensor = torch.linalg.solve_triangular(factor, working, upper=False, left=False)
            return scaled / self.problem.scale
        raw: Tensor = torch.linalg.solve_triangular(
            self._raw_factor, working, upper=False, left=False
        )
        return raw

    @cached_property
    def _raw_factor(self) -> Tensor:
        """The lower Cholesky factor of N with its penalty in raw units, shape (r, r)."""
        return self.problem.scale[:, None] * self.problem.factor

    def gap(self, weights_gradient: Tensor, bias_gradient: Tensor) -> float:
        """Compute ½·gᵀH⁻¹g, the loss minus its minimum; see `gaps`."""
        return float(self.gaps(weights_gradient, bias_gradient).sum())

    def gaps(self, weights_gradient: Tensor, bias_gradient: Tensor) -> Tensor:
        """Compute each target's part of the gap, shape (k,).

        Args:
            weights_gradient: By the loop's weights, shape (k, r).
            bias_gradient: By the loop's bias, shape (k,); 0 without a bias.
        """
        problem = self.problem
        gradient, offset = weights_gradient.double(), bias_gradient.double()
        if self.kind == "none":
            gradient = (gradient - torch.outer(offset, problem.centre)) / problem.scale
        if self.kind != "whiten":
            gradient = torch.linalg.solve_triangular(problem.factor, gradient.T, upper=False).T
        squares: Tensor = gradient.square().sum(1) + offset.square()
        return problem.targets / 4 * squares

    def error(self, weights_gradient: Tensor, bias_gradient: Tensor) -> Tensor:
        """Compute W − W*, how far the weights are from the optimum in raw units, shape (k, r).

        Args:
            weights_gradient: By the loop's weights, shape (k, r).
            bias_gradient: By the loop's bias, shape (k,); 0 without a bias.
        """
        problem = self.problem
        gradient = problem.targets / 2 * weights_gradient.double()
        if self.kind == "whiten":
            return self.weights(gradient)
        if self.kind == "none":
            offset = problem.targets / 2 * bias_gradient.double()
            gradient = (gradient - torch.outer(offset, problem.centre)) / problem.scale
        error: Tensor = torch.cholesky_solve(gradient.T, problem.factor).T / problem.scale
        return error

    @cached_property
    def curvature(self) -> tuple[Tensor, Tensor]:
        """The Hessian's eigenvalues, ascending, and eigenvectors, one per column.

        The variables are the r weights of one target and its bias, if there is one.
        """
        matrix = self._curvature_matrix()
        if self.kind == "whiten":
            values, vectors = torch.ones(len(matrix), dtype=torch.float64), matrix
        else:
            values, vectors = torch.linalg.eigh(matrix)
        return values * (2 / self.problem.targets), vectors

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The Hessian's smallest and largest eigenvalue."""
        unit = 2 / self.problem.targets
        if self.kind == "whiten":
            return unit, unit
        values = torch.linalg.eigvalsh(self._curvature_matrix())
        return float(values[0]) * unit, float(values[-1]) * unit

    @property
    def steepest(self) -> float:
        """The Hessian's largest eigenvalue λmax: a learning rate from 2/λmax on diverges."""
        return self.extremes[1]

    def _curvature_matrix(self) -> Tensor:
        problem = self.problem
        if self.kind == "whiten":
            matrix = torch.eye(len(problem.active), dtype=torch.float64)
        elif self.kind == "standardize":
            matrix = problem.scaled_normal()
        else:
            matrix = problem.scaled_normal() * torch.outer(problem.scale, problem.scale)
            matrix = matrix + torch.outer(problem.centre, problem.centre)
        if not problem.bias:
            return matrix
        edge = (problem.centre if self.kind == "none" else torch.zeros_like(problem.centre))[
            :, None
        ]
        corner = torch.ones(1, 1, dtype=torch.float64)
        return torch.cat([torch.cat([matrix, edge], 1), torch.cat([edge.T, corner], 1)])


def _tutorial_start(targets: int, features: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the tutorial's first weights (k, d) and bias (k,), in float32."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(targets, features, generator=generator, dtype=torch.float32)
    return weights, torch.rand(targets, generator=generator, dtype=torch.float32)


def inverse_root(whitening: Array, centre: Array | None, scale: Array, weight: float) -> Array:
    """Compute U with UᵀU = (XᵀWX)⁻¹, X the features and, with a bias, a column of ones.

    Args:
        whitening: V with VᵀV the inverse of the scaled normal matrix, shape (r, r).
        centre: V times the features' scaled means, shape (r,); None without a bias.
        scale: The features' scales, shape (r,).
        weight: Σw.
    """
    r = len(scale)
    size = r if centre is None else r + 1
    root = np.zeros((size, size))
    np.divide(whitening, scale, out=root[:r, :r])
    if centre is not None:
        root[:r, -1], root[-1, -1] = -centre, 1.0
    root /= np.sqrt(weight)
    return root
