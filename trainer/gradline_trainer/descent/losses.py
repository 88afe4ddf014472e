"""Where loss and gradient come from: the rows themselves, or their moments.

Both are differentiable functions of the loop's weights and bias, so the loop can't tell them
apart. The loss is the (weighted) mean over rows and the plain mean over targets of the squared
residual, plus ridge/(k·Σw)·‖W‖².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gradline_trainer.descent.coordinates import Coordinates
from gradline_trainer.descent.rounding import Rounding, bound_rounding, relative_noise
from gradline_trainer.rows.rows import Rows

__all__ = ["MomentsLoss", "RowsLoss"]


@dataclass(frozen=True)
class RowsLoss:
    """The loss over the rows: O(n·d·k) an epoch.

    Attributes:
        coordinates: That the weights are in.
        features: x − shift of the active features, shape (n, r).
        targets: Shape (n, k).
        sample_weights: Shape (n, 1), or None.
    """

    coordinates: Coordinates
    features: Tensor
    targets: Tensor
    sample_weights: Tensor | None

    resolution = 0.0

    @classmethod
    def over(cls, rows: Sequence[Rows], coordinates: Coordinates, *, in_float32: bool) -> RowsLoss:
        """Return the loss over all the rows, in one tensor."""
        dtype = np.float32 if in_float32 else np.float64
        active = coordinates.problem.active.numpy()
        features = np.concatenate([r.features[:, active] for r in rows])
        targets = np.concatenate([r.targets for r in rows])
        weights = [r.weights for r in rows if r.weights is not None]
        with np.errstate(over="ignore"):  # an infinity shows in the loss, and is diagnosed there
            return cls(
                coordinates,
                torch.from_numpy((features - coordinates.shift.numpy()).astype(dtype, order="C")),
                torch.from_numpy(targets.astype(dtype, order="C")),
                torch.from_numpy(np.concatenate(weights).astype(dtype)[:, None])
                if weights
                else None,
            )

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Return the loss at weights (k, r) and bias (k,)."""
        raw = self.coordinates.weights(weights)
        predictions = self.features @ raw.t() + bias
        residual = predictions - self.targets
        if self.sample_weights is None:
            loss = torch.sum(residual * residual) / residual.numel()
        else:
            squares = self.sample_weights * residual * residual
            loss = torch.sum(squares) / (self.sample_weights.sum() * residual.shape[1])
        return with_penalty(loss, self.coordinates, raw)

    def rounding(self, weights: Tensor, bias: Tensor, value: float) -> Rounding:
        """Bound the float64 rounding at weights (k, r) and bias (k,); see `MomentsLoss`."""
        problem, (n, r) = self.coordinates.problem, self.features.shape
        sizes, steepness = _magnitudes(self.coordinates, weights, bias, centred=False)
        noise = relative_noise(r, n)
        error = noise * sizes
        loss = float(((2 * (problem.targets * value) ** 0.5 + error) * error).mean())
        return bound_rounding(problem, noise, sizes, steepness, loss, n)


@dataclass(frozen=True)
class MomentsLoss:
    """The same loss from the moments: O(d²·k) an epoch, whatever the number of rows.

    Attributes:
        coordinates: That the weights are in.
        rows: How many rows the moments are sums over.
    """

    coordinates: Coordinates
    rows: int

    @property
    def resolution(self) -> float:
        """A loss below this can't be told from 0: it is a difference of numbers of that error."""
        return float(self.coordinates.problem.resolution.mean())

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Return the loss at weights (k, r) and bias (k,)."""
        problem = self.coordinates.problem
        raw = self.coordinates.weights(weights)
        at_centre = bias - problem.target_centre
        if self.coordinates.kind == "none":
            at_centre = raw @ problem.centre + at_centre
        # raw N rawᵀ − 2 raw·cross summed over the targets, in few operations: to a small table an
        # epoch costs what they do.
        slope = torch.addmm(problem.cross.T, raw, problem.normal, beta=-2)
        squares = (slope * raw).sum() + (at_centre * at_centre).sum() + problem.power.sum()
        return with_penalty(squares / problem.targets, self.coordinates, raw)

    def rounding(self, weights: Tensor, bias: Tensor, value: float) -> Rounding:
        """Bound the rounding error at weights (k, r) and bias (k,); the loss there is `value`."""
        problem = self.coordinates.problem
        sizes, steepness = _magnitudes(self.coordinates, weights, bias, centred=True)
        noise = relative_noise(len(problem.scale), self.rows)
        loss = self.resolution + (noise + problem.rounding) * float(sizes.square().mean())
        return bound_rounding(problem, noise, sizes, steepness, loss, self.rows)


def with_penalty(loss: Tensor, coordinates: Coordinates, raw: Tensor) -> Tensor:
    """Return loss + ridge/(k·Σw)·‖W‖² for raw weights (k, r)."""
    problem = coordinates.problem
    if not problem.penalty:
        return loss
    return loss + problem.penalty / problem.targets * raw.square().sum()


def _magnitudes(
    coordinates: Coordinates, weights: Tensor, bias: Tensor, *, centred: bool
) -> tuple[Tensor, Tensor]:
    """Compute the size of the terms in the residuals (k,) and in the gradient (r,).

    Args:
        coordinates: That the weights are in.
        weights: Shape (k, r).
        bias: Shape (k,).
        centred: Whether the loss subtracts the targets' means.
    """
    problem, raw = coordinates.problem, coordinates.weights(weights).double()
    shifted = coordinates.kind != "none"
    spread = problem.scale if shifted else torch.hypot(problem.scale, problem.centre)
    sizes = raw.abs() @ spread + problem.power.sqrt()
    if not (centred and shifted):
        sizes = sizes + bias.double().abs() + problem.target_centre.abs()
    steepness = spread if shifted else spread + problem.centre.abs()
    return sizes, steepness / problem.scale
