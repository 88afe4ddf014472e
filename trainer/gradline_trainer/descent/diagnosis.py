"""Where a run ended: how far from the optimum, or why it diverged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gradline.errors import RefusedError
from gradline.formatting import count, scientific
from gradline_trainer.descent.coordinates import Coordinates
from gradline_trainer.descent.loop import Descent, gradient
from gradline_trainer.descent.problem import EPSILON
from gradline_trainer.descent.rounding import RESOLVED, Rounding
from gradline_trainer.options import Options

CONVERGED = 1e-12  # the tolerance that judges a run with --tolerance 0
MOST_EPOCHS = 10**15


@dataclass(frozen=True)
class Optimality:
    """How far the weights that the loop ended with are from the optimum.

    Attributes:
        loss: At those weights.
        gap: ½·gᵀH⁻¹g, the loss minus its minimum. It is 0 if subtracting it from the loss changes
            no digit, and None if rounding may hide a millionth of the loss, and more than the
            smallest loss that can be distinguished from 0.
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


class Measurable(Protocol):
    """A loss whose coordinates and rounding are known."""

    @property
    def coordinates(self) -> Coordinates:
        """The coordinates of the weights."""

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Return the loss at weights (k, r) and bias (k,)."""

    def rounding(self, weights: Tensor, bias: Tensor, value: float) -> Rounding:
        """Bound the rounding error at weights (k, r) and bias (k,); the loss there is `value`."""


def certify(
    loss: Measurable,
    descent: Descent,
    options: Options,
    resolution: float,
) -> tuple[Optimality, bool]:
    """Measure how far from the optimum a run ended, and decide whether that is near enough.

    Args:
        loss: In float64 or exact arithmetic.
        descent: Where the loop ended.
        options: The options of the run.
        resolution: The smallest loss that can be distinguished from 0.
    """
    coordinates, rate = loss.coordinates, descent.learning_rate
    tolerance, momentum = options.tolerance or CONVERGED, options.fixed_momentum
    weights = descent.weights.double().clone().requires_grad_()
    bias = descent.bias.double().clone().requires_grad_()
    value = loss(weights, bias)
    value.backward()  # type: ignore[no-untyped-call]
    by_weights, by_bias = gradient(weights), gradient(bias) * coordinates.problem.bias
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
        to_go = _epochs_to_go(coordinates, everything, rate, momentum, target, gap)
    smallest, largest = coordinates.extremes
    found = Optimality(
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
    return found, known and (gap <= tolerance * now or now <= resolution)


def root_gap(loss: float, least: float, gap: float) -> float:
    """Compute the root of the loss minus the root of its minimum."""
    return gap / (math.sqrt(loss) + math.sqrt(least)) if gap else 0.0


def _epochs_to_go(
    coordinates: Coordinates,
    gradients: Tensor,
    rate: float,
    momentum: float,
    target: float,
    gap: float,
) -> int | None:
    """Estimate after how many further epochs the gap is at most `target`; None for never."""
    if not gap > target:
        return 0
    values, vectors = coordinates.curvature
    values = values.clamp_min(torch.finfo(torch.float64).tiny)
    gaps = (gradients[:, : len(values)] @ vectors).square().sum(0) / (2 * values)
    factor = contraction(rate * values, momentum)

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


def largest_stable_rate(steepest: float, momentum: float = 0.0) -> float:
    """Compute the learning rate from which on the loop diverges, for λmax = `steepest`.

    It is 2/λmax without momentum µ and 2(1 + µ)/((1 + 2µ)λmax) with it. For a larger rate, a root
    of z² − (1 + µ)(1 − rate·λ)z + µ(1 − rate·λ) is below −1.
    """
    return 2 * (1 + momentum) / ((1 + 2 * momentum) * steepest)


def contraction(steps: Tensor, momentum: float) -> Tensor:
    """Compute the factor by which an epoch shrinks the error along an eigenvector, in the long run.

    It is the size of the larger root of z² − (1 + µ)(1 − s)z + µ(1 − s), and |1 − s| if µ is 0.

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


def diverged(losses: list[float], rate: float, stable: float) -> str | None:
    """Describe how a run diverged, from all of its losses; None if it did not diverge."""
    least, last = min(losses), losses[-1]
    if not math.isfinite(last):
        return f"the loss became infinite or NaN at epoch {len(losses) - 1}"
    if last > least * (1 + 1e-9) and rate > stable:
        epochs = count(len(losses) - 1 - losses.index(least), "epoch")
        return f"the loss rose from {least:.4g} to {last:.4g} in {epochs}"
    return None


def refuse_divergence(
    coordinates: Coordinates,
    descent: Descent,
    last: float,
    options: Options,
    features: list[str],
) -> None:
    """Raise if a run diverged, given its loss at the final weights.

    The error names the largest stable rate and the column that dominates.
    """
    learning_rate, momentum = descent.learning_rate, options.fixed_momentum
    losses = [*descent.history, last] if math.isfinite(descent.history[-1]) else descent.history
    largest = largest_stable_rate(coordinates.steepest, momentum)
    event = diverged(losses, learning_rate, largest)
    if event is None:
        return
    formula = f"with momentum {momentum:g}," if momentum else "2/λmax ="
    rate = f"the learning rate {_rate(learning_rate)}"
    if learning_rate > largest:
        why = f"{rate} is above the largest stable rate for this table, {formula} {_rate(largest)}"
    else:
        why = f"{rate} is stable ({formula} {_rate(largest)}), but the numbers outgrew the dtype"
    way = "use"
    if coordinates.kind != "whiten":  # whitened, no direction is steeper than another
        _, vectors = coordinates.curvature
        names = [repr(features[j]) for j in coordinates.problem.active.tolist()]
        column = [*names, "the bias"][int(vectors[:, -1].abs().argmax())]
        why += f"; the column that dominates is {column}"
    if coordinates.kind == "none":
        way = "use --preconditioning standardize or"
    raise RefusedError(
        f"the run diverged: {event}; {why}",
        code="diverged",
        hint=f"{way} --learning-rate auto (1/λmax = {_rate(1 / coordinates.steepest)})",
    )


def _rate(value: float) -> str:
    return f"{value:g}" if 0.01 <= value < 1000 else scientific(value)
