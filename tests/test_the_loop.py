"""The loop: the tutorial's bit for bit, the same from rows and moments, honest about its end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline.errors import RefusedError
from gradline_trainer import Fit, fit
from gradline_trainer.orchard import TARGETS, orchard

Array = NDArray[np.float64]

U = 2.0**-53
TUTORIAL: dict[str, Any] = {
    "preconditioning": "none",
    "learning_rate": 1e-4,
    "epochs": 100,
    "seed": 1337,
    "tolerance": 0,
}
PRECONDITIONINGS = ["none", "standardize", "whiten"]
LARGEST_STABLE_RATE = 1.117e-4  # of the orchard


def tutorial() -> tuple[Tensor, Tensor, list[float]]:
    """Weights, biases and losses of the tutorial's own listing."""
    inputs = torch.tensor(
        [[73.0, 67, 43], [91, 88, 64], [87, 134, 58], [102, 43, 37], [69, 96, 70]]
    )
    targets = torch.tensor([[56.0, 70], [81, 101], [119, 133], [22, 37], [103, 119]])

    def model(x: Tensor) -> Tensor:
        return x @ weights.t() + biases

    def mse(predictions: Tensor, targets: Tensor) -> Tensor:
        difference = predictions - targets
        return torch.sum(difference * difference) / difference.numel()

    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(1337)
        weights = torch.randn(2, 3, requires_grad=True)
        biases = torch.rand(2, requires_grad=True)
    for _ in range(100):
        loss = mse(model(inputs), targets)
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            weights -= weights.grad * 1e-4
            biases -= biases.grad * 1e-4
            weights.grad.zero_()
            biases.grad.zero_()
    return weights.detach(), biases.detach(), losses


def random_table(seed: int, k: int, n: int = 100, d: int = 4) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.normal(rng.normal(0, 2, d), 1, (n, d))
    Y = rng.normal(30, 5, k) + X @ rng.normal(0, 3, (d, k)) + rng.normal(0, 1, (n, k))
    return X, Y


def resolution(X: Array, Y: Array) -> float:
    """The bound on what losses from rows and from moments may differ by."""
    return 2 * (X.shape[1] + 2) * U * float(np.mean(Y**2))


def least_loss(X: Array, Y: Array, bias: bool = True) -> float:
    """The loss that no weights and bias can undercut."""
    if bias:
        X, Y = X - X.mean(0), Y - Y.mean(0)
    return float(np.mean((X @ np.linalg.lstsq(X, Y, rcond=None)[0] - Y) ** 2))


