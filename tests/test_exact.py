"""Exact arithmetic: the correctly rounded least-squares solution of the float64 table."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradline import InputError, load
from gradline.tables import Block
from gradline_export import export_package
from gradline_export.freeze.formats import rounded
from gradline_trainer import Fit, fit
from gradline_trainer.descent.arithmetic import SMALL, exact_cost
from gradline_trainer.exact.moments import ExactMoments, gather_exactly
from gradline_trainer.options import Options
from gradline_trainer.rows.arrays import ArrayTable
from gradline_trainer.rows.dealing import held_out_rows
from gradline_trainer.rows.passes import Walk
from gradline_trainer.rows.rows import RowReader

Array = NDArray[np.float64]
NIST = Path(__file__).parent / "nist"
CERTIFIED = json.loads((NIST / "certified.json").read_text())
# Digits against the certified values, which belong to the decimal data: what float64 columns allow.
CEILING = {"Norris": 14.1, "NoInt1": 14.7, "Longley": 14.6, "Wampler1": 15.0, "Wampler4": 15.0}


def solution(
    X: Array, Y: Array, *, bias: bool = True, ridge: float = 0.0, weights: Array | None = None
) -> list[list[Fraction]]:
    """Return the rational least-squares solution: for each target the weights, then the bias."""
    n, d = X.shape
    p = d + bias
    rows = [[Fraction(v) for v in row] + [Fraction(1)] * bias for row in X]
    w = [Fraction(1)] * n if weights is None else [Fraction(v) for v in weights]
    answers = [[Fraction(v) for v in row] for row in Y]
    A = [
        [sum(w[i] * rows[i][a] * rows[i][b] for i in range(n)) for b in range(p)] for a in range(p)
    ]
    for a in range(d):
        A[a][a] += Fraction(ridge)
    B = [
        [sum(w[i] * rows[i][a] * answers[i][t] for i in range(n)) for t in range(Y.shape[1])]
        for a in range(p)
    ]
    for c in range(p):
        for i in range(c + 1, p):
            factor = A[i][c] / A[c][c]
            A[i] = [x - factor * y for x, y in zip(A[i], A[c], strict=True)]
            B[i] = [x - factor * y for x, y in zip(B[i], B[c], strict=True)]
    found: list[list[Fraction]] = [[] for _ in range(p)]
    for c in reversed(range(p)):
        found[c] = [
            (B[c][t] - sum(A[c][j] * found[j][t] for j in range(c + 1, p))) / A[c][c]
            for t in range(Y.shape[1])
        ]
    return [list(column) for column in zip(*found, strict=True)]


def coefficients(found: Fit) -> list[list[float]]:
    bias = [[b] if found.options.bias else [] for b in found.bias.tolist()]
    return [w + b for w, b in zip(found.weights.tolist(), bias, strict=True)]


def assert_exact(X: Array, Y: Array, **options: Any) -> Fit:
    """Fit exactly and compare every bit with the rational solution."""
    weights = options.get("sample_weight")
    expected = solution(
        X, Y, bias=options.get("bias", True), ridge=options.get("ridge", 0.0), weights=weights
    )
    found = fit((X, Y), arithmetic="exact", **options)
    assert found.exact is not None
    assert found.exact.uncertified == []
    assert coefficients(found) == [[float(v) for v in row] for row in expected]
    assert found.converged
    return found


def design(name: str) -> tuple[Array, Array, bool]:
    table = np.loadtxt(NIST / f"{name}.csv", delimiter=",", skiprows=1)
    X = table[:, :-1]
    X = np.hstack([X**power for power in range(1, CERTIFIED[name]["degree"] + 1)])
    return X, table[:, -1:], CERTIFIED[name]["intercept"]


def digits(found: float, certified: str) -> float:
    """Return NIST's log relative error, at most 15 as float64's."""
    exact = Fraction(certified)
    error = abs(Fraction(found) - exact) / (abs(exact) or 1)
    return 15.0 if error == 0 else min(15.0, -math.log10(error))


@pytest.mark.parametrize("name", CEILING)
def test_nist_sets_are_at_their_ceiling_and_bit_identical_to_the_rational_solution(
    name: str, tmp_path: Path
) -> None:
    X, Y, bias = design(name)
    found = assert_exact(X, Y, bias=bias)
    (row,) = coefficients(found)
    ordered = row[-1:] + row[:-1] if bias else row  # NIST's order begins with the intercept
    reached = min(map(digits, ordered, CERTIFIED[name]["coefficients"]))
    assert round(reached, 1) >= CEILING[name]
    (residual,) = (Fraction(CERTIFIED[name]["residual_ss"]),)
    rmse = found.metrics["training"]["y0"].rmse  # type: ignore[index]
    assert rmse == pytest.approx(math.sqrt(residual / len(X)), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("name", CEILING)
def test_the_published_float64_graph_holds_those_very_bits(name: str, tmp_path: Path) -> None:
    X, Y, bias = design(name)
    found = fit((X, Y), arithmetic="exact", bias=bias, dtype="float64")
    model = load(export_package(found, tmp_path, name))
    # At 0 the graph answers its bias, and at a unit vector a weight and the bias.
    expected = [[float(v) for v in row] for row in solution(X, Y, bias=bias)]
    b = np.array([row[-1] if bias else 0.0 for row in expected])
    assert (model.predict(np.zeros((1, X.shape[1]))) == b).all()
    W = np.array(expected)[:, : X.shape[1]]
    assert (model.predict(np.eye(X.shape[1])) == W.T + b).all()
    exact = model.manifest["certificates"]["exact"]
    assert exact["certified"] == exact["coefficients"]


def test_wampler_1_and_4_as_one_fit_of_two_targets() -> None:
    X, first, _ = design("Wampler1")
    again, second, _ = design("Wampler4")
    assert (again == X).all()
    assert_exact(X, np.hstack([first, second]))


def conditioned(rng: np.random.Generator, n: int, d: int, condition: float) -> Array:
    """Return features whose singular values range over `condition`, scaled and moved by column."""
    U, V = (np.linalg.qr(rng.standard_normal((m, d)))[0] for m in (n, d))
    X: Array = U @ np.diag(np.logspace(0, -math.log10(condition), d)) @ V
    return X


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(1, 5),
    k=st.integers(1, 3),
    exponent=st.floats(0, 12),
    bias=st.booleans(),
    ridge=st.sampled_from([0.0, 0.0, 1e-3, 2.5]),
    weighted=st.booleans(),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
)
def test_random_problems_are_bit_identical_to_the_rational_solution(
    seed: int,
    d: int,
    k: int,
    exponent: float,
    bias: bool,
    ridge: float,
    weighted: bool,
    offset: float,
) -> None:
    rng = np.random.default_rng(seed)
    n = d + 6
    X = conditioned(rng, n, d, 10**exponent) * 10.0 ** rng.integers(-6, 7, d)
    X = X + offset * np.abs(X).max(axis=0) / 1e3
    Y = rng.standard_normal((n, k)) * 10.0 ** rng.integers(-6, 7, k)
    options: dict[str, Any] = {"bias": bias, "ridge": ridge}
    if weighted:
        options["sample_weight"] = rng.random(n) + 0.1
    assert_exact(X, Y, **options)


def test_a_coefficient_that_is_0_is_returned_as_0_and_listed() -> None:
    rng = np.random.default_rng(5)
    half = rng.integers(-50, 50, (8, 2)).astype(float)
    X = np.vstack([half, half * [1, -1]])  # the second feature is orthogonal to all else
    found = assert_exact(X, np.tile(half[:, :1] ** 2 + 1.5, (2, 1)))
    assert found.weights[0, 1] == 0
    assert found.exact is not None
    assert found.names_of(found.exact.zeros) == [["y0", "x1"]]


def test_a_bias_that_is_0_is_certified() -> None:
    x = np.arange(-4.0, 5.0)[:, None]
    found = assert_exact(x, x**3)
    assert found.bias.item() == 0
    assert found.exact is not None
    assert ["y0", "bias"] in found.names_of(found.exact.zeros)


ILL = conditioned(np.random.default_rng(8), 60, 4, 1e9) * [1.0, 1e5, 1e-3, 7.0]
ANSWERS = np.random.default_rng(9).standard_normal((60, 2))


def test_the_order_of_the_rows_changes_no_bit() -> None:
    expected = coefficients(fit((ILL, ANSWERS), arithmetic="exact"))
    order = np.random.default_rng(1).permutation(60)
    assert coefficients(fit((ILL[order], ANSWERS[order]), arithmetic="exact")) == expected


@pytest.mark.parametrize("rows", [1, 7, 59, 4096])
def test_the_size_of_the_blocks_changes_no_bit(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = coefficients(fit((ILL, ANSWERS), arithmetic="exact"))
    monkeypatch.setattr("gradline_trainer.rows.arrays.BLOCK_ROWS", rows)
    monkeypatch.setattr("gradline_trainer.exact.moments.SUMMED", max(rows // 2, 1))
    assert coefficients(fit((ILL, ANSWERS), arithmetic="exact")) == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_bit(threads: int) -> None:
    before = torch.get_num_threads()
    expected = coefficients(fit((ILL, ANSWERS), arithmetic="exact"))
    torch.set_num_threads(threads)
    try:
        assert coefficients(fit((ILL, ANSWERS), arithmetic="exact")) == expected
    finally:
        torch.set_num_threads(before)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.floats(-1e60, 1e60).filter(lambda v: v == 0 or abs(v) > 1e-60),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=9,
    ),
    st.booleans(),
)
def test_exact_moments_are_the_integer_sums(rows: list[list[float]], weighted: bool) -> None:
    values = np.array(rows)
    weights = np.linspace(0.1, 3, len(values)) if weighted else None
    found = ExactMoments.of(values, weights)
    columns = [[Fraction(1)] * len(values), *[[Fraction(v) for v in c] for c in values.T]]
    w = [Fraction(1)] * len(values) if weights is None else [Fraction(v) for v in weights]
    for a, left in enumerate(columns):
        for b, right in enumerate(columns):
            expected = sum(x * y * z for x, y, z in zip(left, right, w, strict=True))
            unit = Fraction(2) ** int(found.units[a] + found.units[b])
            assert found.gram[a, b] * unit == expected
    halves = [ExactMoments.of(part, None) for part in np.array_split(values, 2) if len(part)]
    merged = halves[0] if len(halves) == 1 else halves[0].merge(halves[1])
    whole = ExactMoments.of(values, None)
    for a in range(4):
        for b in range(4):
            one, other = (
                m.gram[a, b] * Fraction(2) ** int(m.units[a] + m.units[b]) for m in (merged, whole)
            )
            assert one == other


def test_a_dependent_feature_is_frozen_and_one_that_float64_takes_for_dependent_is_not() -> None:
    rng = np.random.default_rng(2)
    X = rng.integers(-99, 99, (40, 3)).astype(float)
    sum_of_others = X[:, 0] + 2 * X[:, 1]
    Y = rng.standard_normal((40, 1))
    frozen = fit((np.c_[X, sum_of_others], Y), arithmetic="exact", dependent="drop")
    assert frozen.weights[0, 3] == 0
    assert any("linearly dependent" in warning and "'x3'" in warning for warning in frozen.warnings)
    nearly = np.c_[X, sum_of_others + rng.standard_normal(40) * 1e-9]
    assert fit((nearly, Y), arithmetic="fast").supposed == ["x3"]
    assert_exact(nearly, Y)


def test_beyond_what_can_be_certified_it_says_so() -> None:
    found = fit((ILL, ANSWERS), arithmetic="exact", epochs=1)
    assert found.exact is not None
    assert len(found.exact.uncertified) == 10
    assert any("could not be certified" in warning for warning in found.warnings)


def test_what_was_held_out_has_no_part_in_it() -> None:
    X, Y = ILL.repeat(3, axis=0), ANSWERS.repeat(3, axis=0)
    found = fit((X, Y), arithmetic="exact", holdout=0.2, seed=3)
    Y[:] = np.where(np.isin(np.arange(180), _held(180, 0.2, 3))[:, None], 1e3, Y)
    assert coefficients(fit((X, Y), arithmetic="exact", holdout=0.2, seed=3)) == coefficients(found)


def _held(rows: int, fraction: float, seed: int) -> NDArray[np.int64]:
    block = Block(0, 0, (np.zeros((rows, 1)),))
    return np.flatnonzero(held_out_rows(block, Options(holdout=fraction, seed=seed)))


def test_auto_is_exact_on_small_tables_and_on_ill_conditioned_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = fit((ILL, ANSWERS)).arithmetic
    assert (small.used, small.reason) == ("exact", "a small table, 360 values")
    monkeypatch.setattr("gradline_trainer.descent.arithmetic.SMALL", 100)
    ill = fit((ILL, ANSWERS)).arithmetic
    assert ill.used == "exact"
    assert "ill-conditioned" in ill.reason or "dependent" in ill.reason
    well = fit((np.random.default_rng(0).standard_normal((60, 4)), ANSWERS)).arithmetic
    assert well.used == "fast"
    assert well.condition is not None
    assert 1 <= well.condition < 10
    assert fit((ILL, ANSWERS), preconditioning="standardize").arithmetic.used == "fast"
    monkeypatch.setattr("gradline_trainer.descent.arithmetic.LARGE", 100)
    large = fit((ILL, ANSWERS)).arithmetic
    assert large.used == "fast"
    assert large.reason.endswith("but too large for exact arithmetic")


@pytest.mark.parametrize(
    ("n", "d", "k", "exact"),
    [
        (5, 3, 2, True),  # the orchard
        (82, 10, 1, True),  # the largest of NIST's linear sets
        (1_000, 50, 1, True),
        (10_000, 20, 1, True),
        (30, 900, 50, False),  # 59 s against 1.0 s
        (1_000, 400, 1, False),  # 1.46 s against 0.022 s
        (60, 50, 50, False),
        (40, 50, 1, False),  # the elimination
        (5, 6, 2, True),
        (100_000, 100, 1, False),
        (10_000_000, 1, 1, False),
    ],
)
def test_auto_is_exact_where_the_shape_makes_it_cheap(n: int, d: int, k: int, exact: bool) -> None:
    assert (exact_cost(n, d, k) <= SMALL) is exact


def test_the_condition_number_is_that_of_the_scaled_features() -> None:
    X = conditioned(np.random.default_rng(4), 300, 6, 1e4)
    centred = X - X.mean(axis=0)
    expected = np.linalg.cond(centred / centred.std(axis=0))
    condition = fit((X, ANSWERS[:, :1].repeat(5, axis=0))).arithmetic.condition
    assert condition == pytest.approx(expected, rel=0.1)


def test_exact_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(InputError, match="needs preconditioning 'whiten' with moments"):
        fit((ILL, ANSWERS), arithmetic="exact", gradient="rows")


def test_values_that_span_too_many_bits_are_refused_or_computed_fast() -> None:
    X = np.array([[1e140], [1e-140], [3.0], [4.0]])
    Y = np.array([1.0, 2.0, 3.0, 5.0])
    with pytest.raises(Exception, match="800 bits"):
        fit((X, Y), arithmetic="exact")
    assert fit((X, Y)).arithmetic.used == "fast"


def test_a_table_that_changes_between_the_passes_is_refused() -> None:
    found = fit((ILL, ANSWERS), arithmetic="fast")
    names = found.features + found.targets
    reader = RowReader(ArrayTable([ILL, ANSWERS], names), found.columns, found.options)
    reader.counts.training = len(ILL) - 1
    with pytest.raises(InputError, match="the table changed while it was read"):
        gather_exactly(Walk(reader, lambda stage, count: None))


@given(st.floats(-1e30, 1e30), st.floats(-0.49, 0.49))
def test_float32_is_rounded_once(near: float, share: float) -> None:
    low = np.float32(near)
    high = np.nextafter(low, np.float32(np.inf))
    halfway = (float(low) + float(high)) / 2
    rest = share * np.spacing(abs(halfway))
    found = rounded(
        torch.tensor([halfway], dtype=torch.float64),
        np.dtype(np.float32),
        torch.tensor([rest], dtype=torch.float64),
    )[0]
    if rest:
        assert found == (high if rest > 0 else low)
    else:
        assert found == np.float32(halfway)
