"""Standard errors, tests and fit statistics: NIST's, statsmodels', and the rational ones."""

from __future__ import annotations

import json
import math
import pickle
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import stdtr
from sklearn.datasets import load_diabetes, load_linnerud
from statsmodels.stats.outliers_influence import variance_inflation_factor
from tests.test_exact import CERTIFIED, conditioned, design, digits

from gradline.commands.group import cli, run
from gradline.commands.inspect import describe
from gradline.errors import InputError, RefusedError
from gradline.package.reading import read_package
from gradline.terminal.layout import as_text
from gradline_export import export_package
from gradline_trainer import Fit, LinearRegression, fit
from gradline_trainer.statistics.summary import Summary

Array = NDArray[np.float64]
BY_TERM = ("standard_error", "t", "p", "lower", "upper")


def random_table() -> tuple[Array, Array]:
    rng = np.random.default_rng(11)
    X = rng.normal([3, -40, 0, 1e3], [1, 5, 1e-3, 20], (70, 4))
    Y = X @ rng.normal(0, 3, (4, 3)) * [1, 1e-3, 50] + rng.normal(7, [1, 0.1, 900], (70, 3))
    return X, Y


TABLES = {
    "longley": lambda: design("Longley")[:2],
    "diabetes": lambda: load_diabetes(return_X_y=True, scaled=False),
    "linnerud": lambda: load_linnerud(return_X_y=True),
    "random": random_table,
}


# Against NIST


@pytest.mark.parametrize("name", CERTIFIED)
def test_nist_standard_deviations_have_13_digits(name: str) -> None:
    X, Y, bias = design(name)
    certified = CERTIFIED[name]
    found = fit((X, Y), arithmetic="exact", bias=bias).summary()
    assert found.residual_dof == certified["dof"]
    of_target = found.targets["y0"]
    errors = of_target.standard_error
    ordered = errors[-1:] + errors[:-1] if bias else errors
    pairs = [*zip(ordered, certified["sd"], strict=True)]
    pairs += [(of_target.residual_sd, certified["residual_sd"])]
    pairs += [(of_target.r2, certified["r_squared"])]
    for value, expected in pairs:
        assert value is not None
        if float(expected):
            assert digits(value, expected) >= 13
        else:
            assert abs(value) <= 1e-13 * float(Y.std())


