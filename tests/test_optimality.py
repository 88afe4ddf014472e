"""What a fit says of its distance from the optimum, against the optimum itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradline import RefusedError
from gradline_trainer import fit

PRECONDITIONINGS = ["none", "standardize", "whiten"]


@settings(max_examples=60, deadline=None)
@example(1073741825, "none", "rows", True, 0.0, 1, 0.3)  # condition 5e3, which the gap's error has
@given(
    seed=st.integers(0, 2**32 - 1),
    preconditioning=st.sampled_from(PRECONDITIONINGS),
    gradient=st.sampled_from(["rows", "moments"]),
    bias=st.booleans(),
    ridge=st.sampled_from([0.0, 3.0]),
    epochs=st.integers(1, 30),
    share=st.sampled_from([0.3, 0.9, 1.0]),
)
def test_the_weights_are_as_near_as_it_says(
    seed: int,
    preconditioning: str,
    gradient: str,
    bias: bool,
    ridge: float,
    epochs: int,
    share: float,
) -> None:
    rng = np.random.default_rng(seed)
    n, d, k = 30, int(rng.integers(1, 5)), int(rng.integers(1, 4))
    X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.uniform(-3, 3, d)
    Y = rng.standard_normal((n, k)) * 10.0 ** rng.integers(-3, 4, k)
    options: dict[str, Any] = {"preconditioning": preconditioning, "gradient": gradient}
    options |= {"bias": bias, "ridge": ridge, "arithmetic": "fast", "dtype": "float64"}
    rate = share * fit((X, Y), epochs=1, **options).largest_stable_rate / 2
    found = fit((X, Y), epochs=epochs, learning_rate=rate, tolerance=0, **options)
    best = fit((X, Y), arithmetic="exact", bias=bias, ridge=ridge)
    optimality, least = found.optimality, best.optimality.loss
    scale = np.mean(Y**2) + optimality.loss
    # The Hessian's sums are off by `noise`, and its inverse by the condition's square times that.
    centred = X - X.mean(axis=0) * bias
    spread = np.sqrt(np.mean(centred**2, axis=0) + ridge / n)
    scaled = np.vstack([centred, np.sqrt(ridge) * np.eye(d)]) / spread
    noise = (4 * (d + 2) + np.sqrt(n)) * 2.0**-53
    slack = d * noise * np.linalg.cond(scaled) ** 2
    assert optimality.gap == pytest.approx(optimality.loss - least, rel=slack, abs=1e-12 * scale)
    if optimality.rmse_gap is not None:
        assert optimality.rmse_gap == pytest.approx(
            np.sqrt(optimality.loss) - np.sqrt(least), abs=1e-6 * np.sqrt(scale)
        )
    apart = float((found.weights - best.weights).norm())
    assert optimality.weights_error is not None
    assert apart <= optimality.weights_error * (1 + 1e-6)
    sizes = np.abs(best.weights.numpy()) @ spread + np.sqrt(np.mean(Y**2, axis=0))
    if apart > 1e3 * slack * np.linalg.norm(sizes) / spread.min():  # far above what rounding does
        assert optimality.weights_error <= 1.01 * apart


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_the_hessians_extremes_are_its_eigenvalues(preconditioning: str, k: int) -> None:
    rng = np.random.default_rng(k)
    X, Y = rng.standard_normal((40, 3)) * [1, 5, 0.1] + [0, 3, 1], rng.standard_normal((40, k))
    found = fit((X, Y), preconditioning=preconditioning).optimality
    ones = np.ones((40, 1))
    centred = X - X.mean(axis=0)
    rows = {
        "none": np.hstack([X, ones]),
        "standardize": np.hstack([centred / X.std(axis=0), ones]),
        "whiten": np.hstack([np.linalg.qr(centred)[0] * np.sqrt(40), ones]),
    }[preconditioning]
    values = np.linalg.eigvalsh(rows.T @ rows / 40) * 2 / k
    assert found.hessian_smallest == pytest.approx(values[0], rel=1e-9)
    assert found.hessian_largest == pytest.approx(values[-1], rel=1e-9)


def test_exact_weights_are_within_their_last_rounding() -> None:
    rng = np.random.default_rng(3)
    found = fit((rng.standard_normal((20, 3)), rng.standard_normal((20, 1))), arithmetic="exact")
    assert found.exact is not None
    rest = [Fraction(float(r)) for r in found.exact.weights_rest.ravel()]
    assert found.optimality.weights_error is not None
    assert sum(r * r for r in rest) <= Fraction(found.optimality.weights_error) ** 2


@pytest.mark.parametrize("arithmetic", ["fast", "exact"])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_a_table_that_fits_exactly_has_no_warning(preconditioning: str, arithmetic: str) -> None:
    if arithmetic == "exact" and preconditioning != "whiten":
        return
    rng = np.random.default_rng(1)
    X = rng.integers(-9, 9, (12, 3)).astype(float)
    options: dict[str, Any] = {"preconditioning": preconditioning, "arithmetic": arithmetic}
    found = fit((X, X @ [1.0, -2.0, 0.5] + 3), epochs=5000, dtype="float64", **options)
    assert found.converged
    assert found.warnings == []


def test_the_hint_of_a_divergence_is_no_option_in_use() -> None:
    rng = np.random.default_rng(1)
    table = rng.standard_normal((30, 3)), rng.standard_normal((30, 1))
    for preconditioning in PRECONDITIONINGS:
        with pytest.raises(RefusedError) as caught:
            fit(table, preconditioning=preconditioning, learning_rate=50.0, epochs=50)
        assert ("--preconditioning" in caught.value.command_hint) == (preconditioning == "none")
        assert "the learning rate 50 is above" in str(caught.value)


def test_near_dependence_is_named() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 2))
    X = np.c_[X, X @ [1, 1] + 1e-8 * rng.standard_normal(60)]
    (warning,) = fit((X, rng.standard_normal(60))).warnings
    assert "'x2' is nearly a linear combination of earlier ones" in warning
    assert "condition number about" in warning


def test_features_too_small_to_square_are_not_called_constant() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20, 2)) * [1, 1e-200]
    (warning,) = fit((X, rng.standard_normal(20))).warnings
    assert warning == (
        "too small to square, so their weight is 0: 'x1' (multiply the column first)"
    )
