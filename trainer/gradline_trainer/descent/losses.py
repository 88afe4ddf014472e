"""The losses that the loop can be given, and what a run asks of each.

`RowsLoss` and `MomentsLoss` are the same function: the (weighted) mean over rows and the plain mean
over targets of the squared residual, plus ridge/(k·Σw)·‖W‖². `ExactLoss` (in `exact/`) computes it
without rounding, `StreamedLoss` (in `wide/`) from blocks of rows. The loop treats them alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from gradline_trainer.descent.coordinates import ColumnCoordinates, Coordinates
from gradline_trainer.descent.diagnosis import (
    Measurable,
    Optimality,
    certify,
    largest_stable_rate,
    refuse_divergence,
)
from gradline_trainer.descent.loop import Descent
from gradline_trainer.descent.rounding import Rounding, bound_rounding, relative_noise
from gradline_trainer.options import Options
from gradline_trainer.rows.rows import Rows

if TYPE_CHECKING:
    from gradline_trainer.exact.solution import ExactSolution
    from gradline_trainer.wide.optimality import WideOptimality


@dataclass(frozen=True)
class Solution:
    """What a run learned, in the table's own units.

    Attributes:
        weights: W, shape (k, d), float64.
        bias: b, shape (k,), float64.
        history: The loss of each epoch; not below the loss's resolution.
        optimality: How far from the optimum it is.
        converged: Whether every coefficient is certified, or the loss gap is known and either the
            gap is within the tolerance or the loss can't be distinguished from 0.
        exact: What exact arithmetic knows of the weights and bias; None in fast arithmetic.
    """

    weights: Tensor
    bias: Tensor
    history: list[float]
    optimality: Optimality | WideOptimality
    converged: bool
    exact: ExactSolution | None = None


class Loss(Protocol):
    """A differentiable loss, in some coordinates of the weights."""

    @property
    def coordinates(self) -> ColumnCoordinates:
        """The coordinates of the weights."""

    @property
    def steepest(self) -> float:
        """The largest eigenvalue λmax of the Hessian, or a bound just above it."""

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Compute the loss at weights (k, r) and bias (k,)."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the loop's parameters."""

    def stable_rate(self, options: Options) -> float:
        """Compute the learning rate from which on a run diverges."""

    def enough(self, by_weights: Tensor, by_bias: Tensor, value: float, tolerance: float) -> bool:
        """Check whether the run is done, from the gradients and the loss; never for tolerance 0."""

    def conclude(self, descent: Descent, options: Options, features: list[str]) -> Solution:
        """Fold the loop's weights back to the table's units, and certify them.

        Raises:
            RefusedError: If the run diverged.
        """


class KnownHessian:
    """What the losses share whose Hessian is known."""

    coordinates: Coordinates

    @property
    def steepest(self) -> float:
        """The largest eigenvalue of the Hessian."""
        return self.coordinates.steepest

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the loop's parameters."""
        return torch.float64

    def stable_rate(self, options: Options) -> float:
        """See `Loss`."""
        return largest_stable_rate(self.steepest, options.fixed_momentum)


@dataclass(frozen=True)
class FastLoss(KnownHessian):
    """The common base of the losses in fast arithmetic."""

    coordinates: Coordinates

    @property
    def resolution(self) -> float:
        """The smallest loss that the moments, which are rounded, can distinguish from 0."""
        return float(self.coordinates.problem.resolution.mean())

    def enough(self, by_weights: Tensor, by_bias: Tensor, value: float, tolerance: float) -> bool:
        """See `Loss`."""
        allowed = tolerance * max(value, self.resolution)
        return tolerance > 0 and self.coordinates.gap(by_weights, by_bias) <= allowed

    def _conclude(
        self,
        judge: Measurable,
        descent: Descent,
        options: Options,
        features: list[str],
        last: float | None = None,
    ) -> Solution:
        """Certify the weights by `judge`, refuse a diverged run, and fold back.

        `last` is the loop's own loss at the end, if it runs in another arithmetic than `judge`.
        """
        optimality, converged = certify(judge, descent, options, self.resolution)
        last = optimality.loss if last is None else last
        refuse_divergence(self.coordinates, descent, last, options, features)
        if self.coordinates.problem.dependent:  # the bound covers only the active features
            optimality = replace(optimality, weights_error=None)
        folded = self.coordinates.fold(descent.weights, descent.bias, len(features))
        return Solution(*folded, descent.history, optimality, converged)


