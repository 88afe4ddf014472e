"""(XᵀWX)⁻¹ from the exact normal equations, to nearly every digit of float64.

With T near the inverse of A's Cholesky factor, M = T·A·Tᵀ is near the identity, and computed in
integers it is known to its last bit. So A⁻¹ = TᵀM⁻¹T loses hardly a digit in float64, however
ill-conditioned A is: its diagonal is a sum of squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.exact_system import ExactSystem
from gradline_trainer.integers import Integers, align, integer_product, ratio, whole

__all__ = ["ExactNormal", "approximate_inverse", "inverse_root"]

Array = NDArray[np.float64]
T_BITS = 60  # after the point of T


@dataclass(frozen=True)
class ExactNormal:
    """The exact normal equations of the r active features, and what inverts them.

    Attributes:
        system: A and its scales.
        inverse: T near the inverse of A's factor, a multiple of 2^−60, shape (r, r).
        active: The r features' places among the d, ascending.
    """

    system: ExactSystem
    inverse: Array
    active: list[int]

    def root(self) -> Array:
        """Return U with UᵀU = (XᵀWX)⁻¹ in raw units, the bias last; see `inverse_root`."""
        system = self.system
        integers = whole(self.inverse, T_BITS)
        factor = np.linalg.cholesky(np.eye(len(integers)) + _excess(system, integers))
        powers = [
            u - e for u, e in zip(system.feature_units, system.feature_exponents, strict=True)
        ]
        least = min(powers, default=0)
        centre = align(system.sums, np.array([p - least for p in powers], np.int64))
        moved = [ratio(int(v), 1, least - T_BITS) for v in integers.dot(centre)]
        solved = np.linalg.solve(factor, np.column_stack([self.inverse, moved]))
        return inverse_root(
            solved[:, :-1],
            solved[:, -1] if system.bias else None,
            system.feature_scale(),
            ratio(system.weight, 1, 2 * system.unit),
        )


def inverse_root(whitening: Array, centre: Array | None, scale: Array, weight: float) -> Array:
    """Return U with UᵀU = (XᵀWX)⁻¹, X the features and, where there is a bias, a column of ones.

    Args:
        whitening: V with VᵀV the inverse of the scaled normal matrix, shape (r, r).
        centre: V times the features' scaled means, shape (r,); None without a bias.
        scale: Of the features, shape (r,).
        weight: Σw.
    """
    scaled = whitening / scale
    if centre is not None:
        corner = np.append(np.zeros(len(scaled)), 1.0)
        scaled = np.vstack([np.column_stack([scaled, -centre]), corner])
    root: Array = scaled / np.sqrt(weight)
    return root


def approximate_inverse(system: ExactSystem, factor: Tensor) -> tuple[Array, float]:
    """Return T near the inverse of A's factor and a bound on ‖T·A·Tᵀ − I‖.

    In float64 with the bound on its rounding (Higham, Accuracy and Stability, section 3.5) where
    that is small; else the product is computed in integers.
    """
    eye = torch.eye(len(factor), dtype=torch.float64)
    inverse = torch.linalg.solve_triangular(factor, eye, upper=False).numpy()
    integers = whole(inverse, T_BITS)
    quantised: Array = (integers / (1 << T_BITS)).astype(np.float64)
    matrix, p = system.rounded(), len(factor)
    rest = quantised @ matrix @ quantised.T - np.eye(p)
    rounding = (2 * p + 4) * 2.0**-52 * (np.abs(quantised) @ np.abs(matrix) @ np.abs(quantised.T))
    bound = float(np.linalg.norm(rest) + np.linalg.norm(rounding))
    if not bound < 1 / 16:
        bound = float(np.linalg.norm(_excess(system, integers)))
    return quantised, bound * (1 + 1e-9)


def _excess(system: ExactSystem, integers: Integers) -> Array:
    """Return T·A·Tᵀ − I, correctly rounded, for T in units of 2^−60."""
    product = integer_product(integers, integer_product(system.matrix, integers.T))
    one = 1 << (2 * system.places + 2 * T_BITS)
    excess = product - np.eye(len(integers), dtype=np.int64).astype(object) * one
    rounded: Array = (excess / one).astype(np.float64)
    return rounded
