"""Schedules of Nesterov's momentum."""

from __future__ import annotations

from dataclasses import dataclass

from gradline_trainer.descent.loop import Momentum
from gradline_trainer.options import Options

__all__ = ["RestartingMomentum", "choose_momentum", "constant_momentum"]


def choose_momentum(options: Options, *, wide: bool) -> Momentum | None:
    """Choose the schedule; "auto" restarts on wide tables, and is none on others."""
    if wide and options.momentum == "auto":
        return RestartingMomentum()
    return constant_momentum(options.fixed_momentum)


def constant_momentum(value: float) -> Momentum | None:
    """Use the same momentum in every epoch; 0 is the tutorial."""
    return (lambda history: value) if value else None


@dataclass
class RestartingMomentum:
    """Nesterov's schedule k/(k + 3), restarted whenever the loss rises.

    It needs no knowledge of the Hessian's smallest eigenvalue and comes near the rate of the best
    constant (O'Donoghue and Candès, Adaptive Restart for Accelerated Gradient Schemes, 2015,
    section 3.2).

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
