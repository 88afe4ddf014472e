"""One run of the loop: its step, its end, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradline_trainer.descent import descend
from gradline_trainer.diagnosis import Optimality, diverged, measure_optimality
from gradline_trainer.exact.loss import ExactLoss, ExactSolution
from gradline_trainer.losses import MomentsLoss, RowsLoss
from gradline_trainer.momentum import constant_momentum
from gradline_trainer.options import Options

__all__ = ["Loss", "Trained", "train"]

Loss = RowsLoss | MomentsLoss | ExactLoss

EPSILON = 2.0**-53
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
        converged: Whether the loss gap is within the tolerance, the loss can't be told from 0, or
            every coefficient is certified.
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
    tolerance, floor = options.tolerance or CONVERGED, loss.resolution
    exact = loss.solution(len(features)) if isinstance(loss, ExactLoss) else None
    if exact is not None:
        weights, bias = exact.weights, exact.bias
        rounding = None if exact.uncertified else EPSILON * _norm(weights)
        optimality = replace(optimality, weights_error=rounding)
    else:
        weights, bias = coordinates.fold(weights, bias, len(features))
    if coordinates.problem.dependent and (exact is None or coordinates.problem.supposed):
        # Its bound is about the active features alone.
        optimality = replace(optimality, weights_error=None)
    return Trained(
        weights=weights,
        bias=bias,
        history=[max(value, floor) for value in history],
        learning_rate=rate,
        optimality=optimality,
        converged=(exact is not None and not exact.uncertified)
        or optimality.gap <= tolerance * optimality.loss
        or optimality.loss <= resolution,
        exact=exact,
    )


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
    optimality = measure_optimality(
        loss,
        coordinates,
        weights,
        bias,
        learning_rate=rate,
        tolerance=options.tolerance or CONVERGED,
        resolution=resolution,
        momentum=options.fixed_momentum,
    )
    names = [features[j] for j in coordinates.problem.active.tolist()]
    ended = history if not math.isfinite(history[-1]) else [*history, optimality.loss]
    refusal = diverged(coordinates, ended, rate, names, options.fixed_momentum)
    if refusal is not None:
        raise refusal
    return optimality
