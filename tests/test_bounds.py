"""Explicit fast arithmetic on ill-conditioned tables: a bound contains the truth or is null."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.test_exact import solution

from gradline import InputError, RefusedError
from gradline.commands.inspect import describe
from gradline.package.reading import read_package
from gradline.terminal.layout import as_text
from gradline_export import export_package
from gradline_export.freeze.intervals import interval_terms
from gradline_trainer import Fit, fit

Array = NDArray[np.float64]
ROWS = 12


def hilbert(rng: np.random.Generator, d: int) -> Array:
    return 1 / (np.arange(ROWS)[:, None] + np.arange(d) + 1 + rng.integers(0, 3))


def powers(rng: np.random.Generator, d: int) -> Array:
    x = np.sort(rng.uniform(0, 10.0 ** rng.integers(0, 3), ROWS))
    return np.vander(x, d + 1, increasing=True)[:, 1:]


def offset(rng: np.random.Generator, d: int) -> Array:
    return rng.standard_normal((ROWS, d)) + 10.0 ** rng.integers(0, 13)


def nearly_equal(rng: np.random.Generator, d: int) -> Array:
    steps = rng.standard_normal((ROWS, d)) * 10.0 ** -rng.integers(1, 12)
    return rng.standard_normal((ROWS, 1)) + steps


TABLES = {f.__name__: f for f in (hilbert, powers, offset, nearly_equal)}


class Truth:
    """The optimum over a table's columns and the loss anywhere, in rational numbers."""

    def __init__(self, X: Array, Y: Array, w: Array | None, bias: bool, ridge: float) -> None:
        self.rows = [[Fraction(v) for v in row] for row in X]
        self.answers = [[Fraction(v) for v in row] for row in Y]
        self.w = [Fraction(1)] * len(X) if w is None else [Fraction(v) for v in w]
        self.bias, self.ridge = bias, Fraction(ridge)
        self.largest = max(np.abs(X).max(initial=0), np.abs(Y).max())
        self.best = solution(X, Y, bias=bias, ridge=ridge, weights=w)
        self.weights = [row[: X.shape[1]] for row in self.best]
        self.least = self.loss(self.weights)

    def loss(self, weights: list[list[Fraction]], biases: Any = None) -> Fraction:
        """Return the loss at weights and biases, without those at the best there are for them."""
        total, weight = Fraction(0), sum(self.w)
        for t, row in enumerate(weights):
            left = [
                y[t] - sum((a * b for a, b in zip(row, x, strict=True)), Fraction())
                for x, y in zip(self.rows, self.answers, strict=True)
            ]
            if biases is not None:
                left = [r - Fraction(float(biases[t])) for r in left]
            elif self.bias:
                mean = sum(w * r for w, r in zip(self.w, left, strict=True)) / weight
                left = [r - mean for r in left]
            total += sum(w * r * r for w, r in zip(self.w, left, strict=True))
            total += self.ridge * sum(v * v for v in row)
        return total / weight / len(weights)


def fractions(weights: Any) -> list[list[Fraction]]:
    return [[Fraction(v) for v in row] for row in weights.tolist()]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    table=st.sampled_from(sorted(TABLES)),
    preconditioning=st.sampled_from(["whiten", "whiten", "standardize", "none"]),
    gradient=st.sampled_from(["auto", "moments"]),
    bias=st.booleans(),
    weighted=st.booleans(),
    ridge=st.sampled_from([0.0, 0.0, 1e-9, 1.0]),
    perfect=st.booleans(),
)
def test_a_bound_contains_the_truth_or_is_null(
    seed: int,
    table: str,
    preconditioning: str,
    gradient: str,
    bias: bool,
    weighted: bool,
    ridge: float,
    perfect: bool,
) -> None:
    rng = np.random.default_rng(seed)
    X = TABLES[table](rng, int(rng.integers(2, 8)))
    Y = X @ rng.integers(1, 4, (X.shape[1], 2)) + (0 if perfect else rng.standard_normal((ROWS, 2)))
    w = rng.uniform(0.1, 3, ROWS) if weighted else None
    options: dict[str, Any] = {"bias": bias, "ridge": ridge, "sample_weight": w}
    options |= {"preconditioning": preconditioning, "gradient": gradient, "dtype": "float64"}
    found = fit((X, Y), arithmetic="fast", epochs=20, dependent="drop", **options)
    kept = sorted(set(range(X.shape[1])) - set(left_out(found)))
    truth = Truth(X[:, kept], Y, w, bias, ridge)
    weights = fractions(found.weights[:, kept])
    check(found, truth, weights, dropped=len(kept) < X.shape[1])


