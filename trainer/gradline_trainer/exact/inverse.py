"""(XᵀWX)⁻¹ from the exact normal equations, to nearly every digit of float64.

With T near the inverse of A's Cholesky factor, M = T·A·Tᵀ is near the identity. It is multiplied in
integers, so it is known to its last bit. Then A⁻¹ = TᵀM⁻¹T loses hardly a digit in float64, however
ill-conditioned A is: its diagonal is a sum of squares. A T of few bits is near enough, and faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.descent.coordinates import inverse_root
from gradline_trainer.exact.basis import Basis
from gradline_trainer.exact.integers import Integers, align, integer_product, ratio, to_float, whole
from gradline_trainer.exact.system import ExactSystem

Array = NDArray[np.float64]
T_BITS = 60  # fractional bits of T
FEW_BITS = 36  # the same if T may be less accurate
MOST_INVERTED = 400  # features; more would take long


@dataclass(frozen=True, eq=False)
class ExactNormal:
    """The exact normal equations of the r active features, and an approximate inverse.

    Attributes:
        system: A and its scales.
        basis: The vectors that A belongs to.
        inverse: T near the inverse of A's factor, shape (r, r).
        active: The r features' places among the d, ascending.
    """

    system: ExactSystem = field(repr=False)
    basis: Basis = field(repr=False)
    inverse: Array = field(repr=False)
    active: list[int]

    @cached_property
    def root(self) -> Array:
        """U with UᵀU = (XᵀWX)⁻¹ in raw units, the bias last; see `inverse_root`."""
        system = self.system
        integers = whole(self.inverse, FEW_BITS)
        inverse = to_float(integers, FEW_BITS)
        # T multiplies A's rounding error from both sides; the result stays below 2^−64 of M.
        bits = 64 + 2 * math.frexp(float(np.linalg.norm(inverse)))[1] + len(integers).bit_length()
        left_out = max(2 * system.places - bits, 0)
        product = _product(integers, system.matrix >> left_out)
        factor = np.linalg.cholesky(to_float(product, 2 * system.places - left_out + 2 * FEW_BITS))
        kept = self.basis.kept
        powers = np.array(system.feature_units)[kept] - np.array(system.feature_exponents)[kept]
        least = int(powers.min(initial=0))
        centre = self.basis.vector_values(align(system.sums[kept], powers - least))
        least -= self.basis.bits + FEW_BITS
        moved = [ratio(int(v), 1, least) for v in integers.dot(centre)]
        solved = np.linalg.solve(factor, np.column_stack([inverse, moved]))
        return inverse_root(
            solved[:, :-1] @ self.basis.transform,
            solved[:, -1] if system.bias else None,
            system.scales(system.feature_exponents)[kept],
            ratio(system.weight, 1, 2 * system.unit),
        )

    def __getstate__(self) -> dict[str, Any]:
        # Pickle only the root: the integers that it comes from are many times larger.
        return {"active": self.active, "root": self.root}


def approximate_inverse(system: ExactSystem, factor: Tensor) -> tuple[Array, float]:
    """Compute T near the inverse of A's factor and a bound on ‖T·A·Tᵀ − I‖.

    The bound comes from float64 and a bound on its rounding (Higham, Accuracy and Stability,
    section 3.5). If it is not small, the product is computed in integers instead.
    """
    eye = torch.eye(len(factor), dtype=torch.float64)
    inverse = torch.linalg.solve_triangular(factor, eye, upper=False).numpy()
    quantised = np.ldexp(np.floor(np.ldexp(inverse, T_BITS)), -T_BITS)
    matrix, p = to_float(system.matrix, 2 * system.places), len(factor)
    rest = quantised @ matrix @ quantised.T - np.eye(p)
    rounding = (2 * p + 4) * 2.0**-52 * (np.abs(quantised) @ np.abs(matrix) @ np.abs(quantised.T))
    bound = float(np.linalg.norm(rest) + np.linalg.norm(rounding))
    if not bound < 1 / 16:
        bits = 2 * system.places + 2 * T_BITS
        one = np.eye(p, dtype=np.int64).astype(object) * (1 << bits)
        excess = _product(whole(quantised, T_BITS), system.matrix) - one
        bound = float(np.linalg.norm(to_float(excess, bits)))
    return quantised, bound * (1 + 1e-9)


def _product(outer: Integers, matrix: Integers) -> Integers:
    """Compute outer @ matrix @ outer.T."""
    return integer_product(outer, integer_product(matrix, outer.T))
