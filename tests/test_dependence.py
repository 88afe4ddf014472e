"""Linearly dependent features: rank decided exactly, and the weights of least norm."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression as Peer

from gradline import InputError, load
from gradline_export import export_package
from gradline_export.command import command
from gradline_export.freeze.freezing import freeze
from gradline_export.freeze.intervals import interval_terms
from gradline_trainer import Fit, fit, load_moments, save_moments
from gradline_trainer.descent import problem
from gradline_trainer.estimator import LinearRegression

Array = NDArray[np.float64]
Rational = list[list[Fraction]]


# The slow, readable twin, in rational numbers


def reduced(matrix: Rational, width: int) -> list[int]:
    """Bring the first columns to reduced echelon form in place; return the pivot columns."""
    pivots: list[int] = []
    for c in range(width):
        r = len(pivots)
        found = next((i for i in range(r, len(matrix)) if matrix[i][c]), None)
        if found is None:
            continue
        matrix[r], matrix[found] = matrix[found], matrix[r]
        matrix[r] = [v / matrix[r][c] for v in matrix[r]]
        for i in range(len(matrix)):
            if i != r and matrix[i][c]:
                factor = matrix[i][c]
                matrix[i] = [v - factor * w for v, w in zip(matrix[i], matrix[r], strict=True)]
        pivots.append(c)
    return pivots


def twin(X: Array, y: Array, *, bias: bool, least_norm: bool) -> tuple[int, list[Fraction]]:
    """Return the rank and the weights, then the bias, of the least-squares solution."""
    n, d = X.shape
    rows = [[Fraction(v) for v in row] for row in np.c_[X, y].tolist()]
    means = [sum(column) / n if bias else Fraction(0) for column in zip(*rows, strict=True)]
    centred = [[v - m for v, m in zip(row, means, strict=True)] for row in rows]
    normal = [[sum(row[a] * row[b] for row in centred) for b in range(d + 1)] for a in range(d)]
    pivots = reduced(normal, d)
    free = [j for j in range(d) if j not in pivots]
    weights = [Fraction(0)] * d
    for i, j in enumerate(pivots):
        weights[j] = normal[i][d]
    if least_norm and free:
        null = []
        for f in free:
            vector = [Fraction(int(j == f)) for j in range(d)]
            for i, j in enumerate(pivots):
                vector[j] = -normal[i][f]
            null.append(vector)
        dots = [[sum(map(Fraction.__mul__, a, b)) for b in [*null, weights]] for a in null]
        reduced(dots, len(null))
        for row, vector in zip(dots, null, strict=True):
            weights = [w - row[-1] * v for w, v in zip(weights, vector, strict=True)]
    offset = means[d] - sum(map(Fraction.__mul__, weights, means[:d]))
    return len(pivots), [*weights, offset] if bias else weights


def midway(value: Fraction) -> bool:
    """Check whether a number lies exactly between two floats; beside a power of 2 they differ."""
    near = float(value)
    other = math.nextafter(near, math.inf if value > Fraction(near) else -math.inf)
    return value != Fraction(near) and 2 * value == Fraction(near) + Fraction(other)


def assert_twin(X: Array, y: Array, *, bias: bool = True, dependent: str = "minimum-norm") -> Fit:
    """Compare every bit of an exact fit with the twin's."""
    rank, expected = twin(X, y, bias=bias, least_norm=dependent == "minimum-norm")
    found = fit((X, y), arithmetic="exact", bias=bias, dependent=dependent)
    learned = [*found.weights[0].tolist(), *found.bias.tolist()][: len(expected)]
    # What lies midway between two floats has no nearest one, and no interval shows that it does.
    ties = [j for j, v in enumerate(expected) if midway(v)]
    assert [v for j, v in enumerate(learned) if j not in ties] == [
        float(v) for j, v in enumerate(expected) if j not in ties
    ]
    assert found.rank is not None
    assert len(found.rank.active) == rank
    assert found.exact is not None
    assert {j for _, j in found.exact.uncertified} <= set(ties)
    assert found.converged or ties
    assert found.supposed == []
    return found


# Rank


def ulp_apart() -> tuple[Array, Array]:
    """Return a column beside itself but for two units in the last place, and a target."""
    a = np.arange(1.0, 13.0)
    b = a.copy()
    b[[3, 8]] = np.nextafter(a[[3, 8]], np.inf)
    return np.c_[a, b], np.random.default_rng(0).normal(size=12)