def rational(X: Array, y: Array, w: Array | None, bias: bool) -> tuple[list[Fraction], Fraction]:
    """Return the diagonal of (XᵀWX)⁻¹ and Σw·residual², as rational numbers."""
    rows = [[Fraction(v) for v in row] + [Fraction(1)] * bias for row in X]
    weights = [Fraction(1)] * len(X) if w is None else [Fraction(v) for v in w]
    p = len(rows[0])
    right = [[r * v for v in row] for r, row in zip(weights, rows, strict=True)]
    A = [
        [sum((a[i] * b[j] for a, b in zip(rows, right, strict=True)), Fraction()) for j in range(p)]
        + [Fraction(int(i == j)) for j in range(p)]
        + [sum((b[i] * Fraction(v) for b, v in zip(right, y, strict=True)), Fraction())]
        for i in range(p)
    ]
    for c in range(p):  # Gauss–Jordan
        A[c] = [v / A[c][c] for v in A[c]]
        for i in range(p):
            if i != c:
                A[i] = [v - A[i][c] * u for v, u in zip(A[i], A[c], strict=True)]
    solved = [row[-1] for row in A]
    residuals = [
        Fraction(v) - sum(a * b for a, b in zip(row, solved, strict=True))
        for v, row in zip(y, rows, strict=True)
    ]
    squares = sum((w * r * r for w, r in zip(weights, residuals, strict=True)), Fraction())
    return [A[i][p + i] for i in range(p)], squares


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(1, 5),
    exponent=st.floats(0, 12),
    bias=st.booleans(),
    weighted=st.booleans(),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
    noise=st.sampled_from([1.0, 1e-10]),
)
def test_exact_standard_errors_are_the_rational_ones_however_ill_conditioned(
    seed: int, d: int, exponent: float, bias: bool, weighted: bool, offset: float, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    n = d + 6
    X = conditioned(rng, n, d, 10**exponent) * 10.0 ** rng.integers(-6, 7, d)
    X = X + offset * np.abs(X).max(axis=0) / 1e3
    y = X.sum(axis=1) + np.abs(X).max() * noise * rng.standard_normal(n)
    w = rng.random(n) + 0.1 if weighted else None
    diagonal, squares = rational(X, y, w, bias)
    found = fit((X, y), arithmetic="exact", bias=bias, sample_weight=w).summary()
    variance = squares / (n - d - bias)
    of_target = found.targets["y0"]
    expected = [math.sqrt(variance * v) for v in diagonal]
    np.testing.assert_allclose(of_target.standard_error, expected, rtol=1e-13)
    np.testing.assert_allclose(of_target.residual_sd, math.sqrt(variance), rtol=1e-14)


def test_neither_the_order_of_rows_nor_the_blocks_change_a_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, Y = random_table()
    w = np.random.default_rng(3).random(len(X)) + 0.01
    expected = fit((X, Y), sample_weight=w).summary().to_dict()
    order = np.random.default_rng(1).permutation(len(X))
    monkeypatch.setattr("gradline_trainer.rows.arrays.BLOCK_ROWS", 7)
    shuffled = fit((X[order], Y[order]), sample_weight=w[order]).summary()
    assert shuffled.to_dict() == expected


# Against statsmodels


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("table", TABLES)
def test_every_statistic_is_that_of_statsmodels(
    table: str, weighted: bool, bias: bool, arithmetic: str
) -> None:
    X, Y = TABLES[table]()
    X, Y = np.asarray(X, float), np.asarray(Y, float).reshape(len(X), -1)
    w = np.random.default_rng(2).uniform(0.2, 5, len(X)) if weighted else None
    found = fit((X, Y), bias=bias, sample_weight=w, arithmetic=arithmetic).summary(level=0.9)
    if arithmetic == "fast":
        exact = fit((X, Y), bias=bias, sample_weight=w, arithmetic="exact").summary(level=0.9)
        by_condition(found, exact, X, Y, w)
    columns = np.column_stack([X, np.ones(len(X))]) if bias else X
    for t, (target, of_target) in enumerate(found.targets.items()):
        peer = sm.WLS(Y[:, t], columns, weights=1.0 if w is None else w, hasconst=bias)
        expected = peer.fit(method="pinv")
        assert (found.model_dof, found.residual_dof) == (expected.df_model, expected.df_resid)
        if arithmetic == "exact":
            close(of_target.coefficient, expected.params)
            close(of_target.standard_error, expected.bse)
            close(of_target.t, expected.tvalues)
            close(of_target.p, expected.pvalues)
            close([of_target.lower, of_target.upper], expected.conf_int(0.1).T)
            close(found.covariance(target), expected.cov_params())
        close(of_target.residual_sd, math.sqrt(expected.scale))
        close(of_target.r2, expected.rsquared)
        close(of_target.adjusted_r2, expected.rsquared_adj)
        close(of_target.f, expected.fvalue)
        close(of_target.f_p, expected.f_pvalue)
        close(of_target.log_likelihood, expected.llf)
        close(of_target.aic, expected.aic)
        close(of_target.bic, expected.bic)


def by_condition(
    found: Summary, exact: Summary, X: Array, Y: Array, w: Array | None, power: int = 0
) -> None:
    """Compare fast statistics with exact ones, as closely as the condition number lets float64.

    Sums over the rows are off by `noise`, and in whitened coordinates the inverse by d·κ² times
    that. A whitened step is off by d·κ times the noise and the size of the residual's terms, which
    moves no coefficient by more than so many of its standard errors over √Σw·sd. Robust errors are
    those of whitened rows that are multiplied by e/(1 − h)^(power/2), e the residual.
    """
    (n, d), weights = X.shape, np.ones(len(X)) if w is None else w
    bias, dof = exact.bias, exact.residual_dof
    shift = np.average(X, axis=0, weights=weights) * bias
    spread = np.sqrt(np.average((X - shift) ** 2, axis=0, weights=weights))
    noise = (4 * (d + 2) + math.sqrt(n)) * 2.0**-53
    inverse = d * noise * exact.condition**2
    root = np.sqrt(weights)[:, None]
    columns = np.column_stack([X, np.ones(n)]) if bias else X
    norms = np.linalg.norm(columns, axis=0)
    white = np.linalg.qr(root * columns / norms)[0]
    left = 1 - np.square(white).sum(axis=1).max()
    for t, (target, expected) in enumerate(exact.targets.items()):
        of_target, sd = found.targets[target], expected.residual_sd
        assert sd is not None
        coefficient, error = np.array([expected.coefficient, expected.standard_error], float)
        plain = sd * np.sqrt(exact.inverse.diagonal())
        size = np.abs(coefficient[:d]) @ spread + math.sqrt(
            np.average(Y[:, t] ** 2, weights=weights)
        )
        moved = math.sqrt(weights.sum()) * noise * d * exact.condition * size / sd
        of_error = plain * inverse
        if exact.robust is not None:
            residual = np.abs(root[:, 0] * (Y[:, t] - columns @ coefficient)).max() / sd
            steep = math.sqrt(n / dof) * left ** (-power / 2)
            of_error *= steep * residual * (2 + power / left)
            of_error += steep * moved * plain
        times = (np.array(expected.upper, float) - coefficient) / error
        sizes = np.abs(np.array(expected.t, float))
        of_t = (moved * plain + sizes * of_error) / error
        for member, within in (
            ("coefficient", moved * plain),
            ("standard_error", of_error),
            ("lower", moved * plain + times * of_error),
            ("upper", moved * plain + times * of_error),
            ("t", of_t),
        ):
            apart = np.abs(np.array(getattr(of_target, member)) - getattr(expected, member))
            assert (apart <= within * 1.01 + 1e-13 * error).all(), member
        further = of_t * 1.01 + 1e-13
        least, most = (2 * stdtr(dof, -(sizes + by)) for by in (further, -further))
        assert ((least <= np.array(of_target.p)) & (np.array(of_target.p) <= most)).all()
        apart = np.abs(found.covariance(target) - exact.covariance(target))  # type: ignore[operator]
        within = np.multiply.outer(of_error, error)
        assert (apart <= 1.01 * (within + within.T) + 1e-13 * np.outer(error, error)).all()


def close(found: Any, expected: Any) -> None:
    """Compare to 9 digits: statsmodels itself loses as many as Longley's condition takes."""
    np.testing.assert_allclose(np.array(found, float), expected, rtol=1e-9)


def test_a_large_table_has_them_from_the_one_pass_over_its_rows() -> None:
    rng = np.random.default_rng(5)
    X = rng.normal(100, 1, (300_000, 15))
    y = X.sum(axis=1) + rng.standard_normal(len(X))
    found = fit((X, y))
    assert found.arithmetic.used == "fast"
    assert found.metrics["training"]["y0"].mae is None  # type: ignore[index]
    expected = sm.OLS(y, np.column_stack([X, np.ones(len(X))])).fit(method="pinv")
    of_target = found.summary().targets["y0"]
    close(of_target.standard_error, expected.bse)
    close(of_target.log_likelihood, expected.llf)
    close(of_target.f, expected.fvalue)


@pytest.mark.parametrize("bias", [True, False])
def test_variance_inflation_is_that_of_statsmodels(bias: bool) -> None:
    X, Y = random_table()
    X[:, 3] += 400 * X[:, 0]
    columns = np.column_stack([X, np.ones(len(X))]) if bias else X
    found = fit((X, Y), bias=bias).summary()
    if bias:
        close(found.vif[:4], [variance_inflation_factor(columns, j) for j in range(4)])
    shares = [sm.OLS(X[:, j], np.delete(columns, j, 1)).fit().rsquared for j in range(4)]
    close(found.vif[:4], 1 / (1 - np.array(shares)))
    assert found.vif[4:] == [None] * bias


@pytest.mark.parametrize("scales", [(1e-150, 1e140), (1e150, 1e-140), (1e-155, 1.0), (1.0, 1e140)])
def test_no_unit_of_the_columns_changes_a_test(scales: tuple[float, float]) -> None:
    X, Y = random_table()
    of_feature, of_targets = scales
    plain = fit((X, Y)).summary()
    scaled = fit((X * [of_feature, 1, 1, 1], Y * of_targets)).summary()
    for name, expected in plain.targets.items():
        found = scaled.targets[name]
        for figure in ("t", "p", "r2", "f", "f_p"):
            assert getattr(found, figure) == pytest.approx(getattr(expected, figure), rel=1e-12)
        error = expected.standard_error[0]
        assert error is not None
        assert found.standard_error[0] == pytest.approx(
            error / of_feature * of_targets, rel=1e-12, abs=0
        )
    assert scaled.vif[:-1] == pytest.approx(plain.vif[:-1], rel=1e-12)


def test_a_target_whose_residuals_squared_would_lose_digits_is_refused() -> None:
    X, Y = random_table()
    with pytest.raises(InputError, match="'y0' has values too small to square"):
        fit((X, Y[:, :1] * 1e-152))


def test_standardized_coefficients_are_those_of_standardized_columns() -> None:
    X, Y = random_table()
    z = fit(((X - X.mean(0)) / X.std(0), (Y - Y.mean(0)) / Y.std(0)))
    for row, of_target in zip(z.weights, fit((X, Y)).summary().targets.values(), strict=True):
        close(of_target.standardized[:4], row)
        assert of_target.standardized[4] is None


def test_a_row_of_weight_0_is_as_if_it_were_not_there() -> None:
    X, Y = random_table()
    w = np.ones(len(X))
    w[::3] = 0
    expected = fit((X[w > 0], Y[w > 0])).summary()
    assert fit((X, Y), sample_weight=w).summary().to_dict() == expected.to_dict()


def test_the_level_is_that_of_the_intervals() -> None:
    X, Y = random_table()
    trained = fit((X, Y))
    columns = np.column_stack([X, np.ones(len(X))])
    expected = sm.OLS(Y[:, 0], columns).fit().conf_int(1e-6)
    of_target = trained.summary(level=1 - 1e-6).targets["y0"]
    np.testing.assert_allclose(of_target.lower, expected[:, 0], rtol=1e-8)
    for level in (0, 1, -0.5, 95, math.nan):
        with pytest.raises(InputError, match="between 0 and 1") as caught:
            trained.summary(level=level)
        assert caught.value.code == "bad-option"


# What is not defined


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
def test_a_frozen_feature_has_no_statistics_and_takes_no_degree_of_freedom(
    arithmetic: str,
) -> None:
    X, Y = random_table()
    X = np.round(X * 1024)
    frozen = np.column_stack([X[:, 0], np.full(len(X), 3.0), X[:, 1:], X[:, 0] + 2 * X[:, 1]])
    found = fit((frozen, Y), arithmetic=arithmetic, dependent="drop").summary()
    expected = fit((X, Y), arithmetic=arithmetic).summary()
    assert found.residual_dof == expected.residual_dof
    assert found.active == [0, 2, 3, 4, 6]
    assert found.vif[1] is found.vif[5] is None
    for one, other in zip(found.targets.values(), expected.targets.values(), strict=True):
        assert one.coefficient[1] == one.coefficient[5] == 0
        for member in (*BY_TERM, "standardized"):
            values = getattr(one, member)
            assert values[1] is values[5] is None
            kept = [values[j] for j in found.active]
            for a, b in zip(kept, getattr(other, member), strict=True):
                assert a == b or a == pytest.approx(b, rel=1e-9)
        assert one.bic == pytest.approx(other.bic, rel=1e-12)


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
@pytest.mark.parametrize("rows", [3, 4, 5])
def test_without_a_degree_of_freedom_left_nothing_is_defined(rows: int, arithmetic: str) -> None:
    X, Y = random_table()
    found = fit((X[:rows], Y[:rows]), arithmetic=arithmetic).summary()
    assert found.residual_dof == 0
    for target, of_target in found.targets.items():
        for member in BY_TERM:
            assert getattr(of_target, member) == [None] * 5
        for member in ("residual_sd", "adjusted_r2", "f", "f_p", "log_likelihood", "aic", "bic"):
            assert getattr(of_target, member) is None
        assert of_target.r2 == 1
        assert found.covariance(target) is None
    assert "no degree of freedom is left" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
def test_a_perfect_fit_has_standard_errors_of_0_and_no_tests(arithmetic: str) -> None:
    X = np.random.default_rng(0).integers(-99, 99, (40, 3)).astype(float)
    Y = np.column_stack([X @ [1, 2, 3] + 4, X @ [1, 0, 0] + np.arange(40)])
    found = fit((X, Y), arithmetic=arithmetic).summary()
    perfect, other = found.targets.values()
    assert perfect.standard_error == [0.0] * 4
    assert perfect.lower == perfect.upper == perfect.coefficient
    assert perfect.t == perfect.p == [None] * 4
    assert (perfect.residual_sd, perfect.r2, perfect.adjusted_r2) == (0, 1, 1)
    assert perfect.f is perfect.f_p is perfect.log_likelihood is perfect.aic is perfect.bic is None
    assert None not in other.t
    assert "a perfect fit" in str(found)


def test_a_fit_that_is_perfect_but_for_a_last_bit_is_not_called_perfect() -> None:
    X = np.random.default_rng(0).integers(-99, 99, (40, 3)).astype(float)
    y = X @ [1, 2, 3] + 4
    y[7] = np.nextafter(y[7], np.inf)
    _, squares = rational(X, y, None, True)
    of_target = fit((X, y)).summary().targets["y0"]
    assert of_target.residual_sd == pytest.approx(math.sqrt(squares / 36), rel=1e-13)


@pytest.mark.filterwarnings("ignore:constant, so their weight is 0:gradline.GradlineWarning")
@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
def test_a_constant_target_and_constant_features_say_what_can_be_said(arithmetic: str) -> None:
    X, Y = random_table()
    constant = LinearRegression(arithmetic=arithmetic).fit(X, np.full(70, 0.1)).fit_.summary()
    (of_target,) = constant.targets.values()
    assert of_target.standard_error == [0.0] * 5
    assert of_target.t == of_target.standardized == [None] * 5
    assert of_target.r2 is of_target.f is None
    mean_alone = LinearRegression(arithmetic=arithmetic).fit(np.ones((70, 2)), Y[:, 0]).fit_
    found = mean_alone.summary()
    (of_target,) = found.targets.values()
    assert (found.model_dof, found.residual_dof) == (0, 69)
    assert of_target.standard_error[:2] == [None, None]
    close(of_target.standard_error[2], Y[:, 0].std(ddof=1) / math.sqrt(70))
    assert (of_target.r2, of_target.f) == (pytest.approx(0, abs=1e-15), None)


# What is refused


def refusal(found: Fit) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        found.summary()
    assert caught.value.code == "no-statistics"
    assert caught.value.command_hint
    return caught.value


def test_a_ridge_penalty_is_refused() -> None:
    assert "ridge penalty of 2.5" in str(refusal(fit(random_table(), ridge=2.5)))
    refusal(fit(random_table(), ridge="auto"))


@pytest.mark.parametrize(
    "options",
    [
        {"preconditioning": "none", "epochs": 10},
        {"preconditioning": "standardize", "tolerance": 0.1},  # converged, as far as it was asked
        {"arithmetic": "exact", "epochs": 1, "learning_rate": 1e-3},
    ],
)
def test_a_run_that_ended_before_the_optimum_is_refused(options: dict[str, Any]) -> None:
    assert "before the optimum" in str(refusal(fit(random_table(), **options)))


def test_a_wide_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradline_trainer.learning.WIDE", 3)
    assert "wide table, 4 features" in str(refusal(fit(random_table())))


# As people, programs and packages have them


def test_the_summary_as_text(orchard_fit: Fit) -> None:
    lines = str(orchard_fit.summary()).splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["apples", "coefficient", "standard", "error", "t", "p", "2.5", "%", "97.5", "%",
         "standardized", "VIF"],
        ["temperature", "-0.388", "0.0914", "-4.24", "0.147", "-1.549", "0.774", "-0.136", "1.26"],
        ["rainfall", "0.848", "0.0447", "19", "0.0335", "0.280", "1.415", "0.749", "1.92"],
        ["humidity", "0.698", "0.116", "6.01", "0.105", "-0.779", "2.18", "0.254", "2.2"],
        ["bias", "-1.64", "10.8", "-0.151", "0.904", "-139", "136", "–", "–"],
    ]  # fmt: skip
    assert len({len(line) for line in lines[:5]}) == 1
    assert lines[6:8] == [
        "  residual standard deviation 2.19 with 1 degree of freedom; R² 0.999188, "
        "adjusted 0.996751",
        "  F(3, 1) 410, p 0.0363; log-likelihood -7.0, AIC 22.0, BIC 20.4",
    ]


