"""Whatever coordinates the loop runs in, its weights come back in the table's own units."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradline_trainer import Fit, fit
from gradline_trainer.descent.coordinates import Coordinates
from gradline_trainer.descent.problem import state_problem
from gradline_trainer.moments.moments import Moments
from gradline_trainer.options import Options

Array = NDArray[np.float64]
Kind = Literal["none", "standardize", "whiten"]

U = 2.0**-53
KINDS: list[Kind] = ["none", "standardize", "whiten"]

seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
modest = settings(max_examples=50, deadline=None)


@st.composite
def columns(draw: st.DrawFn, n: int, most: int) -> Array:
    """Features of all magnitudes from 1e-6 to 1e9, up to a million times their spread off 0."""
    d = draw(st.integers(1, most))
    scales = 10.0 ** np.array(draw(st.lists(st.floats(-6, 9), min_size=d, max_size=d)))
    offsets = draw(st.lists(st.floats(-1e6, 1e6), min_size=d, max_size=d))
    return (draw(seeds).normal(0, 1, (n, d)) + offsets) * scales


# Predictions


@given(columns(30, 5), st.integers(1, 3), seeds)
@pytest.mark.parametrize("kind", KINDS)
@modest
def test_folded_weights_predict_what_the_working_ones_do(
    kind: Kind, X: Array, k: int, rng: np.random.Generator
) -> None:
    d = X.shape[1]
    moments = Moments.of(np.hstack([X, rng.normal(0, 1, (len(X), k))]))
    coordinates = Coordinates(state_problem(moments, d, Options()), kind)
    problem = coordinates.problem
    V, b = rng.normal(0, 1, (k, d)), rng.normal(0, 1, k)
    folded = coordinates.fold(torch.from_numpy(V), torch.from_numpy(b), d)
    W, bias = (part.numpy() for part in folded)

    shift, scale, L = np.zeros(d), np.ones(d), np.eye(d)
    if kind != "none":
        shift, scale = problem.centre.numpy(), problem.scale.numpy()
    if kind == "whiten":
        L = problem.factor.numpy()
    standard = (X - shift) / scale
    z = np.linalg.solve(L, standard.T).T
    working = z @ V.T + b

    # Each product, sum and triangular solve errs by γ of its terms' magnitudes (Higham, Accuracy
    # and Stability, ch. 3 and 8).
    gamma, inverse = (4 * d + 20) * U, np.linalg.inv(L)
    terms = np.abs(X) @ np.abs(W.T) + np.abs(bias) + np.abs(b) + np.abs(W) @ np.abs(shift)
    terms += np.abs(standard) @ (np.abs(W * scale) @ np.abs(L) @ np.abs(inverse)).T
    terms += np.abs(z) @ (np.abs(V) @ np.abs(inverse) @ np.abs(L)).T
    off = np.max(np.abs(X @ W.T + bias - working) / (gamma * terms))
    assert off <= 1, f"predictions are off by {off:.3g} times the bound"


def test_features_that_were_left_out_come_back_with_weight_0() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(0, 1, (20, 4))
    X[:, 1], X[:, 3] = 0.1, X[:, 0] + X[:, 2]
    moments = Moments.of(np.c_[X, rng.normal(0, 1, 20)])
    problem = state_problem(moments, 4, Options(dependent="drop"))
    for kind in KINDS:
        coordinates = Coordinates(problem, kind)
        weights, bias = torch.ones(1, 2), torch.ones(1)
        folded, _ = coordinates.fold(weights, bias, 4)
        assert (folded[0] == 0).tolist() == [False, True, False, True]
        assert (folded.dtype, folded.shape) == (torch.float64, (1, 4))


# Fits


def exact_solution(X: Array, y: Array) -> list[Fraction]:
    """The slow twin: weights and bias of least squares on [X 1], without rounding."""
    rows = [[*(Fraction(float(x)) for x in row), Fraction(1)] for row in X]
    targets = [Fraction(float(value)) for value in y]
    p = len(rows[0])
    system = [
        [sum(row[i] * row[j] for row in rows) for j in range(p)]
        + [sum(row[i] * t for row, t in zip(rows, targets, strict=True))]
        for i in range(p)
    ]
    for i in range(p):  # Gauss-Jordan; a Gram matrix needs no pivoting
        system[i] = [value / system[i][i] for value in system[i]]
        for j in range(p):
            if j != i:
                factor = system[j][i]
                system[j] = [a - factor * b for a, b in zip(system[j], system[i], strict=True)]
    return [Fraction(row[-1]) for row in system]


def assert_solution(found: Fit, X: Array, y: Array, truth: list[Fraction]) -> None:
    """Compare weights and bias with the truth by the error bound of the normal equations.

    In standard units v = W·σ the moments err by γ, so v errs by ‖N⁻¹‖·γ·(‖cross‖ + ‖N‖·‖v‖),
    with N the correlations of the columns, and cross their covariance with the target.
    """
    n, d = X.shape
    sigma, mean = X.std(axis=0), np.abs(X).max(axis=0)
    W, b = found.weights.numpy()[0], found.bias.item()
    v = np.array([float(t) for t in truth[:-1]]) * sigma
    least = np.linalg.eigvalsh(np.corrcoef(X.T).reshape(d, d))[0]
    gamma = (4 * n + d**2 + 16) * U
    unsure = gamma / least * (np.sqrt(d) * y.std() + d * np.linalg.norm(v))
    for j in range(d):
        off = abs(float(Fraction(float(W[j])) - truth[j])) * sigma[j] / unsure
        assert off <= 1, f"W[{j}] is off by {off:.3g} times the bound"
    unsure_bias = unsure * np.sum(mean / sigma)
    unsure_bias += gamma * (np.abs(y).max() + np.abs(W) @ mean)
    off = abs(float(Fraction(b) - truth[-1])) / unsure_bias
    assert off <= 1, f"b is off by {off:.3g} times the bound"


@given(columns(15, 3), seeds)
@modest
def test_a_fit_is_the_exact_solution_whatever_the_units(X: Array, rng: np.random.Generator) -> None:
    y = X / X.std(axis=0) @ rng.normal(0, 1, X.shape[1]) + rng.normal(0, 0.1, len(X))
    assert_solution(fit((X, y)), X, y, exact_solution(X, y))


@given(st.lists(st.tuples(st.integers(-20, 30), st.integers(-(2**20), 2**20)), min_size=3), seeds)
@modest
def test_the_fit_of_other_units_is_the_fit_in_other_units(
    units: list[tuple[int, int]], rng: np.random.Generator
) -> None:
    powers, offsets = np.array(units[:3]).T
    scales = 2.0**powers
    X = rng.integers(-1000, 1000, (15, 3)).astype(np.float64)
    y = X @ [1, -2, 3] + rng.normal(0, 50, 15)
    *weights, bias = exact_solution(X, y)
    scaled = (X + offsets) * scales  # exactly: integers times powers of two
    back = [w / Fraction(s) for w, s in zip(weights, scales, strict=True)]
    shift = sum(w * int(o) for w, o in zip(weights, offsets, strict=True))
    assert_solution(fit((scaled, y)), scaled, y, [*back, bias - shift])


@given(st.lists(st.integers(-20, 30), min_size=4, max_size=4), seeds)
@pytest.mark.parametrize("gradient", ["rows", "moments"])
@pytest.mark.parametrize("preconditioning", ["standardize", "whiten"])
@settings(max_examples=15, deadline=None)
def test_powers_of_two_in_the_units_change_no_bit(
    preconditioning: str, gradient: str, powers: list[int], rng: np.random.Generator
) -> None:
    *scales, target_scale = 2.0 ** np.array(powers)
    X = rng.normal(3, 1, (15, 3))
    Y = X @ rng.normal(0, 1, (3, 2)) + rng.normal(0, 1, (15, 2))
    options: dict[str, Any] = {"preconditioning": preconditioning, "gradient": gradient}
    plain = fit((X, Y), epochs=8, **options)
    scaled = fit((X * scales, Y * target_scale), epochs=8, **options)
    assert torch.equal(scaled.weights * torch.tensor(scales) / target_scale, plain.weights)
    assert torch.equal(scaled.bias / target_scale, plain.bias)
    assert [loss / target_scale**2 for loss in scaled.history] == plain.history