@pytest.mark.parametrize("dependent", ["minimum-norm", "drop"])
def test_columns_a_unit_in_the_last_place_apart_are_independent(dependent: str) -> None:
    X, y = ulp_apart()
    found = assert_twin(X, y, dependent=dependent)
    frozen = fit((X[:, :1], y))
    assert found.optimality.rmse_at_optimum is not None
    assert found.optimality.rmse_at_optimum < frozen.optimality.rmse_at_optimum  # type: ignore[operator]
    assert found.arithmetic.condition is not None
    assert found.arithmetic.condition > 1e15
    (warning,) = found.warnings
    assert "'x1' is nearly a linear combination of earlier ones" in warning
    assert warning.endswith("leave it out if they differ only by rounding")
    summary = found.summary()
    assert summary.residual_dof == 9
    assert None not in summary.targets["y0"].standard_error


def test_a_chain_of_nearly_equal_columns_is_taken_apart() -> None:
    rng = np.random.default_rng(3)
    columns = [rng.normal(size=30)]
    for _ in range(5):
        columns.append(np.nextafter(columns[-1], rng.choice([-9.0, 9.0], 30)))
    assert_twin(np.column_stack(columns), rng.normal(size=30))


@st.composite
def nearly_dependent(draw: st.DrawFn) -> tuple[Array, Array]:
    """Draw a few columns of small integers, sums and thirds of them, each some units off."""
    n, d = draw(st.integers(3, 8)), draw(st.integers(1, 3))
    small = st.integers(-3, 3).map(float)
    columns = [draw(st.lists(small, min_size=n, max_size=n)) for _ in range(d)]
    X = np.array(columns).T
    for _ in range(draw(st.integers(1, 3))):
        shares = [draw(st.sampled_from([0.0, 1.0, -1.0, 2.0, 1 / 3])) for _ in range(X.shape[1])]
        column = X @ np.array(shares)
        for place in draw(st.lists(st.integers(0, n - 1), max_size=2)):
            column[place] = np.nextafter(column[place], 9.0)
        X = np.c_[X, column]
    order = draw(st.permutations(range(X.shape[1])))
    return X[:, order], np.array(draw(st.lists(small, min_size=n, max_size=n)))


@settings(max_examples=60, deadline=None)
@given(nearly_dependent(), st.booleans(), st.sampled_from(["minimum-norm", "drop"]))
def test_small_tables_of_nearly_dependent_columns_are_as_in_rational_arithmetic(
    table: tuple[Array, Array], bias: bool, dependent: str
) -> None:
    X, y = table
    # Values near the smallest numbers are "too small to square".
    assume(not ((X != 0) & (np.abs(X) < 1e-100)).any())
    assume(len(set(y.tolist())) > 1)
    assume(any(len(set(column)) > 1 for column in X.T.tolist()))
    assert_twin(X, y, bias=bias, dependent=dependent)


def test_a_combination_with_thirds_is_proved_dependent() -> None:
    rng = np.random.default_rng(5)
    X = 3.0 * rng.integers(-50, 50, (20, 4))
    found = assert_twin(np.c_[X, X @ [1, 2, 0, 0] / 3], rng.normal(size=20))
    assert found.rank is not None
    assert found.rank.dependent == [4]


def test_rows_that_repeat_leave_features_dependent_in_no_simple_way() -> None:
    rng = np.random.default_rng(6)
    X = np.repeat(rng.normal(size=(4, 6)), 3, axis=0)
    assert_twin(X, rng.normal(size=12))


# The weights of least norm


@pytest.mark.parametrize("arithmetic", ["fast", "exact"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(40, 50), (30, 120), (5, 6)])
def test_fewer_rows_than_features_are_fitted_as_scikit_learn_does(
    shape: tuple[int, int], bias: bool, arithmetic: str
) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(3, 1, shape)
    Y = X @ rng.normal(size=(shape[1], 2)) + 1
    peer = Peer(fit_intercept=bias).fit(X, Y)
    found = fit((X, Y), bias=bias, arithmetic=arithmetic)
    np.testing.assert_allclose(found.weights.numpy(), peer.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.bias.numpy(), peer.intercept_, rtol=0, atol=1e-8)
    assert found.converged
    assert found.supposed == []  # as many as there can be are independent


@pytest.mark.filterwarnings("ignore:linearly dependent")
def test_three_folds_of_60_rows_and_50_features_score_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 50))
    y = X @ rng.normal(size=50) + rng.normal(size=60)
    for fold in range(3):
        held = np.arange(60) % 3 == fold
        ours = LinearRegression().fit(X[~held], y[~held]).score(X[held], y[held])
        theirs = Peer().fit(X[~held], y[~held]).score(X[held], y[held])
        assert ours == pytest.approx(theirs, abs=1e-10)
        assert ours > 0.3