def test_the_summary_as_a_frame(orchard_fit: Fit) -> None:
    summary = orchard_fit.summary()
    frame = summary.frame()
    assert frame.columns == [
        "target", "term", "coefficient", "standard_error", "t", "p", "lower", "upper",
        "standardized", "vif",
    ]  # fmt: skip
    assert frame.height == 8
    (row,) = frame.filter(pl.col("target") == "oranges", pl.col("term") == "rainfall").rows(
        named=True
    )
    assert row["standard_error"] == summary.targets["oranges"].standard_error[1]
    assert row["vif"] == summary.vif[1]
    assert frame.filter(pl.col("term") == "bias")["vif"].to_list() == [None, None]


def test_an_unknown_target_has_no_covariance(orchard_fit: Fit) -> None:
    with pytest.raises(InputError, match="no target 'apple'") as caught:
        orchard_fit.summary().covariance("apple")
    assert "'apples'" in caught.value.command_hint


def test_the_manifest_and_inspect_have_them(orchard_fit: Fit, orchard_package: Path) -> None:
    manifest = read_package(orchard_package).manifest
    recorded, expected = manifest["statistics"], orchard_fit.summary()
    assert recorded["residual_dof"] == 1
    assert recorded["terms"] == ["temperature", "rainfall", "humidity", "bias"]
    assert recorded["vif"] == expected.vif
    for target, found in recorded["targets"].items():
        assert found == {k: getattr(expected.targets[target], k) for k in found}
        assert {"standard_error", "t", "p", "residual_sd", "f_p", "bic"} <= set(found)
    shown = CliRunner().invoke(cli, ["inspect", str(orchard_package)])
    assert set(str(expected).splitlines()) <= set(shown.output.splitlines())


