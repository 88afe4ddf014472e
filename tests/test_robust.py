"""Robust standard errors: statsmodels', the rational ones, and what they don't depend on."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
import scipy.stats
import statsmodels.api as sm
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.test_exact import design
from tests.test_statistics import TABLES, by_condition, close, random_table

from gradline.commands.group import cli, run
from gradline.errors import InputError
from gradline.package.reading import read_package
from gradline_export import export_package
from gradline_trainer import Fit, fit
from gradline_trainer.options import Options
from gradline_trainer.statistics.robust import Kind

Array = NDArray[np.float64]
KINDS = get_args(Kind)
BY_TERM = ("standard_error", "t", "p", "lower", "upper")


def uneven_table(rows: int = 70, seed: int = 11) -> tuple[Array, Array]:
    """Return a table whose errors grow with a feature."""
    rng = np.random.default_rng(seed)
    X = rng.normal([3, -40, 0, 1e3], [1, 5, 1e-3, 20], (rows, 4))
    noise = rng.normal(7, [1, 0.1, 900], (rows, 3)) * (0.2 + np.abs(X[:, :1] - 3))
    return X, X @ rng.normal(0, 3, (4, 3)) * [1, 1e-3, 50] + noise


def errors_of(found: Fit) -> Array:
    """Return the standard errors, shape (k, p)."""
    return np.array([t.standard_error for t in found.summary().targets.values()], float)


# Against statsmodels


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", ["uneven", *TABLES])
def test_every_robust_statistic_is_that_of_statsmodels(
    table: str, kind: str, weighted: bool, bias: bool, arithmetic: str
) -> None:
    X, Y = uneven_table() if table == "uneven" else TABLES[table]()
    X, Y = np.asarray(X, float), np.asarray(Y, float).reshape(len(X), -1)
    w = np.random.default_rng(2).uniform(0.2, 5, len(X)) if weighted else None
    options: dict[str, Any] = {"bias": bias, "sample_weight": w, "arithmetic": arithmetic}
    found = fit((X, Y), robust=kind, **options).summary(level=0.9)
    plain = fit((X, Y), **options).summary(level=0.9)
    assert (found.robust, plain.robust) == (kind, None)
    if arithmetic == "fast":
        exact = fit((X, Y), robust=kind, **options | {"arithmetic": "exact"}).summary(level=0.9)
        by_condition(found, exact, X, Y, w, power={"HC2": 1, "HC3": 2}.get(kind, 0))
    columns = np.column_stack([X, np.ones(len(X))]) if bias else X
    # In the table's own units the peer loses as many digits as Longley's condition takes: it gets
    # columns about their means and of unit deviation, and its covariance is taken back.
    deviations = np.where(columns.std(axis=0) > 0, columns.std(axis=0), 1)
    back = np.diag(1 / deviations)
    if bias:
        back[-1, :-1] = -X.mean(axis=0) / X.std(axis=0)
    for t, (target, of_target) in enumerate(found.targets.items()):
        weights = 1.0 if w is None else w
        peer = sm.WLS(Y[:, t], columns @ back, weights=weights, hasconst=bias)
        expected = peer.fit(method="pinv").get_robustcov_results(kind, use_t=True)
        covariance = back @ expected.cov_params() @ back.T
        errors, values = np.sqrt(covariance.diagonal()), back @ expected.params
        close(of_target.p, 2 * scipy.stats.t.sf(np.abs(of_target.t), found.residual_dof))
        if arithmetic == "exact":
            close(of_target.standard_error, errors)
            close(of_target.t, values / errors)
            reach = scipy.stats.t.ppf(0.95, found.residual_dof) * errors
            close([of_target.lower, of_target.upper], [values - reach, values + reach])
            correlation = found.covariance(target) / np.outer(errors, errors)
            expected_one = covariance / np.outer(errors, errors)
            np.testing.assert_allclose(correlation, expected_one, atol=1e-9)
        np.testing.assert_allclose(of_target.f, np.squeeze(expected.fvalue), rtol=1e-8)
        close(of_target.f_p, scipy.stats.f.sf(of_target.f, found.model_dof, found.residual_dof))
        for member in ("coefficient", "residual_sd", "r2", "adjusted_r2", "aic", "standardized"):
            assert getattr(of_target, member) == getattr(plain.targets[target], member)


def test_a_table_of_several_files_has_them_from_a_second_pass(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    X = rng.normal(1e4, 1, (150_000, 6))
    Y = X[:, :2] * 3 + rng.standard_normal((len(X), 2)) * (X[:, 2:4] - 1e4)
    w = rng.uniform(0.5, 2, len(X))
    names = [*"abcdef", "y", "z", "w"]
    table = pl.DataFrame(np.column_stack([X, Y, w]), schema=names)
    for part, start in enumerate(range(0, len(X), 40_000)):
        table.slice(start, 40_000).write_parquet(tmp_path / f"{part}.parquet")
    found = fit(tmp_path, ["y", "z"], sample_weight="w", robust="HC2")
    assert found.arithmetic.used == "fast"
    assert found.metrics["training"]["y"].mae is None  # type: ignore[index]
    columns = np.column_stack([X, np.ones(len(X))])
    for t, of_target in enumerate(found.summary().targets.values()):
        peer = sm.WLS(Y[:, t], columns, weights=w).fit(method="pinv")
        expected = peer.get_robustcov_results("HC2", use_t=True)
        np.testing.assert_allclose(of_target.standard_error, expected.bse, rtol=1e-9)


# Against the rational ones


def rational(X: Array, y: Array, w: Array | None, bias: bool, power: int) -> list[float]:
    """Return the standard errors of HC0, HC2 or HC3 from rational arithmetic."""
    rows = [[Fraction(v) for v in row] + [Fraction(1)] * bias for row in X]
    weights = [Fraction(1)] * len(X) if w is None else [Fraction(v) for v in w]
    p = len(rows[0])
    A = [
        [
            sum((r * x[i] * x[j] for r, x in zip(weights, rows, strict=True)), Fraction())
            for j in range(p)
        ]
        + [Fraction(int(i == j)) for j in range(p)]
        for i in range(p)
    ]
    for c in range(p):  # Gauss–Jordan
        A[c] = [v / A[c][c] for v in A[c]]
        for i in range(p):
            if i != c:
                A[i] = [v - A[i][c] * u for v, u in zip(A[i], A[c], strict=True)]
    inverse = [row[p:] for row in A]
    sides = [[sum(map(Fraction.__mul__, row, x), Fraction()) for row in inverse] for x in rows]
    ys = [Fraction(v) for v in y]
    B = [
        sum((r * v * s[j] for r, v, s in zip(weights, ys, sides, strict=True)), Fraction())
        for j in range(p)
    ]
    total = [Fraction()] * p
    for r, x, s, v in zip(weights, rows, sides, ys, strict=True):
        residual = v - sum(map(Fraction.__mul__, x, B), Fraction())
        leverage = r * sum(map(Fraction.__mul__, x, s), Fraction())
        g = (r * residual) ** 2 / (1 - leverage) ** power
        total = [a + g * b * b for a, b in zip(total, s, strict=True)]
    return [math.sqrt(v) for v in total]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(1, 4),
    exponent=st.integers(0, 6),
    bias=st.booleans(),
    weighted=st.booleans(),
    kind=st.sampled_from(["HC0", "HC2", "HC3"]),
)
def test_offsets_scales_and_near_dependence_cost_few_digits(
    seed: int, d: int, exponent: int, bias: bool, weighted: bool, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    n = d + 8
    X = rng.standard_normal((n, d))
    X[:, -1] = X[:, 0] + X[:, -1] * 10.0**-exponent  # d > 1: of condition 10^exponent
    X = (X + 1e6 * bias) * 10.0 ** rng.integers(-6, 7, d)
    y = X.sum(axis=1) + np.abs(X).max() * 1e-3 * rng.standard_normal(n)
    w = rng.random(n) + 0.1 if weighted else None
    expected = rational(X, y, w, bias, int(kind[-1]) - (kind != "HC0"))
    found = fit((X, y), arithmetic="exact", bias=bias, sample_weight=w, robust=kind)
    np.testing.assert_allclose(errors_of(found)[0], expected, rtol=1e-11 * 10**exponent)


def test_longley_has_12_digits() -> None:
    X, Y, bias = design("Longley")
    expected = rational(X, Y.ravel(), None, bias, 2)
    found = fit((X, Y), arithmetic="exact", robust="HC3")
    np.testing.assert_allclose(errors_of(found)[0], expected, rtol=1e-12)


# What they don't depend on


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS), block=st.integers(1, 80))
def test_neither_the_order_of_rows_nor_the_blocks_nor_the_units_matter(
    seed: int, kind: str, block: int
) -> None:
    X, Y = uneven_table()
    rng = np.random.default_rng(seed)
    w = rng.random(len(X)) + 0.01
    expected = errors_of(fit((X, Y), sample_weight=w, robust=kind))
    order = rng.permutation(len(X))
    units = 2.0 ** rng.integers(-40, 40, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradline_trainer.rows.arrays.BLOCK_ROWS", block)
        patch.setattr("gradline_trainer.statistics.robust.CHUNK", 1)
        patch.setattr("gradline_trainer.statistics.robust.LEAST_ROWS", 3)
        table = X[order] * units, Y[order]
        found = errors_of(fit(table, sample_weight=3 * w[order], robust=kind))
    np.testing.assert_allclose(found * [*units, 1], expected, rtol=1e-10)


def test_with_equal_leverages_and_residuals_they_are_those_of_equal_variance() -> None:
    signs = np.array([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    X, y = np.vstack([signs, signs]), np.repeat([1.0, -1.0], 4)  # h = 3/8 and |e| = 1 in each row
    plain = errors_of(fit((X, y)))
    for kind, factor in {"HC0": 5 / 8, "HC1": 1.0, "HC2": 1.0, "HC3": 8 / 5}.items():
        np.testing.assert_allclose(errors_of(fit((X, y), robust=kind)) ** 2, factor * plain**2)


# What is not defined


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_decides_a_coefficient_alone_leaves_hc2_and_hc3_undefined(
    kind: str, arithmetic: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    alone = np.zeros(40)
    alone[7] = 1.0
    table = np.column_stack([rng.standard_normal((40, 2)), alone]), rng.standard_normal((40, 2))
    found = fit(table, robust=kind, arithmetic=arithmetic)
    summary = found.summary()
    if kind in ("HC0", "HC1"):
        columns = np.column_stack([table[0], np.ones(40)])
        peer = sm.OLS(table[1][:, 0], columns).fit().get_robustcov_results(kind, use_t=True)
        # The lone row's own coefficient has the error of the others' plane there alone.
        close(summary.targets["y0"].standard_error, peer.bse)
        assert not found.warnings
        return
    assert any(f"{kind} standard errors are not defined: 1 row with" in w for w in found.warnings)
    for target, of_target in summary.targets.items():
        for member in BY_TERM:
            assert getattr(of_target, member) == [None] * 4
        assert of_target.f is of_target.f_p is None
        assert of_target.residual_sd is not None
        assert summary.covariance(target) is None
    package = export_package(found, tmp_path, "lone")
    json.dumps(read_package(package).manifest, allow_nan=False)
    shown = CliRunner().invoke(cli, ["inspect", str(package)])
    assert shown.exit_code == 0
    assert "nan" not in shown.output
    assert f"{kind} standard errors are not defined" in shown.output


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
@pytest.mark.parametrize("seed", range(10))
def test_a_leverage_of_1_is_told_from_one_near_it(seed: int, arithmetic: str) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((30, 4)) + 100
    X[:, 3] = 0.3
    X[7, 3] = 0.7  # the only row with another value
    w, y = rng.random(30) + 0.1, rng.standard_normal(30)
    options: dict[str, Any] = {"sample_weight": w, "arithmetic": arithmetic, "robust": "HC3"}
    found = fit((X, y), **options).robust
    assert found is not None
    assert (found.covariance, found.alone) == (None, 1)
    X[:, 3] += 1e-5 * rng.standard_normal(30)  # h is 1 less about 1e-8 now
    near = fit((X, y), **options)
    np.testing.assert_allclose(errors_of(near)[0], rational(X, y, w, True, 2), rtol=1e-6)


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
def test_a_perfect_fit_and_no_degree_of_freedom_are_said(arithmetic: str) -> None:
    X = np.random.default_rng(0).integers(-99, 99, (40, 3)).astype(float)
    Y = np.column_stack([X @ [1, 2, 3] + 4, X @ [1, 0, 0] + np.arange(40) % 7])
    found = fit((X, Y), arithmetic=arithmetic, robust="HC3").summary()
    perfect, other = found.targets.values()
    assert perfect.standard_error == [0.0] * 4
    assert perfect.t == perfect.p == [None] * 4
    assert perfect.f is None
    assert None not in other.t
    for rows in (2, 4):
        few = fit((X[:rows], Y[:rows, 1]), arithmetic=arithmetic, robust="HC3").summary()
        assert few.targets["y0"].standard_error == [None] * 4
        assert few.covariance("y0") is None
        json.dumps(few.to_dict(), allow_nan=False)


def test_a_frozen_feature_has_none_and_changes_none() -> None:
    X, Y = random_table()
    X = np.round(X * 1024)
    frozen = np.column_stack([X[:, 0], np.full(len(X), 3.0), X[:, 1:], X[:, 0] + 2 * X[:, 1]])
    found = errors_of(fit((frozen, Y), robust="HC3", dependent="drop"))
    assert np.isnan(found[:, [1, 5]]).all()
    expected = errors_of(fit((X, Y), robust="HC3"))
    np.testing.assert_allclose(found[:, [0, 2, 3, 4, 6]], expected, rtol=1e-9)


def test_true_means_hc3() -> None:
    assert Options(robust=True).robust == "HC3"  # type: ignore[arg-type]


# What is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"robust": "HC4"}, "'HC4', expected None, True or one of HC0, HC1, HC2, HC3"),
        ({"robust": 1}, "1, expected None, True or"),
        ({"robust": ["HC3"]}, "expected None"),
        ({"robust": "HC3", "ridge": 2.5}, "a penalty draws the weights towards 0"),
        ({"robust": "HC3", "ridge": "auto"}, "a penalty draws the weights towards 0"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        fit(random_table(), **options)
    assert said in str(caught.value)
    assert caught.value.code == "bad-option"


def test_tables_whose_covariances_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradline_trainer.statistics.robust.MOST", 3 * 5 * 5)
    fit(random_table(), robust="HC3")
    monkeypatch.setattr("gradline_trainer.statistics.robust.MOST", 3 * 5 * 5 - 1)
    with pytest.raises(InputError, match="3 targets and 4 features take 3 covariance"):
        fit(random_table(), robust="HC3")
    monkeypatch.setattr("gradline_trainer.learning.WIDE", 3)
    with pytest.raises(InputError, match="needs the co-moments, and 4 features have too many"):
        fit(random_table(), robust="HC3")


def test_a_run_that_ended_before_the_optimum_reads_the_rows_once() -> None:
    found = fit(random_table(), robust="HC3", preconditioning="none", epochs=5)
    assert found.robust is None


def test_a_table_that_changes_between_the_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, Y = uneven_table(200)
    monkeypatch.setattr("gradline_trainer.rows.rows.RowReader.block_rows", 100)
    passes = iter([200, 150])
    from gradline_trainer.rows.arrays import ArrayTable

    plain = ArrayTable.blocks

    def shrinking(self: ArrayTable, columns: Any, rows: int | None = None) -> Any:
        left = next(passes)
        for block in plain(self, columns, 50):
            if block.start < left:
                yield block

    monkeypatch.setattr(ArrayTable, "blocks", shrinking)
    with pytest.raises(InputError, match="200 rows to train on, then 150") as caught:
        fit((X, Y), robust="HC0", arithmetic="fast")
    assert caught.value.code == "changed-data"


# As people, programs and packages have them


def test_the_command_records_and_shows_the_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    X, Y = uneven_table()
    table = pl.DataFrame(np.column_stack([X, Y[:, 0]]), schema=[*"abcd", "y"])
    table.write_parquet(tmp_path / "uneven.parquet")
    words = ["train-and-export", str(tmp_path / "uneven.parquet"), "-t", "y", "-q"]
    words += ["-o", str(tmp_path / "artifacts"), "--no-report"]
    asked = {None: [], "HC1": ["--robust-kind", "HC1"], "HC3": ["--robust"]}
    for version, (kind, options) in enumerate(asked.items(), 1):
        assert run([*words, *options]) == 0
        package = tmp_path / "artifacts" / "uneven" / str(version)
        statistics = read_package(package).manifest["statistics"]
        assert statistics.get("robust") == kind
        expected = fit(table, "y", robust=kind).summary()
        assert expected.to_dict()["robust"] == kind
        recorded = statistics["targets"]["y"]["standard_error"]
        assert recorded == expected.targets["y"].standard_error
        shown = CliRunner().invoke(cli, ["inspect", str(package)]).output
        for text in (shown, str(expected)):
            assert f"{kind or 'standard'} error" in text
    capsys.readouterr()
    assert run([*words, "--robust-kind", "HC9"]) == 2
    assert "HC3" in capsys.readouterr().err
    for arguments in ([*words, "--robust", "HC1"], ["train-and-export", "--robust", "HC1"]):
        assert run(arguments) == 2
        said = "Error: --robust takes no value, but HC1 follows it\n  --robust-kind HC1\n"
        assert capsys.readouterr().err == said
    assert run([*words, "--robust", "--ridge", "1"]) == 2
    assert "leave out one of --robust and --ridge" in capsys.readouterr().err
    first, second = (str(tmp_path / "artifacts" / "uneven" / v) for v in "13")
    assert run(["diff", first, second]) == 0
    assert run(["verify", second]) == 0
