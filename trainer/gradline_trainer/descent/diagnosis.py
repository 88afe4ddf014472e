"""What a run says of itself: why it diverged, or how far it stopped from the optimum."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gradline.errors import RefusedError
from gradline.formatting import count, scientific
from gradline_trainer.descent.coordinates import Coordinates
from gradline_trainer.descent.loop import gradient
from gradline_trainer.descent.momentum import contraction, largest_stable_rate
from gradline_trainer.descent.rounding import EPSILON, RESOLVED, Rounding

__all__ = ["Loss", "Optimality", "diverged", "measure_optimality", "root_gap"]

MOST_EPOCHS = 10**15


@dataclass(frozen=True)
class Optimality:
    """How far the weights that the loop ended with are from the optimum.

    Attributes:
        loss: At those weights.
        gap: ½·gᵀH⁻¹g, the loss minus its minimum. It is 0 if subtracting it from the loss changes
            no digit, and None if rounding may hide a millionth of the loss, and more than the
            smallest loss that can be told from 0.
        gradient_norm: With respect to the loop's own weights and bias; 0 if the gap is 0.
        epochs_to_go: Estimated further epochs until the gap is below tolerance · loss; None if the
            rate is too large ever to get there, or if the gap is None.
        rmse_at_optimum: The root of the minimal loss, to six digits; it includes the ridge penalty.
            None if rounding leaves fewer digits, or if dependent features were left out.
        rmse_gap: The root of the loss minus `rmse_at_optimum`; None if that is None.
        weights_error: A bound on ‖W − W*‖ (Frobenius, raw units, before W is rounded to the
            graph's dtype). None if rounding makes a bound impossible, or if dependent features
            were left out. The loss is a quadratic, so W − W* is the gradient times the inverse
            Hessian. The bound adds how far rounding can move the optimum: see
            `gradline_trainer.descent.rounding`.
        hessian_smallest, hessian_largest: Its extreme eigenvalues in the loop's coordinates.
    """

    loss: float
    gap: float | None
    gradient_norm: float
    epochs_to_go: int | None
    rmse_at_optimum: float | None
    rmse_gap: float | None
    weights_error: float | None
    hessian_smallest: float
    hessian_largest: float


class Loss(Protocol):
    """A differentiable loss with coordinates and a bound on its own rounding."""

    @property
    def coordinates(self) -> Coordinates:
        """The coordinates of the weights."""

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Return the loss at weights (k, r) and bias (k,)."""

    def rounding(self, weights: Tensor, bias: Tensor, value: float) -> Rounding:
        """Bound the rounding error at weights (k, r) and bias (k,); the loss there is `value`."""


def measure_optimality(
    loss: Loss,
    weights: Tensor,
    bias: Tensor,
    *,
    learning_rate: float,
    tolerance: float,
    resolution: float,
    momentum: float = 0.0,
) -> Optimality:
    """Measure how far `weights` (k, r) and `bias` (k,) are from the optimum of `loss`.

    Args:
        loss: In float64 or exact arithmetic.
        weights: The final weights.
        bias: The final bias.
        learning_rate: Of the run.
        tolerance: A gap below this share of the loss counts as none.
        resolution: A loss below this can't be told from 0.
        momentum: Of the run.
    """
    coordinates = loss.coordinates
    weights, bias = weights.clone().requires_grad_(), bias.clone().requires_grad_()
    value = loss(weights, bias)
    value.backward()  # type: ignore[no-untyped-call]
    by_weights, by_bias = gradient(weights).double(), gradient(bias).double()
    by_bias = by_bias * coordinates.problem.bias
    now = max(value.item(), resolution)
    rounding = loss.rounding(weights.detach(), bias.detach(), now)
    gaps = coordinates.gaps(by_weights, by_bias)
    gap = float(gaps.sum())
    everything = torch.cat([by_weights, by_bias[:, None]], 1)
    if gap <= EPSILON * now:
        gap, everything = 0.0, torch.zeros_like(everything)
    most = rounding.largest_gap(gaps)
    hidden = most - gap
    known = hidden <= RESOLVED * now or most <= 2 * resolution
    if not known:  # the loss may be mostly rounding
        now = max(now, rounding.loss)
    least, error = None, None
    if not coordinates.problem.dependent:  # columns left out may lower the loss further
        least = now - gap if rounding.loss + hidden <= RESOLVED * (now - gap) else None
        error = rounding.weights_error(gaps, coordinates.error(by_weights, by_bias))
    to_go = None
    if known:
        target = tolerance * max(now - gap, resolution)
        to_go = _epochs_to_go(
            coordinates,
            everything,
            lambda values: contraction(learning_rate * values, momentum),
            target,
            gap,
        )
    smallest, largest = coordinates.extremes
    return Optimality(
        loss=now,
        gap=gap if known else None,
        gradient_norm=float(everything.norm()),
        epochs_to_go=to_go,
        rmse_at_optimum=None if least is None else math.sqrt(least),
        rmse_gap=None if least is None else root_gap(now, least, gap),
        weights_error=error,
        hessian_smallest=smallest,
        hessian_largest=largest,
    )


def root_gap(loss: float, least: float, gap: float) -> float:
    """Compute the root of the loss minus the root of its minimum."""
    return gap / (math.sqrt(loss) + math.sqrt(least)) if gap else 0.0


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
    rate = f"the learning rate {_rate(learning_rate)}"
    if learning_rate > largest:
        why = f"{rate} is above the largest stable rate for this table, {formula} {_rate(largest)}"
    else:
        why = f"{rate} is stable ({formula} {_rate(largest)}), but the numbers outgrew the dtype"
    way = ""
    if coordinates.kind != "whiten":  # where no direction is steeper than another
        _, vectors = coordinates.curvature
        column = [*map(repr, names), "the bias"][int(vectors[:, -1].abs().argmax())]
        why += f"; the column that dominates is {column}"
    if coordinates.kind == "none":
        way = "--preconditioning standardize or "
    return RefusedError(
        f"the run diverged: {event}; {why}",
        code="diverged",
        hint=f"use {way}--learning-rate auto (1/λmax = {_rate(1 / coordinates.steepest)})",
    )


def _rate(value: float) -> str:
    return f"{value:g}" if 0.01 <= value < 1000 else scientific(value)
