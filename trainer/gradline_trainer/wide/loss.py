"""The loss over rows that are passed over anew for each epoch, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gradline_trainer.exact.loss import Quadratic
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows
from gradline_trainer.wide.problem import WideProblem

__all__ = ["StreamedLoss"]


@dataclass(frozen=True)
class GradientSums:
    """Weighted sums over rows, at some weights (k, r) and bias (k,).

    Attributes:
        squares: Of the residuals, over all targets.
        by_weights: Of residual times feature, shape (k, r).
        by_bias: Of the residuals, shape (k,).
    """

    squares: Tensor
    by_weights: Tensor
    by_bias: Tensor

    @classmethod
    def of(
        cls, rows: Rows, problem: WideProblem, raw: Tensor, bias: Tensor, *, of_predictions: bool
    ) -> GradientSums:
        """Return those of rows; see `StreamedLoss.gradient`."""
        rows = rows.laid_out()
        x = problem.shifted(rows)
        residual = torch.addmm(bias, x, raw.t())
        if not of_predictions:
            residual -= torch.from_numpy(rows.targets)
        weighted = residual
        if rows.weights is not None:
            weighted = residual * torch.from_numpy(rows.weights)[:, None]
        return cls((weighted * residual).sum(), weighted.t() @ x, weighted.sum(0))

    def merge(self, other: GradientSums) -> GradientSums:
        """Return those of both sets of rows."""
        return GradientSums(
            self.squares + other.squares,
            self.by_weights + other.by_weights,
            self.by_bias + other.by_bias,
        )


class StreamedLoss:
    """The loss of `RowsLoss`, with a few blocks in memory at a time: O(n·d·k) an epoch.

    A quadratic's gradient is had from the same residuals as its value, so that a pass over the rows
    gives both and the backward pass reads none.

    Attributes:
        problem: With the coordinates that the weights are in.
        walk: Over the rows.
        chunk_rows: How many of them are taken at a time.
    """

    def __init__(self, problem: WideProblem, walk: Walk, chunk_rows: int) -> None:
        self.problem = problem
        self.walk = walk
        self.chunk_rows = chunk_rows

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Return the loss at weights (k, r) and bias (k,), differentiably."""
        known = self.gradient(weights.detach(), bias.detach())
        loss: Tensor = Quadratic.apply(weights, bias, *known)  # type: ignore[no-untyped-call]
        return loss

    def gradient(
        self, weights: Tensor, bias: Tensor, *, of_predictions: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss and its gradients by weights (k, r) and bias (k,), in float64.

        With `of_predictions` the targets count as 0, and the gradient is the Hessian times the
        parameters; then any number of targets will do.
        """
        problem = self.problem
        raw = weights / problem.scale
        of = partial(
            GradientSums.of, problem=problem, raw=raw, bias=bias, of_predictions=of_predictions
        )
        sums = self.walk.total(Pass(of, self.chunk_rows))
        assert sums is not None  # noqa: S101 - of no rows, which are refused
        share = problem.weight * problem.targets
        shrinkage = problem.penalty / problem.targets
        loss = sums.squares / share + shrinkage * raw.square().sum()
        by_raw = 2 / share * sums.by_weights + 2 * shrinkage * raw
        return loss, by_raw / problem.scale, 2 / share * sums.by_bias

    def curvature_times(self, direction: Tensor) -> Tensor:
        """Return the Hessian of one target times `direction`: its r weights and, if any, bias."""
        r = len(self.problem.scale)
        bias = direction[r:] if self.problem.bias else torch.zeros(1, dtype=torch.float64)
        _, by_weights, by_bias = self.gradient(direction[None, :r], bias, of_predictions=True)
        return torch.cat([by_weights[0], by_bias[: self.problem.bias]])
