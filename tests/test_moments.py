"""Moments against their definition in fractions, merged in any order and partition.

With n rows of weight W in all, M = max|z| and D = max|z − mean| of a column, u = 2⁻⁵³ and
γ = m·u/(1 − m·u) for m a few times n, textbook error analysis (Higham, Accuracy and Stability,
ch. 1 and 3) of two-pass sums, and of merges of means that are held as pairs, gives

    |Δmean| ≤ u·M + γ·E        |Δcomoment_ij| ≤ γ·W·E_i·E_j        with E = D + γ·M

so that an offset costs no digits of the comoment as long as it is below 1/γ times the spread. Up
to that, merging is associative and commutative.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import merge_all

Array = NDArray[np.float64]
Table = tuple[Array, Array | None]  # rows (n, p) and weights (n,)

U = 2.0**-53
TINY = 1e-300  # where products underflow

modest = settings(max_examples=60, deadline=None)


@st.composite
def tables(draw: st.DrawFn, least: int = 1, zeros: bool = False) -> Table:
    """A small table whose columns have offsets of their own, with or without weights."""
    n, p = draw(st.integers(least, 8)), draw(st.integers(1, 3))
    rows = draw(arrays(np.float64, (n, p), elements=st.floats(-100, 100)))
    offsets = draw(arrays(np.float64, p, elements=st.sampled_from([0, 1, -1e3, 1e6, 1e9])))
    weight = st.floats(1e-3, 1e3)
    weights = arrays(np.float64, n, elements=weight | st.just(0.0) if zeros else weight)
    return rows + offsets, draw(weights.filter(np.any) if zeros else st.none() | weights)


def of(table: Table, chosen: slice) -> Moments:
    rows, weights = table
    return Moments.of(rows[chosen], None if weights is None else weights[chosen])


def exact(rows: Array, weights: Array) -> tuple[list[Fraction], list[list[Fraction]]]:
    """The slow twin: mean and comoment by their definition, without rounding."""
    weighted = [
        (Fraction(float(w)), [Fraction(float(value)) for value in row])
        for w, row in zip(weights, rows, strict=True)
    ]
    total = sum(w for w, _ in weighted)
    places = range(rows.shape[1])
    mean = [sum(w * row[j] for w, row in weighted) / total for j in places]

    def comoment(i: int, j: int) -> Fraction:
        return sum((w * (row[i] - mean[i]) * (row[j] - mean[j]) for w, row in weighted), Fraction())

    return mean, [[comoment(i, j) for j in places] for i in places]


def assert_moments(found: Moments | None, table: Table, merges: int = 0) -> None:
    """Compare with the exact moments of all rows, by the bounds above."""
    assert found is not None
    rows, weights = table
    weights = np.ones(len(rows)) if weights is None else weights
    rows, weights = rows[weights > 0], weights[weights > 0]
    total = float(weights.sum())
    mean, comoment = exact(rows, weights)
    gamma = (4 * len(rows) + 16 + 8 * merges) * U
    M = np.abs(rows).max(axis=0)
    E = np.abs(rows - np.array(mean, np.float64)).max(axis=0) + gamma * M
    assert found.weight == pytest.approx(total, rel=len(rows) * U, abs=0)
    assert_close("mean", found.mean, mean, U * M + gamma * E + TINY)
    assert_close("comoment", found.comoment, comoment, gamma * total * np.outer(E, E) + TINY)


def assert_close(what: str, found: Array, truth: Sequence[object], bound: Array) -> None:
    off = [Fraction(float(f)) - t for f, t in zip(found.ravel(), np.ravel(truth), strict=True)]
    worst = max(abs(float(o)) / b for o, b in zip(off, bound.ravel(), strict=True))
    assert worst <= 1, f"the {what} is off by {worst:.3g} times the bound"


def assert_same(one: Moments | None, other: Moments | None) -> None:
    """Bit for bit."""
    assert one is not None
    assert other is not None
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


@given(tables())
@modest
def test_moments_are_their_definition(table: Table) -> None:
    found = Moments.of(*table)
    assert_moments(found, table)
    assert found.rows == len(table[0])
    np.testing.assert_array_equal(found.comoment, found.comoment.T)
    np.testing.assert_array_equal(found.minimum, table[0].min(axis=0))
    np.testing.assert_array_equal(found.maximum, table[0].max(axis=0))


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 61)])
def test_a_constant_column_has_no_spread_and_itself_as_mean(weights: Array | None) -> None:
    values = np.c_[np.full(60, 0.1), np.geomspace(1, 1e9, 60), np.full(60, -3.3e7)]
    found = Moments.of(values, weights).merge(Moments.of(values, weights))
    assert found.mean[[0, 2]].tolist() == [0.1, -3.3e7]
    assert not found.comoment[[0, 2]].any()


@given(tables(zeros=True))
@modest
def test_rows_of_weight_0_do_not_count(table: Table) -> None:
    assert_moments(Moments.of(*table), table)


@given(tables(least=2), st.data())
@modest
def test_merging_is_commutative_up_to_rounding(table: Table, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(table[0]) - 1))
    first, second = of(table, slice(cut)), of(table, slice(cut, None))
    for merged in (first.merge(second), second.merge(first)):
        assert_moments(merged, table, merges=1)
        assert merged.rows == len(table[0])
        np.testing.assert_array_equal(merged.minimum, table[0].min(axis=0))
        np.testing.assert_array_equal(merged.maximum, table[0].max(axis=0))


@given(tables(least=3), st.data())
@modest
def test_merging_is_associative_up_to_rounding(table: Table, data: st.DataObject) -> None:
    n = len(table[0])
    cut = data.draw(st.integers(1, n - 2))
    other = data.draw(st.integers(cut + 1, n - 1))
    a, b, c = (of(table, part) for part in (slice(cut), slice(cut, other), slice(other, None)))
    assert_moments(a.merge(b).merge(c), table, merges=2)
    assert_moments(a.merge(b.merge(c)), table, merges=2)
    assert_moments(c.merge(a).merge(b), table, merges=2)


@given(tables(), st.data())
@modest
def test_any_partition_into_blocks_gives_the_moments_of_the_whole(
    table: Table, data: st.DataObject
) -> None:
    n = len(table[0])
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1)) if n > 1 else st.just(set())))
    parts = [slice(*ends) for ends in zip([0, *cuts], [*cuts, n], strict=True)]
    assert_moments(merge_all(of(table, part) for part in parts), table, merges=len(cuts))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 8, 13])
def test_blocks_are_merged_in_a_binary_tree_over_their_order(count: int) -> None:
    rng = np.random.default_rng(count)
    blocks = [Moments.of(rng.normal(1e6, 1, (n + 1, 3))) for n in range(count)]

    def tree(blocks: list[Moments]) -> Moments:
        if len(blocks) == 1:
            return blocks[0]
        half = 2 ** ((len(blocks) - 1).bit_length() - 1)  # a full tree on the left
        return tree(blocks[:half]).merge(tree(blocks[half:]))

    assert_same(merge_all(blocks), tree(blocks))


def test_no_block_has_no_moments() -> None:
    assert merge_all([]) is None


@pytest.mark.parametrize("value", [0.1, 1e9 + 1 / 3, -1e16])
def test_a_block_of_weight_0_changes_neither_mean_nor_comoment(value: float) -> None:
    block = Moments.of(np.array([[1.0, 2], [0.1, 5], [7, 0.3]]))
    nothing = Moments.of(np.full((4, 2), value), np.zeros(4))
    for merged in (block.merge(nothing), nothing.merge(block)):
        assert merged.weight == block.weight
        np.testing.assert_array_equal(merged.mean, block.mean)
        np.testing.assert_array_equal(merged.comoment, block.comoment)


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ([0.5, -1024], True),
        ([0.1, 1], False),
        ([float(np.float32(0.1)), 1], True),
        ([2**24 + 1, 1], False),
        ([1e39, 1], False),
        ([1e-46, 1], False),
        ([float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)], True),
    ],
)
def test_columns_that_float32_represents_are_known(values: list[float], flag: bool) -> None:
    column = np.array(values, np.float64)[:, None]
    assert Moments.of(column).float32.tolist() == [flag]
    other = Moments.of(np.array([[1.0], [0.25]]))
    assert Moments.of(column).merge(other).float32.tolist() == [flag]
    assert other.merge(Moments.of(column)).float32.tolist() == [flag]


def test_an_overflow_shows_as_a_number_that_is_not_finite() -> None:
    found = Moments.of(np.array([[1e200, 1], [-1e200, 2]]))
    assert not np.isfinite(found.comoment[0, 0])
    assert found.comoment[1, 1] == 0.5
