"""What is learned is the least-squares solution, by the answers of independent libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS, Block
from gradline_trainer import Fit, fit
from gradline_trainer.options import Options
from gradline_trainer.rows.dealing import held_out_rows

Array = NDArray[np.float64]

U = 2.0**-53
ROWS = 120
PRECONDITIONINGS = {"none": 1000, "standardize": 200, "whiten": 5}  # and epochs that suffice


def random_table(seed: int = 0, n: int = ROWS, k: int = 2) -> tuple[Array, Array]:
    """Three features with a little correlation and offset, so that plain descent gets there."""
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 1, (n, 3)) @ [[1, 0.3, 0], [0, 1, 0.2], [0, 0, 1]] + [0.5, -1, 0.2]
    return X, X @ rng.normal(0, 2, (3, k)) + rng.normal(0, 0.5, (n, k)) + [3, -1][:k]


def random_weights(n: int = ROWS) -> Array:
    """With a few that are 0."""
    rng = np.random.default_rng(9)
    return rng.uniform(0.1, 3, n) * (rng.uniform(size=n) > 0.1)


def rounding(X: Array) -> float:
    """The relative error n·d·u·κ² of a solution by way of sums over n rows, κ of [X 1] scaled."""
    A = np.c_[X, np.ones(len(X))]
    return len(X) * A.shape[1] * U * float(np.linalg.cond(A / np.linalg.norm(A, axis=0))) ** 2


def assert_solution(found: Fit, weights: Array, bias: Array | float, X: Array) -> None:
    for name, ours, theirs in (("W", found.weights, weights), ("b", found.bias, bias)):
        off = np.max(np.abs(ours.numpy() - theirs)) / np.max(np.abs(weights))
        assert off <= rounding(X), f"{name} is off by {off / rounding(X):.2g} times the bound"


# The solution


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0, 30])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_the_solution_is_scikit_learns(
    preconditioning: str, alpha: float, weighted: bool, bias: bool
) -> None:
    X, Y = random_table()
    weights = random_weights() if weighted else None
    peer = Ridge(alpha, fit_intercept=bias) if alpha else LinearRegression(fit_intercept=bias)
    peer.fit(X, Y, weights)
    for gradient in ("rows", "moments"):
        options: dict[str, Any] = {"preconditioning": preconditioning, "gradient": gradient}
        options |= {"epochs": PRECONDITIONINGS[preconditioning], "dtype": "float64"}
        options |= {"ridge": alpha, "bias": bias, "sample_weight": weights, "tolerance": 0}
        found = fit((X, Y), **options)
        assert_solution(found, peer.coef_, peer.intercept_, X)
        assert found.converged
        assert found.warnings == []


def test_the_solution_is_numpys() -> None:
    X, Y = random_table(1)
    solution = np.linalg.lstsq(np.c_[X, np.ones(ROWS)], Y, rcond=None)[0]
    assert_solution(fit((X, Y)), solution[:3].T, solution[3], X)
    solution = np.linalg.lstsq(X, Y, rcond=None)[0]
    found = fit((X, Y), bias=False)
    assert_solution(found, solution.T, 0, X)
    assert torch.equal(found.bias, torch.zeros(2, dtype=torch.float64))


def test_integer_weights_are_repeated_rows() -> None:
    X, Y = random_table()
    counts = np.random.default_rng(3).integers(0, 4, ROWS)
    weighted = fit((X, Y), sample_weight=counts, ridge=2)
    repeated = fit((np.repeat(X, counts, 0), np.repeat(Y, counts, 0)), ridge=2)
    assert_solution(weighted, repeated.weights.numpy(), repeated.bias.numpy(), X)
    assert weighted.history[-1] == pytest.approx(repeated.history[-1], rel=rounding(X))


def test_only_the_ratios_of_weights_matter() -> None:
    X, Y = random_table()
    weights = random_weights()
    one, other = (fit((X, Y), sample_weight=factor * weights) for factor in (1, 1024))
    assert torch.equal(one.weights, other.weights)
    assert torch.equal(one.bias, other.bias)


@pytest.mark.parametrize("value", [-7.0, 1e12])
@pytest.mark.parametrize("count", [1, BLOCK_ROWS])
def test_rows_of_weight_0_do_not_count_wherever_they_stand(count: int, value: float) -> None:
    X, Y = random_table()
    weights = random_weights()
    other = value + np.arange(count)[:, None] * [1, 2, 3]
    before = fit(
        (np.r_[other, X], np.r_[other[:, :2], Y]), sample_weight=np.r_[np.zeros(count), weights]
    )
    after = fit(
        (np.r_[X, other], np.r_[Y, other[:, :2]]), sample_weight=np.r_[weights, np.zeros(count)]
    )
    alone = fit((X, Y), sample_weight=weights)
    for found in (before, after):
        assert_solution(found, alone.weights.numpy(), alone.bias.numpy(), X)
        assert found.warnings == []


@pytest.mark.parametrize("value", [0.1, 1 / 3])
def test_a_feature_that_varies_only_in_rows_of_weight_0_is_constant(value: float) -> None:
    X, Y = random_table()
    weights = np.random.default_rng(127).uniform(0.1, 1, ROWS)
    weights[-1] = 0
    flat = np.full(ROWS, value)
    flat[-1] += 1
    found = fit((np.c_[X, flat], Y), sample_weight=weights)
    alone = fit((X, Y), sample_weight=weights)
    assert_solution(found, np.c_[alone.weights, np.zeros(2)], alone.bias.numpy(), X)
    assert found.warnings == ["constant, so their weight is 0: 'x3'"]


@pytest.mark.parametrize("value", [0.1, 1 / 3])
def test_a_target_that_varies_only_in_rows_of_weight_0_is_constant(value: float) -> None:
    X, _ = random_table()
    weights = np.random.default_rng(127).uniform(0.1, 1, ROWS)
    weights[-1] = 0
    y = np.full(ROWS, value)
    y[-1] += 1
    with pytest.raises(InputError, match=r"the target 'y0' is \S+ in every row") as caught:
        fit((X, y), sample_weight=weights)
    assert caught.value.code == "constant-target"


# Ridge


def test_ridge_shrinks_the_weights_and_never_the_bias() -> None:
    X, Y = random_table()
    norms = [float(fit((X, Y), ridge=alpha).weights.norm()) for alpha in (0, 1, 10, 100, 1e4)]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < 0.05 * norms[0]
    X = X - X.mean(0)  # where the bias is the prediction for the mean row
    np.testing.assert_allclose(fit((X, Y), ridge=1e9).bias, Y.mean(0), rtol=rounding(X))


def test_ridge_needs_no_independent_columns() -> None:
    X, Y = random_table()
    X = np.c_[X, X[:, 0] + X[:, 1]]
    peer = Ridge(2).fit(X, Y)
    found = fit((X, Y), ridge=2)
    assert found.warnings == []
    assert_solution(found, peer.coef_, peer.intercept_, X[:, :3])


def test_ridge_needs_no_more_rows_than_coefficients() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(0, 1, (4, 6)), rng.normal(0, 1, (4, 2))
    peer = Ridge(2).fit(X, Y)
    found = fit((X, Y), ridge=2)
    assert found.warnings == []
    shrunk = np.r_[X - X.mean(0), np.sqrt(2) * np.eye(6)]  # ridge as least squares
    assert_solution(found, peer.coef_, peer.intercept_, shrunk)


# Columns that carry no information


@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_a_constant_feature_beside_a_bias_has_weight_0_and_is_named(preconditioning: str) -> None:
    X, Y = random_table()
    options: dict[str, Any] = {"preconditioning": preconditioning, "dtype": "float64"}
    options |= {"epochs": PRECONDITIONINGS[preconditioning], "tolerance": 0}
    found = fit((np.c_[X[:, 0], np.full(ROWS, 0.1), X[:, 1:]], Y), **options)
    assert found.warnings == ["constant, so their weight is 0: 'x1'"]
    assert torch.equal(found.weights[:, 1], torch.zeros(2, dtype=torch.float64))
    peer = LinearRegression().fit(X, Y)
    assert_solution(found, np.insert(peer.coef_, 1, 0, axis=1), peer.intercept_, X)


def test_a_constant_feature_without_a_bias_stands_in_for_it() -> None:
    X, Y = random_table()
    found = fit((np.c_[X, np.full(ROWS, 0.5)], Y), bias=False)
    peer = LinearRegression().fit(X, Y)
    assert found.warnings == []
    assert_solution(found, np.c_[peer.coef_, 2 * peer.intercept_], 0, X)


@pytest.mark.parametrize("n", [20, 1000, BLOCK_ROWS + 1000])
@pytest.mark.parametrize("bias", [True, False])
def test_a_dependent_column_is_frozen_at_0_and_named(bias: bool, n: int) -> None:
    X, Y = random_table(2, n)
    combined = X @ [0.3, -2, 0.7] + 5 * bias
    # It is a combination but for its rounding, which exact arithmetic sees.
    found = fit((np.c_[X, combined], Y), bias=bias, arithmetic="fast", dependent="drop")
    assert found.warnings[0] == (
        "linearly dependent on earlier features, or more than the rows determine: 'x3'; their "
        "weight is 0"
    )
    assert found.supposed == ["x3"]
    assert torch.equal(found.weights[:, 3], torch.zeros(2, dtype=torch.float64))
    alone = fit((X, Y), bias=bias)
    assert_solution(found, np.c_[alone.weights, np.zeros(2)], alone.bias.numpy(), X)


@pytest.mark.parametrize(("bias", "frozen"), [(True, "'x4', 'x5'"), (False, "'x5'")])
def test_coefficients_that_the_rows_cannot_tell_apart_are_frozen_and_named(
    bias: bool, frozen: str
) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(0, 1, (5, 6)), rng.normal(0, 1, (5, 2))
    found = fit((X, Y), bias=bias, dependent="drop")
    (warning,) = found.warnings
    assert warning.endswith(f"the rows determine: {frozen}; their weight is 0")
    assert int((found.weights[0] == 0).sum()) == len(frozen.split(", "))
    predictions = X @ found.weights.numpy().T + found.bias.numpy()
    kept = np.c_[X[:, :4], np.ones(5)] if bias else X[:, :5]
    np.testing.assert_allclose(
        predictions, Y, rtol=0, atol=5 * 5 * U * np.linalg.cond(kept) ** 2 * np.abs(Y).max()
    )


# Large offsets


@pytest.mark.parametrize("n", [1000, BLOCK_ROWS + 5000])
@pytest.mark.parametrize(("offset", "spread"), [(1e9, 1e-3), (1e9, 1e3), (-1e6, 1e-3)])
def test_a_large_offset_costs_no_digits(n: int, offset: float, spread: float) -> None:
    rng = np.random.default_rng(0)
    X = offset + spread * rng.normal(0, 1, (n, 2))
    centred = X - offset  # exact, by Sterbenz's lemma
    y = centred @ [2 / spread, -1 / spread] + rng.normal(0, 0.1, n)
    peer = LinearRegression().fit(centred, y)
    found = fit((X, y))
    assert found.converged
    assert found.warnings == []
    off = np.max(np.abs(found.weights.numpy() / peer.coef_ - 1))
    bound = rounding(centred)
    assert off <= bound, f"{off:.2g}, {off / bound:.2g} times the bound"


# Metrics


def assert_metrics(
    found: Fit, which: str, X: Array, Y: Array, weights: Array | None = None, mae: bool = True
) -> None:
    """Compare with scikit-learn's, to what rounding can do to sums over n rows."""
    metrics = found.metrics[which]
    assert metrics is not None
    W, b = found.weights.numpy(), found.bias.numpy()
    for j, name in enumerate(found.targets):
        y, predicted = Y[:, j], X @ W[j] + b[j]
        rmse = root_mean_squared_error(y, predicted, sample_weight=weights)
        # Sums over n rows are good to n·u of their terms, a prediction to a few u of its own.
        terms = np.std(y) + np.std(predicted) + rmse
        unsure = 10 * U * float(np.max(np.abs(X) @ np.abs(W[j]) + abs(b[j])))
        close = len(y) * U * (terms / rmse) ** 2 + unsure / rmse
        assert metrics[name].rmse == pytest.approx(rmse, rel=close)
        r2 = r2_score(y, predicted, sample_weight=weights)
        assert metrics[name].r2 == pytest.approx(r2, abs=3 * close * (1 - r2) + 4 * U)
        if mae:
            theirs = mean_absolute_error(y, predicted, sample_weight=weights)
            assert metrics[name].mae == pytest.approx(theirs, rel=2 * close)
        else:
            assert metrics[name].mae is None


