"""Nesterov's momentum: how far each epoch looks ahead along the last step (Nesterov, 1983)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

__all__ = [
    "Momentum",
    "RestartingMomentum",
    "constant_momentum",
    "contraction",
    "largest_stable_rate",
]

#: From the losses so far, the momentum of the step that follows.
Momentum = Callable[[list[float]], float]


def constant_momentum(value: float) -> Momentum:
    """Return the same momentum for every epoch; 0 is the tutorial."""
    return lambda history: value


@dataclass
class RestartingMomentum:
    """Nesterov's schedule k/(k + 3), begun again whenever the loss rises.

    Without knowing the Hessian's smallest eigenvalue it comes near the rate of the best constant
    (O'Donoghue and Candès, Adaptive Restart for Accelerated Gradient Schemes, 2015, section 3.2).

    Attributes:
        since: The epoch that it was last begun at.
    """

    since: int = 0

    def __call__(self, history: list[float]) -> float:
        """Return the momentum for the step of the epoch whose loss is the last of `history`."""
        epoch = len(history) - 1
        if epoch and history[-1] > history[-2]:
            self.since = epoch
        steps = epoch - self.since
        return steps / (steps + 3)


def largest_stable_rate(steepest: float, momentum: float = 0.0) -> float:
    """Return the rate from which on the loop diverges where λmax is `steepest`.

    It is 2/λmax without momentum µ, and 2(1 + µ)/((1 + 2µ)λmax) with it: beyond that a root of
    z² − (1 + µ)(1 − rate·λ)z + µ(1 − rate·λ) is below −1.
    """
    return 2 * (1 + momentum) / ((1 + 2 * momentum) * steepest)


def contraction(steps: Tensor, momentum: float) -> Tensor:
    """Return by what an epoch multiplies, in the long run, the error along an eigenvector.

    It is the larger root's size of z² − (1 + µ)(1 − s)z + µ(1 − s), which is |1 − s| where µ is 0.

    Args:
        steps: s = rate·λ, of any shape.
        momentum: µ.
    """
    left = 1 - steps
    if not momentum:
        return left.abs()
    half = (1 + momentum) / 2 * left
    inside = half.square() - momentum * left
    real = half.abs() + inside.clamp_min(0).sqrt()
    return real.where(inside >= 0, (momentum * left).abs().sqrt())