@dataclass(frozen=True)
class RowsLoss(FastLoss):
    """The loss over the rows: O(n·d·k) an epoch.

    Attributes:
        coordinates: The coordinates of the weights.
        features: x − shift of the active features, shape (n, r).
        targets: Shape (n, k).
        sample_weights: Shape (n, 1), or None.
    """

    features: Tensor
    targets: Tensor
    sample_weights: Tensor | None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the loop's parameters: float32 in the tutorial."""
        return self.features.dtype

    @classmethod
    def over(cls, rows: Sequence[Rows], coordinates: Coordinates, *, in_float32: bool) -> RowsLoss:
        """Put all the rows into one tensor."""
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
        """Compute the loss at weights (k, r) and bias (k,)."""
        raw = self.coordinates.weights(weights)
        predictions = self.features @ raw.t() + bias
        residual = predictions - self.targets
        if self.sample_weights is None:
            loss = torch.sum(residual * residual) / residual.numel()
        else:
            squares = self.sample_weights * residual * residual
            loss = torch.sum(squares) / (self.sample_weights.sum() * residual.shape[1])
        return with_penalty(loss, self.coordinates, raw)

    def conclude(self, descent: Descent, options: Options, features: list[str]) -> Solution:
        """See `Loss`."""
        if not options.in_float32:
            return self._conclude(self, descent, options, features)
        # The rounding of a float32 loss would hide the gap.
        last = self(descent.weights, descent.bias).item()
        judge = MomentsLoss(self.coordinates, len(self.features))
        return self._conclude(judge, descent, options, features, last)

    def rounding(self, weights: Tensor, bias: Tensor, value: float) -> Rounding:
        """Bound the float64 rounding at weights (k, r) and bias (k,); see `MomentsLoss`."""
        problem, (n, r) = self.coordinates.problem, self.features.shape
        sizes, steepness = _magnitudes(self.coordinates, weights, bias, centred=False)
        noise = relative_noise(r, n)
        error = noise * sizes
        loss = float(((2 * (problem.targets * value) ** 0.5 + error) * error).mean())
        return bound_rounding(problem, noise, sizes, steepness, loss, n)


@dataclass(frozen=True)
class MomentsLoss(FastLoss):
    """The same loss from the moments: O(d²·k) an epoch, whatever the number of rows."""

    rows: int

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Compute the loss at weights (k, r) and bias (k,)."""
        problem = self.coordinates.problem
        raw = self.coordinates.weights(weights)
        at_centre = bias - problem.target_centre
        if self.coordinates.kind == "none":
            at_centre = raw @ problem.centre + at_centre
        # raw N rawᵀ − 2 raw·cross, summed over the targets in few operations: their number decides
        # the time of an epoch on a small table.
        slope = torch.addmm(problem.cross.T, raw, problem.normal, beta=-2)
        squares = (slope * raw).sum() + (at_centre * at_centre).sum() + problem.power.sum()
        return with_penalty(squares / problem.targets, self.coordinates, raw)

    def enough(self, by_weights: Tensor, by_bias: Tensor, value: float, tolerance: float) -> bool:
        """See `Loss`."""
        unresolved = tolerance > 0 and value <= self.resolution
        return unresolved or super().enough(by_weights, by_bias, value, tolerance)

    def conclude(self, descent: Descent, options: Options, features: list[str]) -> Solution:
        """See `Loss`."""
        found = self._conclude(self, descent, options, features)
        return replace(found, history=[max(value, self.resolution) for value in found.history])

    def rounding(self, weights: Tensor, bias: Tensor, value: float) -> Rounding:
        """Bound the rounding error at weights (k, r) and bias (k,); the loss there is `value`."""
        problem = self.coordinates.problem
        sizes, steepness = _magnitudes(self.coordinates, weights, bias, centred=True)
        noise = relative_noise(len(problem.scale), self.rows)
        loss = self.resolution + (noise + problem.rounding) * float(sizes.square().mean())
        return bound_rounding(problem, noise, sizes, steepness, loss, self.rows)


def with_penalty(loss: Tensor, coordinates: Coordinates, raw: Tensor) -> Tensor:
    """Add the penalty: loss + ridge/(k·Σw)·‖W‖² for raw weights (k, r)."""
    problem = coordinates.problem
    if not problem.penalty:
        return loss
    return loss + problem.penalty / problem.targets * raw.square().sum()


def _magnitudes(
    coordinates: Coordinates, weights: Tensor, bias: Tensor, *, centred: bool
) -> tuple[Tensor, Tensor]:
    """Compute the size of the terms in the residuals (k,) and in the gradient (r,)."""
    problem, raw = coordinates.problem, coordinates.weights(weights).double()
    shifted = coordinates.kind != "none"
    spread = problem.scale if shifted else torch.hypot(problem.scale, problem.centre)
    sizes = raw.abs() @ spread + problem.power.sqrt()
    if not (centred and shifted):
        sizes = sizes + bias.double().abs() + problem.target_centre.abs()
    steepness = spread if shifted else spread + problem.centre.abs()
    return sizes, steepness / problem.scale


class Quadratic(torch.autograd.Function):
    """A loss whose value and gradient are already known."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, bias: Tensor, value: Tensor, by_weights: Tensor, by_bias: Tensor
    ) -> Tensor:
        """Return the value."""
        ctx.save_for_backward(by_weights, by_bias)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients by weights and bias; the other arguments have none."""
        by_weights, by_bias = ctx.saved_tensors
        return above * by_weights, above * by_bias, None, None, None
