"""One run of the loop over streamed rows, and how far from the optimum it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from gradline.errors import RefusedError
from gradline.wording import count, scientific
from gradline_trainer.descent import descend
from gradline_trainer.gathering import Progress
from gradline_trainer.momentum import RestartingMomentum, constant_momentum, largest_stable_rate
from gradline_trainer.options import Options
from gradline_trainer.spectrum import largest_eigenvalue
from gradline_trainer.streamed_loss import StreamedLoss

__all__ = ["Learned", "WideOptimality", "learn"]


@dataclass(frozen=True)
class WideOptimality:
    """How far from the optimum a streamed run ended, as far as is known without H⁻¹.

    Attributes:
        loss: At the weights that the loop ended with.
        gap: Always None: how far the loss is above its least value is not known.
        gap_at_least: A bound on it from below, ‖g‖²/(2λmax).
        gap_at_most: A bound from above: with a ridge penalty by strong convexity, else the loss.
        gap_estimate: What the last losses' decrease extrapolates to (Aitken, 1926); no bound. None
            where they don't slow down.
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
    """What a run over streamed rows learned; see `gradline_trainer.training.Trained`."""

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
        report: Called with ("epochs", how many).

    Raises:
        RefusedError: Where the run diverged, saying why.
    """
    problem = loss.problem
    size = len(problem.scale) + problem.bias
    steepest = min(largest_eigenvalue(loss.curvature_times, size, options.seed), problem.trace)
    rate = 1 / steepest if options.learning_rate == "auto" else float(options.learning_rate)
    momentum = None if options.momentum == "auto" else float(options.momentum)

    def enough(by_weights: Tensor, by_bias: Tensor, value: float) -> bool:
        return problem.gap_bound(by_weights, by_bias, value) <= options.tolerance * value

    weights, bias, history = descend(
        loss,
        *problem.start(len(features), options),
        train_bias=problem.bias,
        learning_rate=rate,
        epochs=options.epochs,
        enough=enough if options.tolerance else lambda *_: False,
        progress=lambda epoch: report("epochs", epoch + 1),
        momentum=RestartingMomentum() if momentum is None else constant_momentum(momentum),
    )
    optimality = _judge(loss, weights, bias, history, steepest)
    stable = largest_stable_rate(steepest, 1.0 if momentum is None else momentum)
    _refuse_divergence([*history, optimality.loss], rate, stable)
    tolerance = options.tolerance or 1e-12
    return Learned(
        *problem.fold(weights, bias, len(features)),
        history=history,
        learning_rate=rate,
        largest_stable_rate=stable,
        optimality=optimality,
        converged=optimality.gap_at_most <= tolerance * optimality.loss,
    )


def _judge(
    loss: StreamedLoss, weights: Tensor, bias: Tensor, history: list[float], steepest: float
) -> WideOptimality:
    """Return how far from the optimum of `loss` the weights (k, r) and bias (k,) are."""
    value, by_weights, by_bias = loss.gradient(weights, bias)
    by_bias = by_bias * loss.problem.bias
    now = value.item()
    norm = float(by_weights.square().sum() + by_bias.square().sum()) ** 0.5
    return WideOptimality(
        loss=now,
        gap=None,
        gap_at_least=norm * norm / (2 * steepest),
        gap_at_most=loss.problem.gap_bound(by_weights, by_bias, now),
        gap_estimate=_extrapolated([*history, now]),
        gradient_norm=norm,
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