@pytest.mark.parametrize("gradient", ["rows", "moments"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [ROWS, BLOCK_ROWS * 2 + 1000])
def test_metrics_are_scikit_learns(n: int, weighted: bool, gradient: str) -> None:
    X, Y = random_table(3, n)
    weights = random_weights(n) if weighted else None
    options: dict[str, Any] = {"preconditioning": "standardize", "epochs": 3}  # not yet optimal
    found = fit((X, Y), sample_weight=weights, holdout=0.25, gradient=gradient, **options)
    held = held_out(n, 0.25)
    for which, rows in (("training", ~held), ("held_out", held)):
        # The rows of a table of several blocks are gone once they are in the moments.
        mae = which == "held_out" or gradient == "rows" or n <= BLOCK_ROWS
        w = None if weights is None else weights[rows]
        assert_metrics(found, which, X[rows], Y[rows], w, mae)


@pytest.mark.parametrize("n", [1000, BLOCK_ROWS + 1000])
@pytest.mark.parametrize(("scale", "offset"), [([1e9, 1], 0), ([1e3, 1], 1e12)], ids=str)
def test_a_targets_metrics_are_its_own_whatever_its_neighbour_or_offset(
    n: int, scale: list[float], offset: float
) -> None:
    X, Y = random_table(4, n)
    Y = Y * scale + [offset, 0]
    assert_metrics(fit((X, Y)), "training", X, Y, mae=n <= BLOCK_ROWS)


# Holdout


def held_out(n: int, fraction: float, seed: int = 0) -> NDArray[np.bool_]:
    """Which of the n rows of a table are held out."""
    return held_out_rows(Block(0, 0, (np.empty((n, 0)),)), Options(holdout=fraction, seed=seed))


def marked(n: int) -> tuple[Array, Array]:
    """A table whose feature j is 1 in row j only, so that a fit shows which rows it learned."""
    return np.eye(n), np.arange(n) % 7.0


def learned_rows(found: Fit, n: int) -> NDArray[np.bool_]:
    learned: NDArray[np.bool_] = found.moments.maximum[:n] == 1
    return learned


@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.5, 0.57, 0.99])
def test_every_hundred_rows_hold_out_exactly_the_fraction(fraction: float) -> None:
    found = fit(marked(300), holdout=fraction, epochs=1)
    held = ~learned_rows(found, 300)
    assert held.reshape(3, 100).sum(axis=1).tolist() == [round(100 * fraction)] * 3
    assert found.rows_held_out == held.sum()
    assert held.tolist() == held_out(300, fraction).tolist()