def left_out(found: Fit) -> list[int]:
    return [j for j in range(len(found.features)) if not found.weights[:, j].any()]


def check(found: Fit, truth: Truth, weights: list[list[Fraction]], *, dropped: bool) -> None:
    optimality, least = found.optimality, truth.least
    pairs = zip(weights, truth.weights, strict=True)
    apart = sum((a - b) ** 2 for row, best in pairs for a, b in zip(row, best, strict=True))
    above = truth.loss(weights) - least
    # What the moments can't tell from 0, twice, and a millionth of the loss.
    squares = float(max(y * y for row in truth.answers for y in row))
    within = 4 * (len(weights[0]) + 2) * 2.0**-53 * squares + 2e-6 * optimality.loss
    if dropped:  # then a bound would be of fewer columns than it says
        assert optimality.weights_error is optimality.rmse_at_optimum is None
    if optimality.weights_error is not None:
        assert apart <= Fraction(optimality.weights_error * (1 + 1e-9)) ** 2
    if optimality.rmse_at_optimum is not None:
        assert optimality.rmse_at_optimum == pytest.approx(math.sqrt(least), rel=1e-6, abs=0)
    if optimality.gap is not None:
        # Beside an offset a bias, which is a float64, is off by its last bit.
        last = 1e-15 * float(found.bias.abs().max())
        rounded = 2 * last * math.sqrt(optimality.loss) + last**2
        actual = float(truth.loss(weights, found.bias) - least)
        assert actual == pytest.approx(optimality.gap, rel=0, abs=within + rounded)
    sizes = np.abs(found.weights.numpy()).max() * truth.largest * len(weights[0]) + truth.largest
    assert optimality.loss >= float(least) * (1 - 1e-6) - 1e-14 * sizes**2
    if found.converged:
        assert optimality.gap is not None
        assert above <= Fraction(within)


@pytest.mark.parametrize("seed", range(40))
def test_a_perfect_fit_has_no_loss_at_its_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((12, 3))
    found = fit((X, X[:, :1]), arithmetic="exact")
    assert found.optimality.rmse_at_optimum == found.optimality.loss == found.history[-1] == 0


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"ridge": 2.0}])
def test_where_every_coefficient_is_certified_no_rounding_noise_is_recorded(
    options: dict[str, Any],
) -> None:
    rng = np.random.default_rng(7)
    X = rng.standard_normal((100, 20)) @ rng.standard_normal((20, 20)) + 3
    found = fit((X, X[:, :2] + rng.standard_normal((100, 2))), arithmetic="exact", **options)
    assert found.exact is not None
    assert found.exact.uncertified == []
    optimality = found.optimality
    assert (optimality.gap, optimality.gradient_norm, optimality.rmse_gap) == (0, 0, 0)
    assert optimality.rmse_at_optimum == math.sqrt(optimality.loss)
    assert found.history[-1] == optimality.loss


def test_an_exact_run_that_stopped_early_says_how_far_it_is() -> None:
    rng = np.random.default_rng(7)
    table = rng.standard_normal((30, 3)), rng.standard_normal((30, 2))
    best = fit(table, arithmetic="exact").optimality.loss
    early = fit(table, arithmetic="exact", epochs=3, learning_rate=0.3).optimality
    assert early.gap == pytest.approx(early.loss - best, rel=1e-12)
    assert early.rmse_at_optimum == pytest.approx(math.sqrt(best), rel=1e-15)
    assert early.rmse_gap == pytest.approx(math.sqrt(early.loss) - math.sqrt(best), rel=1e-12)


def test_where_rounding_hides_the_optimum_nothing_is_called_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = 1 / (np.arange(12)[:, None] + np.arange(7) + 1), rng.standard_normal(12)
    found = fit((X, y), arithmetic="fast", dtype="float64")
    assert not found.converged
    for figure in ("gap", "rmse_at_optimum", "rmse_gap", "weights_error", "epochs_to_go"):
        assert getattr(found.optimality, figure) is None
    assert any("the optimum is unknown" in w and "--arithmetic exact" in w for w in found.warnings)
    with pytest.raises(RefusedError, match="rounding hides the optimum") as caught:
        found.summary()
    assert "exact" in caught.value.hint
    with pytest.raises(RefusedError, match="no intervals: rounding hides the optimum"):
        interval_terms(found)
    version = export_package(found, tmp_path, "model")
    said = as_text(describe(read_package(version), everything=False))
    page = (version / "report.html").read_text()
    assert "The run ended where rounding hides the optimum." in page
    assert "The lowest possible loss is unknown." in page
    assert "unknown, since rounding hides it" in said
    assert "above its least value" not in said