def orchard_refusal(**options: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        fit(orchard(), TARGETS, preconditioning="none", **{"seed": 1337, **options})
    return caught.value


def training_rmse(found: Fit) -> float:
    """Over all targets."""
    metrics = (found.metrics["training"] or {}).values()
    return math.sqrt(sum(m.rmse**2 for m in metrics) / len(metrics))


def test_the_tutorial_is_followed_bit_for_bit() -> None:
    weights, biases, losses = tutorial()
    found = fit(orchard(), TARGETS, **TUTORIAL)
    assert torch.equal(found.weights, weights.double())
    assert torch.equal(found.bias, biases.double())
    assert found.history == losses
    assert round(math.sqrt(found.history[-1]), 4) == 2.3694


def test_default_options_reach_the_orchards_optimum_at_once() -> None:
    found = fit(orchard(), TARGETS)
    assert found.converged
    assert found.warnings == []
    assert len(found.history) <= 5
    assert round(math.sqrt(found.history[-1]), 4) == 0.6951
    assert round(training_rmse(found), 4) == 0.6951


def test_a_run_leaves_the_random_numbers_of_others_alone() -> None:
    before = torch.get_rng_state()
    fit(orchard(), TARGETS, **TUTORIAL)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_matters_only_where_the_start_is_drawn() -> None:
    def start(**options: Any) -> float:
        return fit(orchard(), TARGETS, epochs=2, **options).history[0]

    assert start(preconditioning="none", seed=1) != start(preconditioning="none", seed=2)
    mean_square = np.mean(orchard().values[:, 3:] ** 2)
    for preconditioning in ("standardize", "whiten"):
        for seed in (1, 2):
            found = start(preconditioning=preconditioning, seed=seed)
            assert found == pytest.approx(mean_square, rel=2 * (3 + 2) * U)


def test_a_feature_that_is_left_out_leaves_the_others_their_start() -> None:
    X, Y = random_table(0, 2)
    X[:, 1] = 0.1
    found = fit((X, Y), preconditioning="none", dtype="float64", seed=7, epochs=1)
    generator = torch.Generator().manual_seed(7)
    weights = torch.randn(2, 4, generator=generator).double().numpy()
    bias = torch.rand(2, generator=generator).double().numpy()
    weights[:, 1] = 0
    loss = np.mean((X @ weights.T + bias - Y) ** 2)
    assert found.history == [pytest.approx(loss, rel=resolution(X, Y) / np.mean(Y**2))]


# Rows and moments


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_rows_and_moments_give_the_same_history(preconditioning: str, k: int) -> None:
    for seed in range(5):
        X, Y = random_table(seed, k)
        options: dict[str, Any] = {"preconditioning": preconditioning, "seed": seed}
        options |= {"dtype": "float64", "epochs": 30, "tolerance": 0}
        rows = fit((X, Y), gradient="rows", **options).history
        moments = fit((X, Y), gradient="moments", **options).history
        # The bound is one on differences of sums no larger than Σy², so it says something of
        # starts that are about as good as predicting 0, or better.
        assert rows[-1] < rows[0] < 1.25 * np.mean(Y**2)
        assert len(rows) == len(moments) == 30
        apart = np.max(np.abs(np.subtract(rows, moments))) / resolution(X, Y)
        assert apart <= 1, f"{apart:.2f} times the bound, seed {seed}"


def test_rows_and_moments_agree_on_the_tutorials_own_run() -> None:
    options = {**TUTORIAL, "dtype": "float64"}
    rows = fit(orchard(), TARGETS, gradient="rows", **options).history
    moments = fit(orchard(), TARGETS, gradient="moments", **options).history
    X, Y = orchard().values[:, :3], orchard().values[:, 3:]
    # It starts 18 times worse than predicting 0, and rounding errors grow with the loss.
    bound = resolution(X, Y) * rows[0] / np.mean(Y**2)
    assert np.max(np.abs(np.subtract(rows, moments))) <= bound


# The end of a run


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("gradient", ["rows", "moments"])
def test_whitened_descent_is_done_in_three_epochs(gradient: str, k: int) -> None:
    X, Y = random_table(k, k)
    found = fit((X, Y), gradient=gradient)
    assert found.converged
    assert len(found.history) <= 3
    assert found.learning_rate == k / 2
    assert found.history[-1] == pytest.approx(least_loss(X, Y), abs=resolution(X, Y))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_in_whitened_coordinates_every_direction_shrinks_alike(k: int) -> None:
    X, Y = random_table(k, k)
    history = fit((X, Y), learning_rate=k / 4, epochs=8, tolerance=0).history
    gaps = np.array(history) - least_loss(X, Y)
    # Half the step that lands on the optimum halves the error, and quarters the gap.
    np.testing.assert_allclose(gaps[1:], gaps[:-1] / 4, rtol=0, atol=2 * resolution(X, Y))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gradient", ["rows", "moments"])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_the_loop_stops_at_the_first_epoch_within_tolerance(
    preconditioning: str, gradient: str, bias: bool
) -> None:
    X, Y = random_table(1, 2)
    options: dict[str, Any] = {"preconditioning": preconditioning, "gradient": gradient}
    options |= {"bias": bias, "dtype": "float64", "arithmetic": "fast"}
    found = fit((X, Y), epochs=5000, tolerance=1e-3, **options)
    history = np.array(found.history)
    within = history - least_loss(X, Y, bias) <= 1e-3 * history
    assert found.converged
    assert within.tolist() == [False] * (len(history) - 1) + [True]


def test_tolerance_0_runs_every_epoch() -> None:
    assert len(fit(orchard(), TARGETS, epochs=40, tolerance=0).history) == 40
    assert len(fit(orchard(), TARGETS, epochs=40).history) < 5
    at_the_optimum = ([[-1.0], [1.0]], [-1.0, 1.0])  # exactly, from the first step on
    assert len(fit(at_the_optimum, epochs=40, tolerance=0).history) == 40