def test_the_fraction_is_exact_over_several_blocks() -> None:
    n = 2 * BLOCK_ROWS + 28  # a multiple of 100, which a block is not
    found = fit(random_table(0, n), holdout=0.1)
    assert (found.rows_read, found.rows_held_out, found.moments.rows) == (n, n // 10, n - n // 10)


def test_fewer_than_a_hundred_rows_are_one_group() -> None:
    assert fit(random_table(0, 10), holdout=0.3).rows_held_out == 3


def test_the_held_out_rows_depend_on_seed_and_place_alone() -> None:
    X, y = marked(200)

    def held(table: tuple[Array, Array], seed: int = 0, **options: Any) -> list[bool]:
        found = fit(table, holdout=0.2, seed=seed, epochs=1, **options)
        learned: list[bool] = learned_rows(found, 200).tolist()
        return learned

    first = held((X, y))
    assert held((np.c_[X, X[:, ::-1]], np.c_[y, y**2])) == first
    assert held((X, -y), preconditioning="standardize", sample_weight=1 + y) == first
    assert held((X, y), seed=1) != first
    assert held_out(100, 0.2).tolist() != held_out(200, 0.2)[100:].tolist()


def test_dropping_a_row_does_not_change_which_others_are_held_out() -> None:
    X, y = marked(200)
    held = held_out(200, 0.2)
    for row in (np.flatnonzero(held)[3], np.flatnonzero(~held)[5]):
        y[row] = np.nan
    found = fit((X, y), holdout=0.2, missing="drop", epochs=1)
    assert learned_rows(found, 200).tolist() == (~held & ~np.isnan(y)).tolist()
    assert (found.rows_read, found.rows_dropped, found.rows_held_out) == (200, 2, 39)
    kept = held & ~np.isnan(y)
    assert_metrics(found, "held_out", X[kept], y[kept, None])


@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_held_out_rows_are_never_learned_from(preconditioning: str) -> None:
    X, Y = random_table()
    weights = random_weights()
    kept = ~held_out(ROWS, 0.3)
    options: dict[str, Any] = {"preconditioning": preconditioning, "ridge": 1}
    found = fit((X, Y), sample_weight=weights, holdout=0.3, **options)
    alone = fit((X[kept], Y[kept]), sample_weight=weights[kept], **options)
    assert torch.equal(found.weights, alone.weights)
    assert torch.equal(found.bias, alone.bias)
    assert found.history == alone.history
    assert found.metrics["training"] == alone.metrics["training"]


def test_without_a_holdout_nothing_is_held_out() -> None:
    found = fit(random_table())
    assert found.metrics["held_out"] is None
    assert found.rows_held_out == 0


def test_a_fraction_that_holds_out_no_row_or_leaves_none_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        fit(random_table(0, 50), holdout=0.009)
    assert str(caught.value) == "a holdout of 0.009 of 50 rows holds out none"
    assert (caught.value.code, caught.value.hint) == ("bad-option", "give a larger fraction")
    with pytest.raises(InputError) as caught:
        fit(random_table(0, 10), holdout=0.9)
    assert str(caught.value) == "1 row to train on (10 read, 0 dropped, 9 held out)"
    assert caught.value.code == "too-few-rows"