# The ends of float64's range


@pytest.mark.parametrize("exponent", [-525, -530, -536])
def test_a_column_whose_squares_lose_digits_is_refused_in_fast_arithmetic(exponent: int) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 2)), rng.standard_normal(20)
    tiny = X * [2.0**exponent, 1]
    for options in ({}, {"bias": False}, {"preconditioning": "standardize"}):
        with pytest.raises(InputError, match="the feature 'x0' has values too small") as caught:
            fit((tiny, y), arithmetic="fast", **options)
        assert (caught.value.code, caught.value.hint) == (
            "out-of-range",
            "multiply the column first",
        )
    plain, scaled = (fit((x, y), arithmetic="exact") for x in (X, tiny))
    assert (scaled.weights.numpy() * [2.0**exponent, 1] == plain.weights.numpy()).all()


@pytest.mark.parametrize("exponent", [-505, 500, 508])
def test_columns_within_the_range_of_squares_lose_no_digit(exponent: int) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 2)), rng.standard_normal(20)
    plain, scaled = (
        fit((x, y), arithmetic="fast", dtype="float64") for x in (X, X * [2.0**exponent, 1])
    )
    weights = scaled.weights.numpy() * [2.0**exponent, 1]
    np.testing.assert_allclose(weights, plain.weights, rtol=1e-14)


@pytest.mark.parametrize("arithmetic", ["fast", "exact", "auto"])
@pytest.mark.parametrize(
    ("size", "what"), [(1e-300, "small"), (1e307, "large"), (1.7e308, "large")]
)
def test_sample_weights_out_of_range_are_what_the_error_names(
    arithmetic: str, size: float, what: str
) -> None:
    rng = np.random.default_rng(0)
    X, y, w = rng.standard_normal((20, 2)), rng.standard_normal(20), rng.uniform(0.5, 1, 20)
    with pytest.raises(InputError, match=f"the sample weights are too {what}") as caught:
        fit((X, y), sample_weight=w * size, arithmetic=arithmetic)
    assert caught.value.code == "out-of-range"
    # What the hint says leads out.
    assert caught.value.hint == "multiply the sample weights by a constant, so that they are near 1"
    assert fit((X, y), sample_weight=w * size * (1 / size), arithmetic=arithmetic).converged


def test_a_column_out_of_range_is_named_whatever_the_weights() -> None:
    rng = np.random.default_rng(0)
    X, y, w = rng.standard_normal((20, 2)), rng.standard_normal(20), rng.uniform(0.5, 1, 20)
    with pytest.raises(InputError, match="'x1' has values too large to square"):
        fit((X * [1, 1e155], y), sample_weight=w)
    with pytest.raises(InputError, match="'y0' has values too small to square"):
        fit((X, y * 1e-155), sample_weight=w)


def test_weights_too_large_for_exact_arithmetic_are_told_from_columns() -> None:
    rng = np.random.default_rng(0)
    X, y, w = rng.standard_normal((20, 2)), rng.standard_normal(20), rng.uniform(0.5, 1, 20)
    with pytest.raises(RefusedError, match="a sample weight is too large for exact") as caught:
        fit((X, y), sample_weight=w * 1e306, arithmetic="exact")
    assert "--arithmetic fast" in caught.value.command_hint
    found = fit((X, y), sample_weight=w * 1e306)
    assert found.arithmetic.used == "fast"
    np.testing.assert_allclose(found.weights, fit((X, y), sample_weight=w).weights, rtol=1e-13)


def test_standard_errors_stand_where_the_squares_of_weights_overflow() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 2)), rng.standard_normal(20)
    plain, scaled = (
        fit(table, arithmetic="fast", dtype="float64").summary().targets["y0"]
        for table in ((X, y), (X * 2.0**-500, y * 2.0**500))
    )
    expected = np.array(plain.standard_error, float) * [2.0**1000, 2.0**1000, 2.0**500]
    np.testing.assert_allclose(np.array(scaled.standard_error, float), expected, rtol=1e-12)
