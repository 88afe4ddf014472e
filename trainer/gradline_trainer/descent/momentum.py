"""Schedules of Nesterov's momentum."""

from __future__ import annotations

from dataclasses import dataclass

from gradline_trainer.descent.loop import Momentum


def constant_momentum(value: float) -> Momentum:
    """Use the same momentum in every epoch."""
    return lambda history: value


@dataclass
class RestartingMomentum:
    """Nesterov's schedule k/(k + 3), restarted whenever the loss rises.

    It converges nearly as fast as the best constant momentum, without knowing the Hessian's
    smallest eigenvalue (O'Donoghue and Candès, Adaptive Restart for Accelerated Gradient Schemes,
    2015, section 3.2).

    Attributes:
        since: The epoch of the last restart.
    """

    since: int = 0

    def __call__(self, history: list[float]) -> float:
        """Choose the momentum for the step after the last loss of `history`."""
        epoch = len(history) - 1
        if epoch and history[-1] > history[-2]:
            self.since = epoch
        steps = epoch - self.since
        return steps / (steps + 3)
