"""The loss of a wide table: each epoch streams over the rows, block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gradline.errors import RefusedError
from gradline.formatting import scientific
from gradline_trainer.descent.coordinates import ColumnCoordinates
from gradline_trainer.descent.diagnosis import CONVERGED, diverged, largest_stable_rate
from gradline_trainer.descent.loop import Descent
from gradline_trainer.descent.losses import Quadratic, Solution
from gradline_trainer.descent.problem import ColumnProblem
from gradline_trainer.moments.moments import ColumnMoments, one_value
from gradline_trainer.options import Options
from gradline_trainer.rows.passes import Pass, Progress, Walk, expect
from gradline_trainer.rows.refusals import nothing_varies
from gradline_trainer.rows.rows import Rows
from gradline_trainer.wide.optimality import WideOptimality, measure_wide_optimality
from gradline_trainer.wide.spectrum import STEPS, largest_eigenvalue

Gradient = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class GradientSums:
    """Weighted sums over rows, at some weights (k, r) and bias (k,).

    Attributes:
        squares: The squared residuals of all targets.
        by_weights: Residual times feature, shape (k, r).
        by_bias: The residuals, shape (k,).
    """

    squares: Tensor
    by_weights: Tensor
    by_bias: Tensor

    @classmethod
    def of(
        cls,
        rows: Rows,
        coordinates: ColumnCoordinates,
        raw: Tensor,
        bias: Tensor,
        *,
        of_predictions: bool,
    ) -> GradientSums:
        """Sum over rows; see `StreamedLoss.gradient`."""
        rows = rows.laid_out()
        x = torch.from_numpy(rows.features)
        if coordinates.problem.constant:
            x = x[:, coordinates.problem.active]
        x = x - coordinates.shift
        residual = torch.addmm(bias, x, raw.t())
        if not of_predictions:
            residual -= torch.from_numpy(rows.targets)
        weighted = residual
        if rows.weights is not None:
            weighted = residual * torch.from_numpy(rows.weights)[:, None]
        return cls((weighted * residual).sum(), weighted.t() @ x, weighted.sum(0))

    def merge(self, other: GradientSums) -> GradientSums:
        """Add the sums over two sets of rows."""
        return GradientSums(
            self.squares + other.squares,
            self.by_weights + other.by_weights,
            self.by_bias + other.by_bias,
        )


class StreamedLoss:
    """The loss of `RowsLoss`, with a few blocks in memory at a time: O(n·d·k) an epoch.

    The same residuals give the value and the gradient, so one pass over the rows gives both and the
    backward pass reads no rows.

    Attributes:
        coordinates: The coordinates of the weights.
        walk: Over the rows.
        steepest: The largest eigenvalue λmax of the Hessian, estimated or bounded from above.
    """

    dtype = torch.float64

    def __init__(self, walk: Walk, coordinates: ColumnCoordinates, steepest: float) -> None:
        self.walk, self.coordinates, self.steepest = walk, coordinates, steepest

    @classmethod
    def of(
        cls, walk: Walk, moments: ColumnMoments, options: Options, report: Progress
    ) -> StreamedLoss:
        """State the problem, and estimate λmax by passes over the rows, which are reported."""
        problem = _state_problem(moments, len(walk.columns.features), options)
        if not len(problem.active):
            raise nothing_varies()
        trace = float(len(problem.active))
        if options.preconditioning == "none":
            second = moments.squares / moments.weight + moments.mean**2
            trace = float((second[problem.active.numpy()] + problem.penalty).sum())
        loss = cls(walk, ColumnCoordinates(problem, options.preconditioning), 0.0)
        size = len(problem.active) + problem.bias
        expect(report, "passes", min(STEPS, size))
        estimate = largest_eigenvalue(loss._reported(report), size, options.seed)
        loss.steepest = min(estimate, 2 / problem.targets * (trace + problem.bias))
        return loss

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Compute the loss at weights (k, r) and bias (k,), differentiably."""
        known = self.gradient(weights.detach(), bias.detach())
        loss: Tensor = Quadratic.apply(weights, bias, *known)  # type: ignore[no-untyped-call]
        return loss

    def stable_rate(self, options: Options) -> float:
        """See `descent.losses.Loss`. With "auto", the momentum approaches 1."""
        momentum = 1.0 if options.momentum == "auto" else float(options.momentum)
        return largest_stable_rate(self.steepest, momentum)

    def enough(self, by_weights: Tensor, by_bias: Tensor, value: float, tolerance: float) -> bool:
        """See `descent.losses.Loss`."""
        return self._measure(by_weights, by_bias, [value]).within(tolerance)

    def conclude(self, descent: Descent, options: Options, features: list[str]) -> Solution:
        """See `descent.losses.Loss`."""
        value, by_weights, by_bias = self.gradient(descent.weights, descent.bias)
        losses = [*descent.history, value.item()]
        found = self._measure(by_weights, by_bias, losses)
        _refuse_divergence(losses, descent.learning_rate, self.stable_rate(options))
        return Solution(
            *self.coordinates.fold(descent.weights, descent.bias, len(features)),
            descent.history,
            found,
            converged=found.within(options.tolerance or CONVERGED),
        )

    def gradient(self, weights: Tensor, bias: Tensor, *, of_predictions: bool = False) -> Gradient:
        """Compute the loss and its gradients by weights (k, r) and bias (k,), in float64.

        With `of_predictions`, every target counts as 0, and the gradient is the Hessian times the
        parameters, for any number of targets.
        """
        problem = self.coordinates.problem
        raw = self.coordinates.weights(weights)
        of = partial(
            GradientSums.of,
            coordinates=self.coordinates,
            raw=raw,
            bias=bias,
            of_predictions=of_predictions,
        )
        sums = self.walk.total(Pass(of, self.walk.chunk_rows))
        assert sums is not None  # noqa: S101 - tables without rows are refused
        share = problem.weight * problem.targets
        shrinkage = problem.penalty / problem.targets
        loss = sums.squares / share + shrinkage * raw.square().sum()
        by_raw = 2 / share * sums.by_weights + 2 * shrinkage * raw
        return loss, self.coordinates.weights(by_raw), 2 / share * sums.by_bias

    def _reported(self, report: Progress) -> Callable[[Tensor], Tensor]:
        """Multiply by the Hessian of one target, and report each pass over the rows."""
        problem, passes = self.coordinates.problem, 0
        r = len(problem.active)

        def times(direction: Tensor) -> Tensor:
            nonlocal passes
            bias = direction[r:] if problem.bias else torch.zeros(1, dtype=torch.float64)
            _, by_weights, by_bias = self.gradient(direction[None, :r], bias, of_predictions=True)
            passes += 1
            report("passes", passes)
            return torch.cat([by_weights[0], by_bias[: problem.bias]])

        return times

    def _measure(self, by_weights: Tensor, by_bias: Tensor, losses: list[float]) -> WideOptimality:
        by_bias = by_bias * self.coordinates.problem.bias
        most = self._gap_bound(by_weights, by_bias, losses[-1])
        return measure_wide_optimality(
            by_weights, by_bias, losses, steepest=self.steepest, most=most
        )

    def _gap_bound(self, by_weights: Tensor, by_bias: Tensor, loss: float) -> float:
        """Bound the distance of a loss from the least loss.

        With a ridge penalty, no eigenvalue by the raw weights is below 2·penalty/k, so the gap
        ½·gᵀH⁻¹g is at most k/4·‖g‖²/penalty; the bias has the eigenvalue 2/k. The loss itself,
        which is never negative, is also a bound.
        """
        problem = self.coordinates.problem
        if not problem.penalty:
            return loss
        if self.coordinates.kind == "none":
            by_raw = by_weights - torch.outer(by_bias, problem.centre)
        else:
            by_raw = by_weights * problem.scale
        squares = by_raw.square().sum() / problem.penalty + by_bias.square().sum()
        return min(loss, float(squares) * problem.targets / 4)


