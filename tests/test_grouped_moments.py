"""Moments of categories from counts and group sums, held to those of the matrix of indicators."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor, Term
from gradline_trainer import fit
from gradline_trainer.descent.problem import Problem, state_problem
from gradline_trainer.descent.rounding import bound_rounding, relative_noise
from gradline_trainer.moments import grouped as grouped_moments
from gradline_trainer.moments.folds import FoldedMoments
from gradline_trainer.moments.grouped import GroupSums
from gradline_trainer.moments.moments import Moments
from gradline_trainer.options import Options
from gradline_trainer.rows.rows import Rows

Array = np.ndarray
LEVELS = tuple(f"l{i:02d}" for i in range(30))
SHOP = [Factor("shop", level=level) for level in LEVELS]
KIND = [Factor("kind", level=level) for level in "abc"]
PRICE, SIZE = Factor("price"), Factor("size", "log")
MONTHS = [Factor("at", "month", level=month) for month in range(1, 13)]


def a_plan(*, penalised: bool = False) -> Plan:
    """Plan numbers, two categories, a calendar part, and products of each kind."""
    columns = (
        Column("price", fill=7.5),
        Column("shop", "category", LEVELS, reference=None if penalised else "l00", missing=True),
        Column("size"),
        Column("kind", "category", tuple("abcd"), rare=("c", "d")),
        Column("at", "time", fill=1e9),
    )
    first = 0 if penalised else 1
    terms: list[Term] = [(PRICE,), *((factor,) for factor in SHOP[first:])]
    terms += [(Factor("shop", "missing"),), (SIZE,), (Factor("price", "missing"),)]
    terms += [(factor,) for factor in [*KIND[:2], Factor("kind", level="(rare)"), *MONTHS[1:]]]
    terms += [(SIZE, factor) for factor in SHOP]
    terms += [(factor, PRICE, SIZE) for factor in KIND[:2]]
    terms += product(SHOP[:20], KIND[:2])
    return Plan(columns, tuple(terms))


def some_rows(
    plan: Plan, n: int, seed: int, *, weighted: bool, offset: float = 0.0, skew: float = 1.0
) -> Rows:
    """Draw rows; the larger `skew`, the more of them have the same levels."""
    rng = np.random.default_rng(seed)
    d = len(plan.terms)

    def draw(size: int) -> Array:
        return np.floor(size * rng.random(n) ** skew)

    price = offset + rng.normal(size=n)
    price[rng.random(n) < 0.05] = np.nan
    at = rng.integers(-(10**9), 10**9, n).astype(np.float64)
    at[rng.random(n) < 0.05] = np.nan
    kind = draw(4)
    columns = [price, draw(31), np.exp(rng.normal(size=n)), np.where(kind > 1, 5, kind), at]
    values = np.column_stack(columns)
    targets = offset + rng.normal(size=(n, 2))
    weights = rng.exponential(size=n) if weighted else None
    return Rows((values, targets), d, weights, rng.integers(0, 3, n), 0, plan)


def moments_of(rows: Rows) -> Moments:
    return GroupSums.of(rows).moments


def assert_same(found: Moments, expected: Moments) -> None:
    """Compare with the moments of the matrix, to within the rounding of sums."""
    assert found.rows == expected.rows
    assert found.weight == expected.weight
    assert found.log_weights == expected.log_weights
    np.testing.assert_array_equal(found.minimum, expected.minimum)
    np.testing.assert_array_equal(found.maximum, expected.maximum)
    np.testing.assert_array_equal(found.float32, expected.float32)
    sizes = np.maximum(np.abs(expected.minimum), np.abs(expected.maximum))
    noise = 2.0**-40
    assert (np.abs(found.mean - expected.mean) <= noise * sizes).all()
    roots = np.sqrt(expected.squares)
    allowed = noise * np.outer(roots, roots)
    worst = np.abs(found.comoment - expected.comoment) - allowed
    assert worst.max() <= 0, np.unravel_index(worst.argmax(), worst.shape)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(600, 3000),
    weighted=st.booleans(),
    penalised=st.booleans(),
    skew=st.sampled_from([1.0, 4.0, 30.0, 2000.0]),
    offset=st.sampled_from([0.0, 100.0, -1e6]),
)
def test_groups_give_the_moments_of_the_matrix(
    seed: int, n: int, weighted: bool, penalised: bool, skew: float, offset: float
) -> None:
    rows = some_rows(
        a_plan(penalised=penalised), n, seed, weighted=weighted, offset=offset, skew=skew
    )
    assert grouped_moments.is_grouped(rows)
    dense = rows.expanded()
    assert_same(moments_of(rows), Moments.of(dense.pieces, dense.weights))


def exact_comoment(values: Array, weights: Array | None) -> Array:
    """Compute the centred co-moments in long double."""
    wide = values.astype(np.longdouble)
    w = np.ones(len(wide), np.longdouble) if weights is None else weights.astype(np.longdouble)
    centred = wide - (w @ wide) / w.sum()
    return (centred * w[:, None]).T @ centred


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rare", [1, 2])
def test_rare_and_nearly_constant_levels_keep_their_digits(weighted: bool, rare: int) -> None:
    n, levels = 20_000, 40
    column = Column("c", "category", tuple(f"{i:02d}" for i in range(levels)))
    terms = tuple((Factor("c", level=level),) for level in column.levels)
    codes = np.zeros(n)  # all but a few rows have the first level
    codes[:: n // (rare * levels)] = np.arange(len(codes[:: n // (rare * levels)])) % levels
    rng = np.random.default_rng(5)
    targets = 1e5 + rng.normal(size=(n, 1))
    weights = rng.exponential(size=n) if weighted else None
    rows = Rows((codes[:, None], targets), levels, weights, None, 0, Plan((column,), terms))
    assert grouped_moments.is_grouped(rows)
    found = moments_of(rows)
    expected = exact_comoment(rows.values, weights)
    roots = np.sqrt(expected.diagonal().astype(np.float64))
    error = np.abs(found.comoment - expected) / np.outer(roots, roots)
    assert error.max() < 2 * n**0.5 * 2.0**-53  # the error of a sum, see descent/rounding.py


def test_a_level_without_rows_or_with_all_of_them_is_constant() -> None:
    n, levels = 9000, 30
    column = Column("c", "category", tuple(f"{i:02d}" for i in range(levels)))
    terms = tuple((Factor("c", level=level),) for level in column.levels)
    rows = Rows(
        (np.full((n, 1), 3.0), np.arange(n * 1.0)[:, None]), levels, None, None, 0,
        Plan((column,), terms),
    )  # fmt: skip
    found = moments_of(rows)
    assert found.minimum[3] == found.maximum[3] == 1
    assert not found.comoment[:levels, :levels].any()
    assert not found.maximum[[0, 1, 2]].any()


def test_folds_use_groups_too() -> None:
    rows = some_rows(a_plan(), 4000, 2, weighted=True)
    found = FoldedMoments.of(rows, 3)
    dense = FoldedMoments.of(rows.expanded(), 3)
    assert_same(found.whole, dense.whole)
    for fold, other in zip(found.folds, dense.folds, strict=True):
        assert fold is not None
        assert other is not None
        assert_same(fold, other)


@pytest.mark.parametrize("skew", [1.0, 30.0])
def test_predictions_gather_the_weights_of_indicators(skew: float) -> None:
    rows = some_rows(a_plan(), 3000, 9, weighted=False, skew=skew)
    sides = np.random.default_rng(0).normal(size=(rows.split, 3))
    expected = rows.features @ sides
    np.testing.assert_allclose(grouped_moments.product_of(rows, sides), expected, atol=1e-11)


def test_merged_chunks_are_the_whole() -> None:
    rows = some_rows(a_plan(), 4000, 3, weighted=False, skew=4.0)
    first, second = (GroupSums.of(chunk) for chunk in rows.chunks(2000))
    assert_same(first.merge(second).moments, moments_of(rows))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kept", [0, 1, 700])
def test_a_level_that_only_some_chunks_have_mostly_keeps_its_digits(
    weighted: bool, kept: int
) -> None:
    rng = np.random.default_rng(7)
    n, levels = 8000, 40
    column = Column("c", "category", tuple(f"{i:02d}" for i in range(levels)))
    terms = tuple((Factor("c", level=level),) for level in column.levels)
    codes = rng.integers(0, levels, n).astype(np.float64)
    codes[kept : n // 2] = 3.0  # nearly all of the first half
    targets = 1e5 + rng.normal(size=(n, 1))
    weights = rng.exponential(size=n) if weighted else None
    rows = Rows((codes[:, None], targets), levels, weights, None, 0, Plan((column,), terms))
    first, second, third, fourth = (GroupSums.of(chunk) for chunk in rows.chunks(n // 4))
    found = first.merge(second).merge(third.merge(fourth)).moments
    expected = exact_comoment(rows.values, weights)
    roots = np.sqrt(expected.diagonal().astype(np.float64))
    error = np.abs(found.comoment - expected) / np.outer(roots, roots)
    assert error.max() < 2 * n**0.5 * 2.0**-53


def test_merged_sums_stay_far_smaller_than_a_matrix() -> None:
    rng = np.random.default_rng(1)
    n, levels = 6000, (400, 20)
    names = [tuple(f"{i:03d}" for i in range(count)) for count in levels]
    columns = tuple(Column(c, "category", own) for c, own in zip("ab", names, strict=True))
    terms = tuple((Factor(c.name, level=level),) for c in columns for level in c.levels)
    values = np.column_stack([rng.integers(0, count, n) for count in levels]).astype(np.float64)
    rows = Rows((values, rng.normal(size=(n, 1))), len(terms), None, None, 0, Plan(columns, terms))
    first, second = (GroupSums.of(chunk) for chunk in rows.chunks(n // 2))
    matrix = 8 * (len(terms) + 1) ** 2
    assert len(pickle.dumps(first.merge(second))) < matrix / 8


def test_a_small_table_keeps_its_bits() -> None:
    rows = some_rows(a_plan(), 200, 4, weighted=False)
    assert not grouped_moments.is_grouped(rows)
    found, dense = moments_of(rows), Moments.of(rows.expanded().pieces)
    assert found.comoment.tobytes() == dense.comoment.tobytes()


@pytest.mark.parametrize("options", [{}, {"ridge": 1.0}, {"ridge": "auto"}, {"bias": False}])
def test_a_fit_is_that_of_its_indicators(options: dict[str, object]) -> None:
    rng = np.random.default_rng(6)
    n, levels = 4000, 60
    places = np.append(np.arange(levels), rng.integers(0, levels, n - levels))
    x = rng.normal(size=n)
    y = np.sin(places) + 2 * x + 0.1 * rng.normal(size=n)
    names = [f"v{i:02d}" for i in range(levels)]
    table = {"x": x, "c": [names[i] for i in places], "y": y}
    found = fit(table, "y", one_hot="c", arithmetic="fast", **options)
    kept = [name.removeprefix("c=") for name in found.features[1:]]
    indicators = {name: (places == names.index(name)) * 1.0 for name in kept}
    other = fit({"x": x, **indicators, "y": y}, "y", arithmetic="fast", **options)
    np.testing.assert_allclose(found.weights, other.weights, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.bias, other.bias, rtol=1e-9, atol=1e-11)
    assert found.metrics["training"]["y"].rmse == pytest.approx(
        other.metrics["training"]["y"].rmse, rel=1e-12
    )


def test_rows_with_a_plan_compute_what_is_asked_for() -> None:
    plan = a_plan()
    rows = some_rows(plan, 50, 8, weighted=True)
    assert rows.values.shape == (50, len(plan.terms) + 2)
    np.testing.assert_array_equal(rows.features, plan.compute(rows.pieces[0]))
    np.testing.assert_array_equal(rows.cut(slice(10, 20)).features, rows.features[10:20])
    assert rows.cut(slice(10, 20)).first == 10
    np.testing.assert_array_equal(replace(rows, weights=None).laid_out().targets, rows.targets)


def a_large_problem(*, dependent: bool) -> tuple[Array, Problem]:
    """State the problem of 600 features, more than a strip; return its scaled normal matrix."""
    rng = np.random.default_rng(11)
    values = rng.normal(size=(2000, 601))
    values[:, 1:] += 0.5 * values[:, :-1]
    if dependent:
        values[:, 300] = values[:, 2] - values[:, 299]
        values[:, 599] = 3 * values[:, 10] + 1
    problem = state_problem(Moments.of(values), 600, Options())
    active = problem.active.numpy()
    return np.corrcoef(values[:, :600][:, active].T), problem


@pytest.mark.parametrize("dependent", [False, True])
def test_a_large_normal_matrix_is_factored_and_inverted_in_strips(dependent: bool) -> None:
    expected, problem = a_large_problem(dependent=dependent)
    assert problem.dependent == ([300, 599] if dependent else [])
    factor, inverse = problem.factor.numpy(), problem.inverse_factor.numpy()
    np.testing.assert_allclose(factor @ factor.T, expected, atol=1e-12)
    np.testing.assert_allclose(inverse @ factor, np.eye(len(expected)), atol=1e-11)
    assert not np.triu(inverse, 1).any()
    # Iterations give a lower bound, of the root of the normal matrix's condition number.
    least = np.linalg.cond(factor)
    assert 0.5 * least < problem.condition <= 1.001 * least


@pytest.mark.parametrize("dependent", [False, True])
def test_rounding_of_a_large_problem_is_bounded_by_its_inverse(dependent: bool) -> None:
    _, problem = a_large_problem(dependent=dependent)
    inverse, scale = np.abs(problem.inverse_factor.numpy()), problem.scale.numpy()
    steepness = torch.arange(1.0, len(scale) + 1, dtype=torch.float64)
    found = bound_rounding(problem, 1e-13, torch.ones(1, dtype=torch.float64), steepness, 0.0, 2000)
    noise = relative_noise(len(scale), 2000)
    assert found.matrix == pytest.approx(noise * np.square(inverse).sum())
    assert float(found.gradient) == pytest.approx(
        1e-13 * (np.linalg.norm(inverse @ steepness.numpy()) + 1)
    )
    assert found.reach == pytest.approx(np.linalg.norm(inverse / scale))


def test_the_summary_of_many_levels_is_that_of_a_copied_fit() -> None:
    rng = np.random.default_rng(12)
    places = np.append(np.arange(90), rng.integers(0, 90, 5000))
    table = {"c": [f"v{i:02d}" for i in places], "y": places + rng.normal(size=len(places))}
    fitted = fit(table, "y", one_hot="c", arithmetic="fast")
    again = deepcopy(fitted)
    assert again.problem is None
    one, other = fitted.summary(), again.summary()
    assert one.to_dict() == other.to_dict()
    errors = np.array(one.targets["y"].standard_error)
    covariance = one.covariance("y")
    assert covariance is not None
    np.testing.assert_allclose(np.sqrt(covariance.diagonal()), errors, rtol=1e-12)
