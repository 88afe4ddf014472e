"""Linearly dependent features, and the minimum-norm weights with the same predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Dependence:
    """How q dependent features follow from the r active ones: z = C·x + offset, in raw units.

    Attributes:
        combination: C, shape (q, r).
        offset: Shape (q,); 0 without a bias.
        involved: Which active features appear in a dependent one, shape (r,).
        offset_matters: Which offsets are not 0, shape (q,).
    """

    combination: Array
    offset: Array
    involved: NDArray[np.bool_]
    offset_matters: NDArray[np.bool_]

    def shared(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the minimum-norm weights that predict as `weights` (k, r) of the active ones.

        With F = [I; C] they are F(FᵀF)⁻¹w; with F = QR that is QR⁻ᵀw.

        Returns:
            The weights of the active features, shape (k, r), and of the dependent ones, (k, q).
        """
        r = weights.shape[1]
        stacked = np.vstack([np.eye(r), self.combination])
        q, factor = np.linalg.qr(stacked)
        found = torch.from_numpy(q @ np.linalg.solve(factor.T, weights.numpy().T)).T
        return found[:, :r], found[:, r:]

    def gathered(self, active: Array, dependent: Array) -> Array:
        """Compute weights (k, r) of only the active features with the same predictions."""
        found: Array = active + dependent @ self.combination
        return found


@dataclass(frozen=True)
class Rank:
    """Which features are linearly independent, and how the others get their weights.

    Attributes:
        active: Places of the r linearly independent features, ascending.
        dependent: Places of the q features that are linear combinations of them.
        supposed: Those of the dependent features that a threshold judged, without proof.
        dependence: How the dependent ones follow from the active ones if they share the weights;
            None if the dependent ones get weight 0.
    """

    active: list[int]
    dependent: list[int]
    supposed: list[int]
    dependence: Dependence | None

    @property
    def inestimable(self) -> set[int]:
        """Places of the features whose weights the rows do not determine."""
        if self.dependence is None:
            return set(self.dependent)
        return {*self.dependent, *np.array(self.active)[self.dependence.involved].tolist()}

    @property
    def bias_estimable(self) -> bool:
        """Whether the rows determine the bias."""
        return self.dependence is None or not self.dependence.offset_matters.any()

    def placed(self, weights: Tensor, bias: Tensor, features: int) -> tuple[Tensor, Tensor]:
        """Build W (k, d) and b (k,) from weights (k, r) of the active features and their bias.

        Dependent features share the weights for minimum norm, or have weight 0. All other features
        have weight 0.
        """
        found = torch.zeros(len(weights), features, dtype=torch.float64)
        if self.dependence is not None:
            weights, others = self.dependence.shared(weights)
            found[:, self.dependent] = others
            bias = bias - others @ torch.from_numpy(self.dependence.offset)
        found[:, self.active] = weights
        return found, bias

    def gathered(self, weights: Array) -> Array:
        """Compute weights (k, r) of only the active features that predict as W (k, d)."""
        active: Array = weights[:, self.active]
        if self.dependence is None:
            return active
        return self.dependence.gathered(active, weights[:, self.dependent])
