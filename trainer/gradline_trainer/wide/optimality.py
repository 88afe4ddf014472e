"""How far from the optimum a run over a wide table ended, as far as its gradients tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

UNSEEN = 2.0**-52


@dataclass(frozen=True)
class WideOptimality:
    """How far from the optimum a run over a wide table ended, without the inverse Hessian.

    Attributes:
        loss: At the final weights.
        gap: Always None: the distance from the least loss is not known.
        gap_at_least: A lower bound on it, ‖g‖²/(2λmax).
        gap_at_most: An upper bound: by strong convexity with a ridge penalty, else the loss.
        gap_estimate: Extrapolated from the last losses (Aitken, 1926); not a bound. None if they
            do not slow down, and if it is outside the bounds.
        gradient_norm: With respect to the loop's own weights and bias.
        epochs_to_go: Always None: not known.
        rmse_at_optimum: Always None: not known.
    """

    loss: float
    gap: None
    gap_at_least: float
    gap_at_most: float
    gap_estimate: float | None
    gradient_norm: float
    epochs_to_go: None
    rmse_at_optimum: None

    def within(self, tolerance: float) -> bool:
        """Check whether the gap is within tolerance · loss; never for a tolerance of 0.

        If the upper bound does not decide, the lower one must be at most 2⁻⁵² · tolerance · loss: a
        larger gap would need an eigenvalue too small beside λmax for float64 to resolve.
        """
        allowed = tolerance * self.loss
        bounded = self.gap_at_most <= allowed or self.gap_at_least <= UNSEEN * allowed
        return tolerance > 0 and bounded

    def describe(self) -> str:
        """Describe where the run stopped, in one clause."""
        guess = "" if self.gap_estimate is None else f", by extrapolation {self.gap_estimate:.3g}"
        return (
            f"stopped at a loss of {self.loss:.4g}, between {self.gap_at_least:.3g} and "
            f"{self.gap_at_most:.3g} above the minimum{guess}; gradient norm "
            f"{self.gradient_norm:.3g}"
        )


def measure_wide_optimality(
    by_weights: Tensor, by_bias: Tensor, losses: Sequence[float], *, steepest: float, most: float
) -> WideOptimality:
    """Measure how far from the optimum the last of the losses is.

    `most` bounds that distance from above; the earlier losses serve extrapolation.
    """
    squares = float(by_weights.square().sum() + by_bias.square().sum())
    least = squares / (2 * steepest)
    guess = _extrapolated(losses)
    return WideOptimality(
        loss=losses[-1],
        gap=None,
        gap_at_least=least,
        gap_at_most=most,
        gap_estimate=guess if guess is not None and least <= guess <= most else None,
        gradient_norm=math.sqrt(squares),
        epochs_to_go=None,
        rmse_at_optimum=None,
    )


def _extrapolated(losses: Sequence[float]) -> float | None:
    """Extrapolate three of the last losses; return the last one's distance from their limit."""
    third = len(losses) // 3
    if not third:
        return None
    earlier, before, now = (min(losses[: len(losses) - lag * third]) for lag in (2, 1, 0))
    first, second = earlier - before, before - now
    return second * second / (first - second) if first > second else None
