"""The least-squares problem of a wide table: stated by its columns' moments, one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gradline_trainer.descent.coordinates import tutorial_start
from gradline_trainer.moments.column_moments import ColumnMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.rows import Rows

__all__ = ["WideProblem", "state_wide_problem"]


@dataclass(frozen=True)
class WideProblem:
    """A least-squares problem over the r features that have more than one value, in float64.

    The loop runs on weights V: predictions are (x − shift) @ (V / scale).T + bias.

    Attributes:
        active: The r features' places among the d, ascending.
        constant: Places of features that have one value only, beside a bias.
        weight: Σw over the rows.
        centre: μ of the active features, shape (r,); 0 without a bias.
        shift: `centre` where the features are standardized, else 0.
        scale: The roots of the features' second moments with the penalty where they are
            standardized, else 1, shape (r,).
        penalty: ridge / Σw.
        bias: Whether there is a bias.
        targets: k.
        trace: Of the Hessian of one target: λmax can't be above it.
    """

    active: Tensor
    constant: list[int]
    weight: float
    centre: Tensor
    shift: Tensor
    scale: Tensor
    penalty: float
    bias: bool
    targets: int
    trace: float

    def start(self, features: int, options: Options) -> tuple[Tensor, Tensor]:
        """Return the loop's first weights (k, r) and bias (k,), in float64."""
        if options.preconditioning == "none":
            weights, bias = tutorial_start(self.targets, features, options.seed)
            return weights[:, self.active].double(), bias.double() * self.bias
        weights, bias = torch.zeros(self.targets, len(self.scale)), torch.zeros(self.targets)
        return weights.double(), bias.double()

    def shifted(self, rows: Rows) -> Tensor:
        """Return x − shift of a block's active features, shape (n, r), float64."""
        features = torch.from_numpy(rows.features)
        if self.constant:
            features = features[:, self.active]
        return features - self.shift

    def fold(self, working: Tensor, bias: Tensor, features: int) -> tuple[Tensor, Tensor]:
        """Return W (k, d) and b (k,) in raw units; features left out have weight 0."""
        weights = working / self.scale
        folded = torch.zeros(len(weights), features, dtype=torch.float64)
        folded[:, self.active] = weights
        return folded, bias - weights @ self.shift

    def gap_bound(self, by_weights: Tensor, by_bias: Tensor, loss: float) -> float:
        """Return what the loss is at most above its least value.

        With a ridge penalty no eigenvalue by the raw weights is below 2·penalty/k, so the gap
        ½·gᵀH⁻¹g is at most k/4·‖g‖²/penalty; the bias has the eigenvalue 2/k. The loss itself,
        which is never negative, is a bound too.
        """
        if not self.penalty:
            return loss
        by_raw = by_weights * self.scale - torch.outer(by_bias, self.centre - self.shift)
        squares = by_raw.square().sum() / self.penalty + by_bias.square().sum()
        return min(loss, float(squares) * self.targets / 4)


def state_wide_problem(moments: ColumnMoments, features: int, options: Options) -> WideProblem:
    """Return the problem of the columns [features, targets].

    Args:
        moments: Of p = d + k columns.
        features: d.
        options: For bias, ridge penalty and preconditioning.
    """
    d, penalty = features, float(options.ridge) / moments.weight
    mean, second = moments.mean[:d], moments.squares[:d] / moments.weight
    raw = second + mean**2
    centred = second if options.bias else raw
    one_value = (moments.minimum == moments.maximum)[:d] & options.bias
    left_out = one_value | (centred == 0)
    active = np.flatnonzero(~left_out)
    centre = torch.from_numpy(mean[active] * options.bias)
    standardized = options.preconditioning != "none"
    scale = torch.from_numpy(np.sqrt(centred[active] + penalty))
    trace = len(active) if standardized else float((raw[active] + penalty).sum())
    targets = len(moments.mean) - d
    return WideProblem(
        active=torch.from_numpy(active),
        constant=[int(j) for j in np.flatnonzero(left_out)],
        weight=moments.weight,
        centre=centre,
        shift=centre if standardized else torch.zeros_like(centre),
        scale=scale if standardized else torch.ones_like(scale),
        penalty=penalty,
        bias=options.bias,
        targets=targets,
        trace=2 / targets * (trace + options.bias),
    )
