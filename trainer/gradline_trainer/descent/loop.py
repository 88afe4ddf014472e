"""The loop: predict, mean squared error, backward, step, zero the gradients, next epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: Computes the loss at weights (k, r) and bias (k,). Its backward pass gives their gradients. A
#: loss may keep a part of the parameters itself: it adds them to that part and sets them to 0.
LossFunction = Callable[[Tensor, Tensor], Tensor]

#: Chooses the momentum of the next step from the losses so far.
Momentum = Callable[[list[float]], float]


@dataclass(frozen=True)
class Descent:
    """Where the loop ended.

    Attributes:
        weights: The loop's own weights, shape (k, r).
        bias: The loop's own bias, shape (k,).
        history: The loss of each epoch, before its step.
        learning_rate: The step size.
    """

    weights: Tensor
    bias: Tensor
    history: list[float]
    learning_rate: float


def descend(
    loss: LossFunction,
    weights: Tensor,
    bias: Tensor,
    *,
    train_bias: bool,
    learning_rate: float,
    epochs: int,
    enough: Callable[[Tensor, Tensor, float], bool],
    progress: Callable[[int, float], None],
    momentum: Momentum | None = None,
) -> Descent:
    """Run the tutorial's loop.

    Each loss is measured before the epoch's step. The loop ends early after the step for which
    `enough` holds, and at the first loss that is not finite, which is then the last in the history.
    With momentum, the loss and the gradient are measured ahead of the point where the last step
    ended, on its line (Nesterov, 1983).

    Args:
        loss: A differentiable function of weights (k, r) and bias (k,).
        weights: Where to start.
        bias: Where to start; it stays there unless `train_bias`.
        train_bias: Whether the bias is a parameter.
        learning_rate: Of the step `parameter -= learning_rate * gradient`.
        epochs: The maximum number of steps.
        enough: Whether to stop, given the gradients by weights and bias and the loss.
        progress: Called with the epoch, counted from 0, and its loss.
        momentum: Nesterov's; None in the tutorial.
    """
    weights, bias = weights.clone().requires_grad_(), bias.clone().requires_grad_()
    parameters = [weights, bias] if train_bias else [weights]
    ends = [parameter.detach().clone() for parameter in parameters] if momentum else []
    history: list[float] = []
    for epoch in range(epochs):
        value = loss(weights, bias)
        value.backward()  # type: ignore[no-untyped-call]
        history.append(value.item())
        if not math.isfinite(history[-1]):
            break
        with torch.no_grad():
            slope = gradient(bias) if train_bias else torch.zeros_like(bias)
            done = enough(gradient(weights), slope, history[-1])
            for parameter in parameters:
                parameter -= learning_rate * gradient(parameter)
            for parameter in (weights, bias):
                gradient(parameter).zero_()
        progress(epoch, history[-1])
        if done or epoch == epochs - 1:
            break
        if momentum is None:
            continue
        ahead = momentum(history)
        with torch.no_grad():
            for parameter, end in zip(parameters, ends, strict=True):
                travelled = parameter - end
                end.copy_(parameter)
                if ahead:
                    parameter += ahead * travelled
    return Descent(weights.detach(), bias.detach(), history, learning_rate)


def gradient(parameter: Tensor) -> Tensor:
    """Return the gradient that the last backward pass left on the parameter."""
    assert parameter.grad is not None  # noqa: S101 - every loss depends on both parameters
    return parameter.grad