def test_every_epoch_is_reported() -> None:
    seen: list[tuple[str, int]] = []
    options = {**TUTORIAL, "epochs": 3}
    fit(orchard(), TARGETS, progress=lambda stage, count: seen.append((stage, count)), **options)
    assert seen == [("rows", 5), ("epochs", 1), ("epochs", 2), ("epochs", 3)]


@pytest.mark.parametrize("gradient", ["rows", "moments"])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_a_perfect_fit_is_below_resolution_never_negative(
    preconditioning: str, gradient: str
) -> None:
    rng = np.random.default_rng(5)
    X = rng.integers(-8, 8, (50, 3)).astype(np.float64)
    Y = X @ [[1, 2], [0.5, -3], [-1, 0.25]] + [4, 8]
    options: dict[str, Any] = {"preconditioning": preconditioning, "gradient": gradient}
    options |= {"dtype": "float64", "epochs": 1500, "arithmetic": "fast"}
    assert len(fit((X, Y), **options).history) < 1500  # no nearer 0 than can be told from it
    found = fit((X, Y), tolerance=0, **options)
    bound = resolution(X, Y)
    assert found.converged
    assert all(0 <= loss < math.inf for loss in found.history)
    assert found.history[-1] <= bound
    if gradient == "moments":  # which can't tell it from 0, and don't claim to
        assert found.history[-1] == min(found.history) > 0
    for metrics in (found.metrics["training"] or {}).values():
        assert 0 <= metrics.rmse <= math.sqrt(2 * bound)
        assert metrics.r2 == pytest.approx(1, abs=1e-12)


# Divergence


@pytest.mark.parametrize("epochs", [14, 15, 100])
def test_divergence_is_diagnosed(epochs: int) -> None:
    error = orchard_refusal(learning_rate=1e-3, epochs=epochs)
    assert str(error) == (
        "the run diverged: the loss became infinite or NaN at epoch 14; the learning rate "
        "1.000e-3 is above the largest stable rate for this table, 2/λmax = 1.117e-4; the column "
        "that dominates is 'rainfall'"
    )
    assert error.command_hint == (
        "use --preconditioning standardize or --learning-rate auto (1/λmax = 5.584e-5)"
    )
    assert (error.code, error.exit_code) == ("diverged", 1)


@pytest.mark.parametrize("epochs", [1, 2, 10])
def test_a_rising_loss_is_refused_while_it_is_still_finite(epochs: int) -> None:
    error = orchard_refusal(learning_rate=1e-3, epochs=epochs)
    assert "the loss rose from 1.536e+05 to " in str(error)
    assert f" in {epochs} epoch" in str(error)
    assert "2/λmax = 1.117e-4" in str(error)
    assert error.code == "diverged"


def test_a_loss_that_fell_before_it_rose_is_refused_too() -> None:
    error = orchard_refusal(learning_rate=1.12e-4, seed=1, epochs=10)
    assert error.code == "diverged"
    assert "the loss rose from " in str(error)


@pytest.mark.parametrize(
    "cure", [{"learning_rate": "auto"}, {"learning_rate": 1e-3, "preconditioning": "standardize"}]
)
def test_what_the_hint_recommends_cures_divergence(cure: dict[str, Any]) -> None:
    history = fit(orchard(), TARGETS, **{"preconditioning": "none", **cure}).history
    assert history[-1] < history[0]


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_runs_diverge_above_the_largest_stable_rate_and_only_there(
    preconditioning: str, k: int
) -> None:
    table = random_table(k, k)
    options: dict[str, Any] = {"preconditioning": preconditioning, "gradient": "moments"}
    options |= {"epochs": 300, "tolerance": 0}
    largest = fit(table, **options).largest_stable_rate
    stable = fit(table, learning_rate=0.95 * largest, **options).history
    assert stable[-1] < stable[0]
    with pytest.raises(RefusedError, match="the run diverged"):
        fit(table, learning_rate=1.05 * largest, **options)


def test_the_column_that_dominates_is_named() -> None:
    X, Y = random_table(0, 1)
    X[:, 2] *= 1000
    with pytest.raises(RefusedError, match="the column that dominates is 'x2'"):
        fit((X, Y), preconditioning="none", learning_rate=1)
    with pytest.raises(RefusedError, match="the column that dominates is the bias"):
        fit((X / 1e6, Y), preconditioning="none", learning_rate=10, epochs=1000)


