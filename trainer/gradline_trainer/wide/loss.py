"""The loss over rows that are read anew for each epoch, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from gradline_trainer.exact_loss import Quadratic
from gradline_trainer.rows import Rows
from gradline_trainer.wide.problem import WideProblem

__all__ = ["StreamedLoss"]


class StreamedLoss:
    """The loss of `RowsLoss`, with one block in memory at a time: O(n·d·k) an epoch.

    A quadratic's gradient is had from the same residuals as its value, so that a pass over the rows
    gives both and the backward pass reads none.

    Attributes:
        problem: With the coordinates that the weights are in.
        rows: Each call gives the training rows' blocks from the first on, new arrays each time.
    """

    def __init__(self, problem: WideProblem, rows: Callable[[], Iterable[Rows]]) -> None:
        self.problem = problem
        self.rows = rows

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
        squares = torch.zeros((), dtype=torch.float64)
        by_raw, by_bias = torch.zeros_like(raw), torch.zeros_like(bias)
        for block in self.rows():
            x = problem.shifted(block)
            residual = torch.addmm(bias, x, raw.t())
            if not of_predictions:
                residual -= torch.from_numpy(block.targets)
            weighted = residual
            if block.weights is not None:
                weighted = residual * torch.from_numpy(block.weights)[:, None]
            squares += (weighted * residual).sum()
            by_raw.addmm_(weighted.t(), x)
            by_bias += weighted.sum(0)
        share = problem.weight * problem.targets
        shrinkage = problem.penalty / problem.targets
        loss = squares / share + shrinkage * raw.square().sum()
        by_raw = 2 / share * by_raw + 2 * shrinkage * raw
        return loss, by_raw / problem.scale, 2 / share * by_bias

    def curvature_times(self, direction: Tensor) -> Tensor:
        """Return the Hessian of one target times `direction`: its r weights and, if any, bias."""
        r = len(self.problem.scale)
        bias = direction[r:] if self.problem.bias else torch.zeros(1, dtype=torch.float64)
        _, by_weights, by_bias = self.gradient(direction[None, :r], bias, of_predictions=True)
        return torch.cat([by_weights[0], by_bias[: self.problem.bias]])
