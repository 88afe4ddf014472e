"""Momentum on the one loop: Nesterov's recurrence, faster where directions are slow, and honest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gradline.errors import InputError, RefusedError
from gradline_trainer import fit
from gradline_trainer.descent.diagnosis import contraction
from gradline_trainer.descent.loop import descend
from gradline_trainer.descent.momentum import RestartingMomentum, constant_momentum
from gradline_trainer.orchard import TARGETS, orchard

STANDARDIZED: dict[str, Any] = {"preconditioning": "standardize", "epochs": 40, "tolerance": 0}


def test_the_loop_is_nesterovs_recurrence() -> None:
    slopes = torch.tensor([[1.0, 0.1]], dtype=torch.float64)
    rate, momentum, epochs = 0.7, 0.6, 9

    def loss(weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return (slopes * (weights - 1) ** 2).sum() / 2 + (bias**2).sum()

    start = torch.tensor([[4.0, -3.0]], dtype=torch.float64)
    ended = descend(
        loss,
        start,
        torch.zeros(1, dtype=torch.float64),
        train_bias=True,
        learning_rate=rate,
        epochs=epochs,
        enough=lambda *_: False,
        progress=lambda *_: None,
        momentum=constant_momentum(momentum),
    )
    x = y = start.numpy()
    expected = []
    for _ in range(epochs):
        expected.append(float((slopes.numpy() * (y - 1) ** 2).sum() / 2))
        step = y - rate * slopes.numpy() * (y - 1)
        x, y = step, step + momentum * (step - x)
    np.testing.assert_allclose(ended.weights, x, rtol=1e-14)
    np.testing.assert_allclose(ended.history, expected, rtol=1e-13)


def test_momentum_0_is_the_tutorial_bit_for_bit() -> None:
    given: dict[str, Any] = {"preconditioning": "none", "learning_rate": 1e-4, "tolerance": 0}
    with_it, without = (fit(orchard(), TARGETS, **given, **m) for m in ({"momentum": 0}, {}))
    assert torch.equal(with_it.weights, without.weights)
    assert with_it.history == without.history


@pytest.mark.parametrize("gradient", ["rows", "moments"])
def test_it_gets_nearer_in_as_many_epochs(gradient: str) -> None:
    gap = {
        m: fit(orchard(), TARGETS, **STANDARDIZED, gradient=gradient, momentum=m).optimality.gap
        for m in (0, 0.5)
    }
    assert 0 <= (gap[0.5] or 0) < (gap[0] or 0) / 100


def test_epochs_to_go_are_those_that_it_takes() -> None:
    given = STANDARDIZED | {"epochs": 5, "tolerance": 1e-9, "momentum": 0.6}
    found = fit(orchard(), TARGETS, **given)
    enough = fit(orchard(), TARGETS, **given | {"epochs": 1000})
    assert not found.converged
    assert enough.converged
    assert found.optimality.epochs_to_go == pytest.approx(len(enough.history) - 5, rel=0.3)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("step", [0.01, 0.5, 1.0, 1.2])
def test_the_contraction_is_the_companion_matrix_spectral_radius(
    momentum: float, step: float
) -> None:
    left = 1 - step
    companion = np.array([[(1 + momentum) * left, -momentum * left], [1, 0]])
    radius = np.abs(np.linalg.eigvals(companion)).max()
    assert float(contraction(torch.tensor(step).double(), momentum)) == pytest.approx(radius)


def test_a_rate_that_is_stable_without_it_is_refused_with_it() -> None:
    plain = fit(orchard(), TARGETS, **STANDARDIZED)
    rate = 0.9 * plain.largest_stable_rate
    given = STANDARDIZED | {"learning_rate": rate, "epochs": 300}
    fit(orchard(), TARGETS, **given)
    with pytest.raises(RefusedError, match=r"with momentum 0\.9") as caught:
        fit(orchard(), TARGETS, **given, momentum=0.9)
    assert caught.value.code == "diverged"


def test_it_is_refused_where_it_could_not_help() -> None:
    with pytest.raises(InputError, match="whitened descent has none") as caught:
        fit(orchard(), TARGETS, momentum=0.5)
    assert "--preconditioning standardize" in caught.value.command_hint


def test_the_schedule_begins_again_when_the_loss_rises() -> None:
    schedule = RestartingMomentum()
    losses = [5.0, 4.0, 3.0, 3.5, 3.0, 2.0]
    found = [schedule(losses[: epoch + 1]) for epoch in range(len(losses))]
    assert found == [0, 1 / 4, 2 / 5, 0, 1 / 4, 2 / 5]
