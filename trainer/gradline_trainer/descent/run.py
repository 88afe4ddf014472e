"""One run of the loop: its step, its end, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradline_trainer.descent.diagnosis import Optimality, diverged, measure_optimality, root_gap
from gradline_trainer.descent.loop import descend
from gradline_trainer.descent.losses import MomentsLoss, RowsLoss
from gradline_trainer.descent.momentum import constant_momentum
from gradline_trainer.descent.rounding import EPSILON
from gradline_trainer.exact.loss import ExactLoss, ExactSolution
from gradline_trainer.options import Options
from gradline_trainer.rows.passes import Progress, expect

__all__ = ["Loss", "Trained", "report_epochs", "train"]

Loss = RowsLoss | MomentsLoss | ExactLoss

CONVERGED = 1e-12  # of the loss, where a run was given no tolerance to stop at


@dataclass(frozen=True)
class Trained:
    """What a run of the loop learned.

    Attributes:
        weights: W, shape (k, d), float64, in the table's own units.
        bias: b, shape (k,), float64.
        history: The loss of each epoch, before its step.
        learning_rate: The step that was taken.
        optimality: How far from the optimum it ended.
        converged: Whether every coefficient is certified, or the loss gap is known and either the
            gap is within the tolerance or the loss can't be told from 0.
        exact: What exact arithmetic knows of the weights and bias; None in fast arithmetic.
    """

    weights: Tensor
    bias: Tensor
    history: list[float]
    learning_rate: float
    optimality: Optimality
    converged: bool
    exact: ExactSolution | None


def train(
    loss: Loss,
    options: Options,
    features: list[str],
    progress: Callable[[int, float], None],
) -> Trained:
    """Run the loop from its start and return what it learned.

    Args:
        loss: With the coordinates that the loop runs in.
        options: Of the run.
        features: The d input names.
        progress: Called with the number of each epoch, the first is 0, and its loss.

    Raises:
        RefusedError: Where the run diverged, saying why.
    """
    coordinates = loss.coordinates
    rate = options.learning_rate
    rate = 1 / coordinates.steepest if rate == "auto" else float(rate)
    in_fast = not isinstance(loss, ExactLoss)
    resolution = float(coordinates.problem.resolution.mean()) if in_fast else 0.0

    def enough(by_weights: Tensor, by_bias: Tensor, value: float) -> bool:
        if isinstance(loss, ExactLoss):
            return options.tolerance > 0 and loss.certified()
        tolerance = options.tolerance * max(value, resolution)
        near = value <= loss.resolution or coordinates.gap(by_weights, by_bias) <= tolerance
        return tolerance > 0 and near

    dtype = torch.float32 if options.in_float32 else torch.float64
    weights, bias, history = descend(
        loss,
        *coordinates.start(len(features), options.seed, dtype),
        train_bias=coordinates.problem.bias,
        learning_rate=rate,
        epochs=options.epochs,
        enough=enough,
        progress=progress,
        momentum=constant_momentum(options.fixed_momentum),
    )
    optimality = _judge(loss, weights, bias, history, rate, resolution, options, features)
    gap, most = optimality.gap, (options.tolerance or CONVERGED) * optimality.loss
    converged = gap is not None and (gap <= most or optimality.loss <= resolution)
    history = [max(value, loss.resolution) for value in history]
    if not isinstance(loss, ExactLoss):
        weights, bias = coordinates.fold(weights, bias, len(features))
        if coordinates.problem.dependent:  # the bound covers only the active features
            optimality = replace(optimality, weights_error=None)
        return Trained(weights, bias, history, rate, optimality, converged, None)
    exact = loss.solution(len(features))
    if exact.least is not None:
        # float64 resolves the remaining gap only to a share of the starting loss.
        unseen = EPSILON * history[0]
        history = [v if v - exact.least > unseen else exact.least for v in history]
    optimality = _known_exactly(optimality, exact)
    if coordinates.problem.supposed:
        optimality = replace(optimality, weights_error=None)
    return Trained(
        exact.weights,
        exact.bias,
        history,
        rate,
        optimality,
        converged or not exact.uncertified,
        exact,
    )


def _known_exactly(found: Optimality, exact: ExactSolution) -> Optimality:
    """Replace float64's measurements by exact results.

    If every coefficient is certified, the weights are optimal, and their measured distance from the
    optimum is rounding noise.
    """
    least = exact.least
    if least is not None and not exact.uncertified:
        return replace(
            found,
            loss=least,
            gap=0.0,
            gradient_norm=0.0,
            epochs_to_go=0,
            rmse_at_optimum=math.sqrt(least),
            rmse_gap=0.0,
            weights_error=EPSILON * _norm(exact.weights),
        )
    if least is None or found.gap is None:
        return replace(found, rmse_at_optimum=None, rmse_gap=None, weights_error=None)
    apart = root_gap(found.loss, least, found.gap)
    return replace(found, rmse_at_optimum=math.sqrt(least), rmse_gap=apart, weights_error=None)


def _norm(weights: Tensor) -> float:
    """Return the Frobenius norm, also of weights whose squares overflow."""
    most = weights.abs().max()
    return float(most * (weights / most).norm()) if most else 0.0


def _judge(
    loss: Loss,
    weights: Tensor,
    bias: Tensor,
    history: list[float],
    rate: float,
    resolution: float,
    options: Options,
    features: list[str],
) -> Optimality:
    """Return how far the run ended from the optimum, or raise where it diverged."""
    coordinates = loss.coordinates
    judged, last = loss, None
    if isinstance(loss, RowsLoss) and options.in_float32:  # its own rounding would hide the gap
        judged, last = MomentsLoss(coordinates, len(loss.features)), loss(weights, bias).item()
    optimality = measure_optimality(
        judged,
        weights.double(),
        bias.double(),
        learning_rate=rate,
        tolerance=options.tolerance or CONVERGED,
        resolution=resolution,
        momentum=options.fixed_momentum,
    )
    names = [features[j] for j in coordinates.problem.active.tolist()]
    last = optimality.loss if last is None else last
    ended = history if not math.isfinite(history[-1]) else [*history, last]
    refusal = diverged(coordinates, ended, rate, names, options.fixed_momentum)
    if refusal is not None:
        raise refusal
    return optimality


def report_epochs(report: Progress, most: int) -> Callable[[int, float], None]:
    """Return what tells a report of each epoch, and one that listens of its loss before."""
    expect(report, "epochs", most)
    of_loss = getattr(report, "loss", None)

    def epoch_done(epoch: int, loss: float) -> None:
        if of_loss is not None:
            of_loss(loss)
        report("epochs", epoch + 1)

    return epoch_done