def _refuse_divergence(losses: list[float], rate: float, stable: float) -> None:
    event = diverged(losses, rate, stable)
    if event is None:
        return
    why = "above" if rate > stable else "not above"
    raise RefusedError(
        f"the run diverged: {event}; the learning rate {scientific(rate)} is {why} the largest "
        f"stable rate with this momentum, {scientific(stable)}",
        code="diverged",
        hint="use --learning-rate auto",
    )


def _state_problem(moments: ColumnMoments, features: int, options: Options) -> ColumnProblem:
    """Build the problem from the moments of each column of [features, targets]."""
    d, penalty = features, float(options.ridge) / moments.weight
    mean, second = moments.mean * options.bias, moments.squares / moments.weight
    if not options.bias:
        second = second + moments.mean**2
    left_out = one_value(moments)[:d] & options.bias | (second[:d] == 0)
    active = np.flatnonzero(~left_out)
    return ColumnProblem(
        active=torch.from_numpy(active),
        constant=np.flatnonzero(left_out).tolist(),
        weight=moments.weight,
        centre=torch.from_numpy(mean[active]),
        power=torch.from_numpy(second[d:]),
        penalty=penalty,
        scale=torch.from_numpy(np.sqrt(second[active] + penalty)),
        bias=options.bias,
    )
