"""What a run says of itself: why it diverged, or how far it stopped from the optimum."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gradline.errors import RefusedError
from gradline.wording import count, scientific
from gradline_trainer.coordinates import Coordinates
from gradline_trainer.descent import Loss, gradient
from gradline_trainer.momentum import contraction, largest_stable_rate

__all__ = ["Optimality", "diverged", "measure_optimality"]

MOST_EPOCHS = 10**15


@dataclass(frozen=True)
class Optimality:
    """How far the weights that the loop ended with are from the optimum.

    Attributes:
        loss: At those weights.
        gap: ½·gᵀH⁻¹g: how far the loss is above its least value.
        gradient_norm: Of the loss, by the loop's own weights and bias.
        epochs_to_go: Estimated further epochs until the gap is below tolerance · loss; None where
            the rate is too large ever to get there.
        rmse_at_optimum: The root of the loss that no weights can undercut; a ridge penalty is part
            of it.
    """

    loss: float
    gap: float
    gradient_norm: float
    epochs_to_go: int | None
    rmse_at_optimum: float


def measure_optimality(
    loss: Loss,
    coordinates: Coordinates,
    weights: Tensor,
    bias: Tensor,
    *,
    learning_rate: float,
    tolerance: float,
    momentum: float = 0.0,
) -> Optimality:
    """Return how far `weights` (k, r) and `bias` (k,) are from the optimum of `loss`."""
    resolution = float(coordinates.problem.resolution.mean())
    weights, bias = weights.clone().requires_grad_(), bias.clone().requires_grad_()
    value = loss(weights, bias)
    value.backward()  # type: ignore[no-untyped-call]
    by_weights, by_bias = gradient(weights).double(), gradient(bias).double()
    by_bias = by_bias * coordinates.problem.bias
    now = max(value.item(), resolution)
    gap = coordinates.gap(by_weights, by_bias)
    everything = torch.cat([by_weights, by_bias[:, None]], 1)
    least = max(now - gap, 0.0)
    return Optimality(
        loss=now,
        gap=gap,
        gradient_norm=float(everything.norm()),
        epochs_to_go=_epochs_to_go(
            coordinates,
            everything,
            lambda values: contraction(learning_rate * values, momentum),
            tolerance * max(least, resolution),
            gap,
        ),
        rmse_at_optimum=math.sqrt(least),
    )


def _epochs_to_go(
    coordinates: Coordinates,
    gradients: Tensor,
    factor_at: Callable[[Tensor], Tensor],
    target: float,
    gap: float,
) -> int | None:
    """Return after how many further epochs the gap is at most `target`.

    Along the Hessian's eigenvector i, an epoch multiplies the error by `factor_at(λᵢ)`.
    """
    if not gap > target:
        return 0
    values, vectors = coordinates.curvature
    values = values.clamp_min(torch.finfo(torch.float64).tiny)
    gaps = (gradients[:, : len(values)] @ vectors).square().sum(0) / (2 * values)
    factor = factor_at(values)

    def left(epochs: int) -> float:
        return float((gaps * factor.pow(2 * epochs)).sum())

    high = 1
    while left(high) > target:
        high *= 2
        if high > MOST_EPOCHS:
            return None
    low = high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if left(middle) > target else (low, middle)
    return high


def diverged(
    coordinates: Coordinates,
    losses: list[float],
    learning_rate: float,
    names: list[str],
    momentum: float = 0.0,
) -> RefusedError | None:
    """Return the refusal of a run that diverged, or None for one that did not.

    Args:
        coordinates: That the loop ran in.
        losses: Of each epoch, and at the weights that the last one led to.
        learning_rate: Of the run.
        names: The features that are active in the problem, r of them.
        momentum: Of the run.
    """
    largest = largest_stable_rate(coordinates.steepest, momentum)
    formula = f"with momentum {momentum:g}," if momentum else "2/λmax ="
    least, last = min(losses), losses[-1]
    if not math.isfinite(last):
        event = f"the loss left the finite numbers at epoch {len(losses) - 1}"
    elif last > least * (1 + 1e-9) and learning_rate > largest:
        epochs = count(len(losses) - 1 - losses.index(least), "epoch")
        event = f"the loss rose from {least:.4g} to {last:.4g} in {epochs}"
    else:
        return None
    _, vectors = coordinates.curvature
    column = [*map(repr, names), "the bias"][int(vectors[:, -1].abs().argmax())]
    rate = f"the learning rate {scientific(learning_rate)}"
    if learning_rate > largest:
        why = (
            f"{rate} is above the largest stable rate for this table, {formula} "
            f"{scientific(largest)}"
        )
    else:
        why = (
            f"{rate} is stable ({formula} {scientific(largest)}), but the numbers outgrew the dtype"
        )
    return RefusedError(
        f"the run diverged: {event}; {why}; the column that dominates is {column}",
        code="diverged",
        hint="use --preconditioning standardize or --learning-rate auto "
        f"(1/λmax = {scientific(1 / coordinates.steepest)})",
    )
