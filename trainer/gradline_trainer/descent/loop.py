"""The loop: predict, mean squared error, backward, step, zero the gradients, next epoch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gradline_trainer.descent.momentum import Momentum

__all__ = ["descend"]

Loss = Callable[[Tensor, Tensor], Tensor]


def descend(
    loss: Loss,
    weights: Tensor,
    bias: Tensor,
    *,
    train_bias: bool,
    learning_rate: float,
    epochs: int,
    enough: Callable[[Tensor, Tensor, float], bool],
    progress: Callable[[int, float], None],
    momentum: Momentum,
) -> tuple[Tensor, Tensor, list[float]]:
    """Run the tutorial's loop and return the weights, the bias and the loss of each epoch.

    Each loss is from before its epoch's step. The loop ends early after the step for which
    `enough` holds, and at the first loss that is not finite, which is the history's last. With
    momentum, loss and gradient are those ahead of where the last step ended, by a part of it.

    Args:
        loss: A differentiable function of weights (k, r) and bias (k,).
        weights: Where to start.
        bias: Where to start; stays there unless `train_bias`.
        train_bias: Whether the bias is a parameter.
        learning_rate: Of the step `parameter -= learning_rate * gradient`.
        epochs: The most steps.
        enough: Whether to stop, from the gradients by weights and bias and the loss.
        progress: Called with the number of each epoch, the first is 0, and its loss.
        momentum: Nesterov's, from the losses so far; 0 is the tutorial.
    """
    weights, bias = weights.clone().requires_grad_(), bias.clone().requires_grad_()
    parameters = [weights, bias] if train_bias else [weights]
    ends = [parameter.detach().clone() for parameter in parameters]
    history: list[float] = []
    for epoch in range(epochs):
        value = loss(weights, bias)
        value.backward()  # type: ignore[no-untyped-call]
        history.append(value.item())
        if not math.isfinite(history[-1]):
            break
        with torch.no_grad():
            done = enough(gradient(weights), gradient(bias) * train_bias, history[-1])
            for parameter in parameters:
                parameter -= learning_rate * gradient(parameter)
            for parameter in (weights, bias):
                gradient(parameter).zero_()
        progress(epoch, history[-1])
        if done or epoch == epochs - 1:
            break
        ahead = momentum(history)
        with torch.no_grad():
            for parameter, end in zip(parameters, ends, strict=True):
                travelled = parameter - end
                end.copy_(parameter)
                if ahead:
                    parameter += ahead * travelled
    return weights.detach(), bias.detach(), history


def gradient(parameter: Tensor) -> Tensor:
    """Return what the last backward pass left for the parameter."""
    assert parameter.grad is not None  # noqa: S101 - every loss depends on both parameters
    return parameter.grad