@pytest.mark.parametrize(
    ("features", "targets", "options", "recorded"),
    [
        (21, 1, {}, True),
        (30, 100, {}, True),
        (31, 100, {}, False),
        (301, 1, {"arithmetic": "fast"}, False),
        (4, 1, {"ridge": 1.0}, False),
        (39, 1, {}, True),  # no degree of freedom left
    ],
)
def test_the_manifest_has_them_where_there_are_some_and_not_too_many(
    features: int, targets: int, options: dict[str, Any], recorded: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rows = 40 if features < 40 else 400
    table = rng.standard_normal((rows, features)), rng.standard_normal((rows, targets))
    path = export_package(fit(table, **options), tmp_path, "model", report=False)
    assert ("statistics" in (read_package(path).manifest or {})) == recorded
    shown = CliRunner().invoke(cli, ["inspect", str(path)])
    assert shown.exit_code == 0
    assert ("no standard errors" in shown.output) != recorded
    assert re.search("coefficient +standard error +t +p ", shown.output) or not recorded


def undefined_fits() -> dict[str, Fit]:
    rng = np.random.default_rng(0)
    X = np.round(100 * rng.standard_normal((30, 3)))
    Y = np.column_stack([X @ [1.0, 2, 3], X[:, 0] + rng.standard_normal(30)])
    constant = np.column_stack([np.full(30, 0.1), Y[:, 1]])
    return {
        "perfect": fit((X, Y)),
        "perfect but for rounding": fit((X / 7, Y / 7), arithmetic="fast", robust="HC1"),
        "a constant target": LinearRegression().fit(X, constant).fit_,
        "as many rows as coefficients": fit((X[:4], Y[:4])),
        "fewer rows": fit((X[:3], Y[:3]), robust="HC3"),
    }


@pytest.mark.parametrize("case", undefined_fits())
def test_what_is_not_defined_is_said_to_be_so_in_the_manifest_and_by_inspect(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = undefined_fits()[case]
    path = export_package(found, tmp_path, "model")
    assert run(["inspect", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    statistics = shown["manifest"]["statistics"]
    first, second = statistics["targets"].values()
    few = "rows" in case
    for of_target in [first, second][: 1 + few]:
        assert of_target["t"] == of_target["p"] == [None] * 4
        assert of_target["standard_error"] == [None if few else 0] * 4
        assert of_target["f"] is of_target["aic"] is None
    assert few or None not in second["t"]
    assert run(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    said = "no degree of freedom is left: nothing else is" if few else "a perfect fit: tests and"
    assert text.count(said) == 1 + few
    page = (path / "report.html").read_text()
    report = re.sub(r"<script.*?</script>|<!--.*?-->", "", page, flags=re.DOTALL)
    for page in (text, report, str(found.summary())):
        assert not re.search(r"\bnan\b|\binf\b", page, re.IGNORECASE)


def test_a_pickled_fit_keeps_its_statistics_but_not_the_integers_behind_them() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 40))
    found = fit((X, X.sum(axis=1) + rng.standard_normal(80)), robust="HC2")
    assert found.exact is not None
    data = pickle.dumps(found)
    again = pickle.loads(data)  # noqa: S301 - our own
    for level in (0.9, 0.5):
        assert again.summary(level).to_dict() == found.summary(level).to_dict()
    assert len(data) < 5 * found.moments.comoment.nbytes
    assert len(pickle.dumps(again)) < 5 * found.moments.comoment.nbytes
    assert "ExactNormal" in repr(again)


def test_what_r2_and_the_residual_deviation_are_of_is_said(tmp_path: Path) -> None:
    X, Y = random_table()
    options = {"bias": False, "sample_weight": np.linspace(1, 2, len(X))}
    for asked, times in ((options, 1), ({}, 0)):
        found = fit((X, Y[:, 0]), **asked)
        path = export_package(found, tmp_path, "model", report=False)
        shown = CliRunner().invoke(cli, ["inspect", str(path)]).output
        for text in (shown, str(found.summary())):
            assert text.count("; R² about 0, as there is no bias, 0.") == times
            assert text.count(" of a row of weight 1 with ") == times


def test_a_package_without_variance_inflation_is_inspected(orchard_package: Path) -> None:
    read = read_package(orchard_package)
    assert "VIF" in as_text(describe(read, everything=False))
    del read.manifest["statistics"]["vif"]
    text = as_text(describe(read, everything=False))
    assert "VIF" not in text
    assert "standard error" in text


def test_a_model_without_a_bias_is_inspected_without_one(tmp_path: Path) -> None:
    X, Y = random_table()
    path = export_package(fit((X, Y), bias=False), tmp_path, "model")
    shown = CliRunner().invoke(cli, ["inspect", str(path)])
    assert shown.exit_code == 0
    assert "standard error" in shown.output
    assert "\n  bias " not in shown.output