def one_hot() -> tuple[Array, Array]:
    """Return a number, every level of a category as an indicator, a copy in other units, y."""
    rng = np.random.default_rng(4)
    levels = np.eye(3)[rng.integers(0, 3, 50)]
    number, other = rng.normal(5, 2, (2, 50)).round(3)
    X = np.c_[number, levels, number * 1024, other]
    return X, X[:, 0] - 3 * X[:, 2] + 2 * other + rng.normal(size=50)


@pytest.mark.parametrize("arithmetic", ["fast", "exact"])
def test_dependent_columns_share_their_weights_as_in_scikit_learn(arithmetic: str) -> None:
    X, y = one_hot()
    peer = Peer().fit(X, y)
    found = fit((X, y), arithmetic=arithmetic)
    np.testing.assert_allclose(found.weights[0].numpy(), peer.coef_, rtol=1e-9, atol=1e-12)
    assert found.bias.item() == pytest.approx(peer.intercept_, rel=1e-9)
    assert found.warnings[0] == (
        "linearly dependent on earlier features, or more than the rows determine: 'x3', 'x4'; many "
        "weights fit equally well, and these have the least norm (--dependent drop sets the "
        "weights of the named features to 0)"
    )


@pytest.mark.parametrize("arithmetic", ["fast", "exact"])
def test_the_order_of_the_columns_does_not_change_the_answer(arithmetic: str) -> None:
    X, y = one_hot()
    order = np.random.default_rng(0).permutation(X.shape[1])
    one, other = (fit((table, y), arithmetic=arithmetic) for table in (X, X[:, order]))
    moved = one.weights[:, order.tolist()]
    if arithmetic == "exact":
        assert moved.tolist() == other.weights.tolist()
        assert one.bias.tolist() == other.bias.tolist()
    np.testing.assert_allclose(moved, other.weights, rtol=1e-9, atol=1e-12)


def test_drop_gives_later_features_weight_0_and_predicts_the_same() -> None:
    X, y = one_hot()
    shared, dropped = fit((X, y)), fit((X, y), dependent="drop")
    assert (dropped.weights[0] == 0).tolist() == [False, False, False, True, True, False]
    one, other = (X @ found.weights[0].numpy() + found.bias.item() for found in (shared, dropped))
    np.testing.assert_allclose(one, other, rtol=1e-12)
    assert shared.weights.norm() < dropped.weights.norm()
    assert dropped.warnings[0].endswith("'x3', 'x4'; their weight is 0")


@pytest.mark.parametrize("arithmetic", ["fast", "exact"])
@pytest.mark.parametrize("robust", [None, "HC1"])
def test_a_coefficient_that_the_rows_leave_open_has_no_standard_error(
    arithmetic: str, robust: str | None
) -> None:
    X, y = one_hot()
    options: dict[str, Any] = {"arithmetic": arithmetic, "robust": robust}
    shared, dropped = (
        fit((X, y), dependent=way, **options).summary() for way in ("minimum-norm", "drop")
    )
    errors = shared.targets["y0"].standard_error
    assert [error is None for error in errors] == [True, True, True, True, True, False, True]
    beside = dropped.targets["y0"].standard_error
    assert [error is None for error in beside] == [False, False, False, True, True, False, False]
    assert errors[5] == pytest.approx(beside[5], rel=1e-9)
    assert (shared.model_dof, shared.residual_dof) == (4, 45)
    assert shared.targets["y0"].f == pytest.approx(dropped.targets["y0"].f, rel=1e-9)
    assert shared.active == [5]
    assert shared.covariance("y0") == pytest.approx(np.array([[errors[5] ** 2]]), rel=1e-9)  # type: ignore[operator]
    assert shared.vif[0] is None
    assert "linearly dependent on others" in str(shared)


def test_an_offset_free_dependence_leaves_the_bias_determined() -> None:
    X, y = one_hot()
    summary = fit((X[:, [0, 4, 5]], y)).summary()
    assert [e is None for e in summary.targets["y0"].standard_error] == [True, True, False, False]


def test_intervals_and_leverage_are_the_same_for_shared_and_dropped_weights(
    tmp_path: Path,
) -> None:
    X, y = one_hot()
    terms = []
    for way in ("minimum-norm", "drop"):
        found = fit((X, y), dependent=way, dtype="float64")
        terms.append(interval_terms(found))
        manifest = load(export_package(found, tmp_path, way, intervals=True)).manifest
        assert manifest["intervals"]["degrees_of_freedom"] == 45
    leverages = [(((X - t.centre) @ t.whitening.T) ** 2).sum(axis=1) + t.least for t in terms]
    np.testing.assert_allclose(*leverages, rtol=1e-9)
    np.testing.assert_allclose(terms[0].deviation, terms[1].deviation, rtol=1e-9)