def test_numbers_too_large_for_float32_are_told_from_a_rate_too_large() -> None:
    X, Y = random_table(0, 1)
    with pytest.raises(RefusedError) as caught:
        fit((X * 1e25, Y), preconditioning="none")
    assert "the loss became infinite or NaN at epoch 0" in str(caught.value)
    assert "is stable" in str(caught.value)
    assert "the numbers outgrew the dtype" in str(caught.value)
    assert fit((X * 1e25, Y), preconditioning="standardize").converged


def test_a_run_above_the_stable_rate_that_is_not_refused_says_that_it_leads_nowhere() -> None:
    rate = 1.001 * LARGEST_STABLE_RATE
    found = fit(orchard(), TARGETS, preconditioning="none", learning_rate=rate, seed=1, epochs=3)
    assert found.history[-1] < found.history[0]  # so far: it rises later
    assert not found.converged
    assert found.optimality.epochs_to_go is None
    assert (
        "it can't be reached at this learning rate: use --preconditioning whiten"
        in found.warnings[0]
    )


# Stopping far from the optimum


def test_a_run_far_from_the_optimum_says_how_far() -> None:
    found = fit(orchard(), TARGETS, **TUTORIAL)
    assert not found.converged
    (warning,) = found.warnings
    assert "stopped before the optimum: the loss is 5.519" in warning
    assert "RMSE at the optimum 0.6951" in warning
    assert f"gradient norm {found.optimality.gradient_norm:.3g}" in warning
    assert 15_000_000 < (found.optimality.epochs_to_go or 0) <= 16_000_000
    assert "about 16,000,000 more epochs" in warning


def test_a_whitened_run_that_stalls_is_not_told_to_whiten() -> None:
    X, Y = random_table(1, 1)
    X[:, 2] = X[:, 0] + 1e-7 * X[:, 2]  # a condition that float64 moments can't resolve
    found = fit((X, Y), epochs=20)
    assert found.converged or found.warnings
    assert "--preconditioning whiten" not in " ".join(found.warnings)


@pytest.mark.parametrize("gradient", ["rows", "moments"])
def test_loss_gap_and_gradient_are_those_of_the_weights_that_are_returned(gradient: str) -> None:
    found = fit(orchard(), TARGETS, **TUTORIAL, dtype="float64", gradient=gradient)
    X, Y = orchard().values[:, :3], orchard().values[:, 3:]
    residual = X @ found.weights.numpy().T + found.bias.numpy() - Y
    loss, least = np.mean(residual**2), least_loss(X, Y)
    gradients = 2 / residual.size * residual.T @ np.c_[X, np.ones(5)]
    close = 1e5 * 2 * (3 + 2) * U  # rounding, magnified at most by the Hessian's condition
    assert found.optimality.loss == pytest.approx(loss, rel=close)
    assert found.optimality.gap == pytest.approx(loss - least, rel=close)
    assert found.optimality.rmse_at_optimum == pytest.approx(math.sqrt(least), rel=close)
    assert found.optimality.gradient_norm == pytest.approx(np.linalg.norm(gradients), rel=close)


@pytest.mark.parametrize("epochs", [1, 3, 5])
@pytest.mark.parametrize("tolerance", [1e-6, 1e-12])
@pytest.mark.parametrize("preconditioning", ["none", "standardize"])
def test_the_estimated_epochs_lead_to_the_optimum_and_half_as_many_do_not(
    preconditioning: str, tolerance: float, epochs: int
) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(0, [1, 0.5, 2], (50, 3))
    Y = X @ rng.normal(0, 1, (3, 2)) + rng.normal(0, 0.1, (50, 2)) + [3, 4]

    def after(epochs: int) -> Fit:
        options: dict[str, Any] = {"preconditioning": preconditioning, "tolerance": tolerance}
        return fit((X, Y), dtype="float64", epochs=epochs, **options)

    to_go = after(epochs).optimality.epochs_to_go or 0
    assert to_go > 1
    assert after(epochs + to_go).converged, f"not after {to_go} more epochs"
    assert not after(epochs + to_go // 2).converged
