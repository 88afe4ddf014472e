"""The solution in exact arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.exact.inverse import ExactNormal
from gradline_trainer.moments.pickling import SavedAsArrays

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ExactSolution(SavedAsArrays):
    """The correctly rounded solution, and what is known about it.

    Attributes:
        weights: W, shape (k, d), float64; features left out have weight 0.
        bias: b, shape (k,), float64.
        weights_rest: The rounding errors of W: W + weights_rest has about 106 bits.
        bias_rest: The rounding errors of b.
        uncertified: (target, feature) places of coefficients whose enclosure does not round to one
            float64; the feature is d for the bias.
        zeros: Places of coefficients that are 0 because a negligible enclosure contains 0.
        residual_squares: Σw·residual² of each target at the exact solution, to about the last
            bit, shape (k,), with the ridge penalty.
        least: The loss at the exact solution; None if the rounding of the factor has no bound.
        normal: Gives (XᵀWX)⁻¹; None above MOST_INVERTED features.
    """

    weights: Tensor
    bias: Tensor
    weights_rest: Tensor
    bias_rest: Tensor
    uncertified: list[tuple[int, int]]
    zeros: list[tuple[int, int]]
    residual_squares: Array
    least: float | None
    normal: ExactNormal | None