# What is claimed


def test_fast_arithmetic_limits_its_claims_to_the_columns_it_judged_independent(
    tmp_path: Path,
) -> None:
    X, y = ulp_apart()
    found = fit((X, y), arithmetic="fast")
    assert found.supposed == ["x1"]
    assert found.optimality.weights_error is None
    assert found.warnings[1] == (
        "a threshold decided that 'x1' is linearly dependent: claims about the optimum hold "
        "only for the other features; --arithmetic exact decides it from the rows"
    )
    frozen = freeze(found, "doubt")
    page = frozen.files["report.html"].decode()
    assert "The run reached the optimum of all features but x1." in page
    path = export_package(found, tmp_path, "doubt")
    assert load(path).manifest["certificates"]["optimality"]["supposed_dependent"] == ["x1"]
    said = CliRunner().invoke(_inspect(), [str(path)]).output
    assert "reached of all features but x1" in " ".join(said.split())


def _inspect() -> Any:
    from gradline.commands.inspect import command as inspect

    return inspect


def test_what_is_proved_is_claimed_of_every_column(tmp_path: Path) -> None:
    X, y = one_hot()
    model = load(export_package(fit((X, y)), tmp_path, "proved"))
    certificates = model.manifest["certificates"]
    assert "supposed_dependent" not in certificates["optimality"]
    assert certificates["exact"]["certified"] == certificates["exact"]["coefficients"] == 7


def test_the_option_is_recorded_only_where_it_is_not_at_its_default(tmp_path: Path) -> None:
    X, y = one_hot()
    for way, recorded in (("minimum-norm", None), ("drop", "drop")):
        model = load(export_package(fit((X, y), dependent=way), tmp_path, way))
        assert model.manifest["training"]["options"].get("dependent") == recorded


def test_the_command_takes_the_option(tmp_path: Path) -> None:
    X, y = one_hot()
    names = ",".join([*(f"x{j}" for j in range(6)), "y"])
    np.savetxt(tmp_path / "t.csv", np.c_[X, y], delimiter=",", header=names, comments="")
    arguments = [str(tmp_path / "t.csv"), "-t", "y", "-o", str(tmp_path), "--dependent", "drop"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert load(tmp_path / "t").manifest["training"]["options"]["dependent"] == "drop"


def test_saved_moments_give_the_weights_of_least_norm_too(tmp_path: Path) -> None:
    X, y = one_hot()
    save_moments(fit((X, y), keep_moments=True), tmp_path / "t.moments")
    saved = load_moments(tmp_path / "t.moments")
    shared, dropped = fit(saved), fit(saved, dependent="drop")
    np.testing.assert_allclose(shared.weights[0], Peer().fit(X, y).coef_, rtol=1e-9, atol=1e-12)
    assert dropped.weights[0, 3] == 0
    assert shared.supposed == ["x3", "x4"]


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(InputError, match="dependent = 'pinv', expected one of minimum-norm, drop"):
        fit(ulp_apart(), dependent="pinv")


def test_exact_arithmetic_that_stops_short_of_a_proof_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gradline_trainer.exact.basis.MOST_BITS", 10)
    rng = np.random.default_rng(5)
    X = 3.0 * rng.integers(-(2**45), 2**45, (20, 4))
    found = fit((np.c_[X, X @ [1, 2, 0, 0] / 3], rng.normal(size=20)), arithmetic="exact")
    assert found.supposed == ["x4"]
    assert found.optimality.weights_error is None
    assert found.warnings[1].endswith("hold only for the other features")


def test_a_pivoted_factor_is_that_of_the_columns_in_order_even_if_cholesky_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = np.random.default_rng(3).normal(size=(4, 7))
    rows /= np.linalg.norm(rows, axis=0)
    matrix = rows.T @ rows
    monkeypatch.setattr(problem, "cholesky", lambda matrix: None)
    kept, factor = problem._factorise(torch.from_numpy(matrix), 4, 1e-12, any_order=True)
    assert kept == sorted(kept)
    assert len(kept) == 4
    found = factor.numpy()
    assert (np.triu(found, 1) == 0).all()
    assert (found.diagonal() > 0).all()
    np.testing.assert_allclose(found @ found.T, matrix[np.ix_(kept, kept)], atol=1e-14)
