"""One run of the loop over streamed rows, and how far from the optimum it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gradline.errors import RefusedError
from gradline.formatting import count, scientific
from gradline_trainer.descent.loop import descend
from gradline_trainer.descent.momentum import (
    RestartingMomentum,
    constant_momentum,
    largest_stable_rate,
)
from gradline_trainer.descent.run import report_epochs
from gradline_trainer.options import Options
from gradline_trainer.rows.passes import Progress, expect
from gradline_trainer.wide.loss import StreamedLoss
from gradline_trainer.wide.problem import WideProblem
from gradline_trainer.wide.spectrum import STEPS, largest_eigenvalue

__all__ = ["Learned", "WideOptimality", "learn"]


CONVERGED = 1e-12  # of the loss, where a run was given no tolerance to stop at
UNSEEN = 2.0**-52


@dataclass(frozen=True)
class WideOptimality:
    """How far from the optimum a streamed run ended, as far as is known without H⁻¹.

    Attributes:
        loss: At the weights that the loop ended with.
        gap: Always None: how far the loss is above its least value is not known.
        gap_at_least: A bound on it from below, ‖g‖²/(2λmax).
        gap_at_most: A bound from above: with a ridge penalty by strong convexity, else the loss.
        gap_estimate: What the last losses' decrease extrapolates to (Aitken, 1926); no bound. None
            where they don't slow down, and where it is outside the bounds.
        gradient_norm: Of the loss, by the loop's own weights and bias.
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
        """Return whether the gap is within tolerance · loss; never for a tolerance of 0.

        Without a better bound it is taken to be where the bound from below is within the 2⁻⁵²nd
        part: an eigenvalue that left more would be too small beside λmax for float64 to see.
        """
        allowed = tolerance * self.loss
        bounded = self.gap_at_most <= allowed or self.gap_at_least <= UNSEEN * allowed
        return tolerance > 0 and bounded

    def describe(self) -> str:
        """Return it as a sentence."""
        guess = "" if self.gap_estimate is None else f", by extrapolation {self.gap_estimate:.3g}"
        return (
            f"how far above its least value the loss of {self.loss:.4g} stopped is unknown: at "
            f"least {self.gap_at_least:.3g} and at most {self.gap_at_most:.3g}{guess}; gradient "
            f"norm {self.gradient_norm:.3g}"
        )


@dataclass(frozen=True)
class Learned:
    """What a run over streamed rows learned; see `gradline_trainer.descent.run.Trained`."""

    weights: Tensor
    bias: Tensor
    history: list[float]
    learning_rate: float
    largest_stable_rate: float
    optimality: WideOptimality
    converged: bool


def learn(loss: StreamedLoss, options: Options, features: list[str], report: Progress) -> Learned:
    """Run the loop and return what it learned.

    Args:
        loss: With the problem and its rows.
        options: Of the run.
        features: The d input names.
        report: Called with ("passes", count) and ("epochs", count); see `gradline_trainer.fit`.

    Raises:
        RefusedError: Where the run diverged, saying why.
    """
    problem = loss.problem
    steepest = min(_largest_eigenvalue(loss, options.seed, report), problem.trace)
    rate = 1 / steepest if options.learning_rate == "auto" else float(options.learning_rate)
    momentum = None if options.momentum == "auto" else float(options.momentum)

    def enough(by_weights: Tensor, by_bias: Tensor, value: float) -> bool:
        return _measure(problem, by_weights, by_bias, value, steepest).within(options.tolerance)

    weights, bias, history = descend(
        loss,
        *problem.start(len(features), options),
        train_bias=problem.bias,
        learning_rate=rate,
        epochs=options.epochs,
        enough=enough,
        progress=report_epochs(report, options.epochs),
        momentum=RestartingMomentum() if momentum is None else constant_momentum(momentum),
    )
    value, by_weights, by_bias = loss.gradient(weights, bias)
    optimality = _measure(problem, by_weights, by_bias, value.item(), steepest, history)
    stable = largest_stable_rate(steepest, 1.0 if momentum is None else momentum)
    _refuse_divergence([*history, optimality.loss], rate, stable)
    return Learned(
        *problem.fold(weights, bias, len(features)),
        history=history,
        learning_rate=rate,
        largest_stable_rate=stable,
        optimality=optimality,
        converged=optimality.within(options.tolerance or CONVERGED),
    )


def _largest_eigenvalue(loss: StreamedLoss, seed: int, report: Progress) -> float:
    """Return about λmax of one target's Hessian, telling of each pass over the rows."""
    size = len(loss.problem.scale) + loss.problem.bias
    expect(report, "passes", min(STEPS, size))
    passes = 0

    def times(direction: Tensor) -> Tensor:
        nonlocal passes
        image = loss.curvature_times(direction)
        passes += 1
        report("passes", passes)
        return image

    return largest_eigenvalue(times, size, seed)


def _measure(
    problem: WideProblem,
    by_weights: Tensor,
    by_bias: Tensor,
    value: float,
    steepest: float,
    history: Sequence[float] = (),
) -> WideOptimality:
    """Return how far from the optimum a loss with gradients (k, r) and (k,) is."""
    by_bias = by_bias * problem.bias
    squares = float(by_weights.square().sum() + by_bias.square().sum())
    least, most = squares / (2 * steepest), problem.gap_bound(by_weights, by_bias, value)
    guess = _extrapolated([*history, value])
    return WideOptimality(
        loss=value,
        gap=None,
        gap_at_least=least,
        gap_at_most=most,
        gap_estimate=guess if guess is not None and least <= guess <= most else None,
        gradient_norm=math.sqrt(squares),
        epochs_to_go=None,
        rmse_at_optimum=None,
    )


def _extrapolated(losses: list[float]) -> float | None:
    """Return the last loss's distance from where three of the last losses tend to."""
    third = len(losses) // 3
    if not third:
        return None
    earlier, before, now = (min(losses[: len(losses) - lag * third]) for lag in (2, 1, 0))
    first, second = earlier - before, before - now
    return second * second / (first - second) if first > second else None


def _refuse_divergence(losses: list[float], rate: float, stable: float) -> None:
    """Raise where the run diverged."""
    least, last = min(losses), losses[-1]
    if not math.isfinite(last):
        event = f"the loss left the finite numbers at epoch {len(losses) - 1}"
    elif last > least * (1 + 1e-9) and rate > stable:
        event = f"the loss rose from {least:.4g} to {last:.4g} in {count(len(losses) - 1, 'epoch')}"
    else:
        return
    why = "above" if rate > stable else "not above"
    raise RefusedError(
        f"the run diverged: {event}; the learning rate {scientific(rate)} is {why} the largest "
        f"stable rate with this momentum, {scientific(stable)}",
        code="diverged",
        hint="use --learning-rate auto",
    )
