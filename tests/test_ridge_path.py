"""--ridge auto: the penalty that refitting on each fold would choose, from one pass."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from gradline.errors import InputError
from gradline.tables import Block
from gradline_export import export_package
from gradline_trainer import Fit, fit
from gradline_trainer.descent.ridge_path import RidgePath, choose_ridge, path_warnings
from gradline_trainer.moments.folds import training_moments
from gradline_trainer.moments.moments import Moments
from gradline_trainer.options import Options
from gradline_trainer.rows import arrays as arrays_module
from gradline_trainer.rows.arrays import ArrayTable
from gradline_trainer.rows.dealing import dealt_folds, held_out_rows

Array = NDArray[np.float64]

REFITTED = range(0, 100, 9)  # of the path's penalties


def noisy_table(n: int = 103, d: int = 6, k: int = 2, seed: int = 0) -> tuple[Array, Array, Array]:
    """Correlated features with offsets, targets of several scales, and weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + rng.normal(0, 0.4, (d, d))) + rng.normal(0, 3, d)
    noise = rng.normal(size=(n, k)) * 10.0 ** np.arange(k)
    return X, X @ rng.normal(size=(d, k)) + 3 * noise + 5, rng.uniform(0.1, 3, n)


def folds_of(n: int, folds: int = 5, seed: int = 0, part: int = 0, start: int = 0) -> NDArray[Any]:
    block = Block(part, start, (np.empty((n, 0)),))
    found = dealt_folds(block, folds, seed)
    assert found is not None
    return found


def path_of(found: Fit) -> RidgePath:
    assert found.ridge_path is not None
    return found.ridge_path


# The dealing


@given(st.integers(1, 300), st.integers(2, 40), st.integers(0, 2**63 - 1), st.integers(0, 3))
@settings(deadline=None)
def test_each_group_of_rows_deals_one_row_to_each_fold(
    n: int, folds: int, seed: int, part: int
) -> None:
    dealt = folds_of(n, folds, seed, part)
    for start in range(0, n, folds):
        group = dealt[start : start + folds].tolist()
        assert len(set(group)) == len(group)
        assert set(group) <= set(range(folds))


@given(st.integers(2, 40), st.sets(st.integers(1, 299), max_size=6))
@settings(deadline=None)
def test_a_row_is_dealt_the_same_in_any_block(folds: int, cuts: set[int]) -> None:
    blocks = pairwise([0, *sorted(cuts), 300])
    parts = [folds_of(stop - start, folds, start=start) for start, stop in blocks]
    np.testing.assert_array_equal(np.concatenate(parts), folds_of(300, folds))


def test_the_dealing_differs_by_seed_and_part_and_is_no_cycle() -> None:
    first = folds_of(200)
    assert first.tolist() != folds_of(200, seed=1).tolist()
    assert first.tolist() != folds_of(200, part=1).tolist()
    assert len(np.unique(first.reshape(40, 5), axis=0)) > 20


def test_holdout_and_folds_are_dealt_independently() -> None:
    block, n = Block(0, 0, (np.empty((10_000, 0)),)), 10_000
    held = held_out_rows(block, Options(holdout=0.5))
    share = np.bincount(folds_of(n, 100)[held], minlength=100) / 100
    assert 0.25 < share.min() < share.max() < 0.75  # one permutation for both would give 0 and 1


# The curve


def by_refitting(
    path: RidgePath, X: Array, Y: Array, folds: NDArray[Any], weights: Array, bias: bool
) -> tuple[Array, Array]:
    """The slow twin: mean error and its standard error, each penalty refitted on every fold."""
    variance = np.cov(Y.T, aweights=weights, ddof=0).reshape(Y.shape[1], -1).diagonal()
    errors = np.empty((path.folds, len(REFITTED)))
    for fold in range(path.folds):
        out = folds == fold
        for place, which in enumerate(REFITTED):
            peer = Ridge(path.penalties[which], fit_intercept=bias, solver="svd")
            peer.fit(X[~out], Y[~out], weights[~out])
            squares = (Y[out] - peer.predict(X[out]).reshape(Y[out].shape)) ** 2
            errors[fold, place] = np.mean(weights[out] @ squares / weights[out].sum() / variance)
    return errors.mean(axis=0), errors.std(axis=0, ddof=1) / path.folds**0.5


def assert_refits(
    found: Fit, X: Array, Y: Array, folds: NDArray[Any], weights: Array | None = None
) -> None:
    path = path_of(found)
    weights = np.ones(len(X)) if weights is None else weights
    mean, standard = by_refitting(path, X, Y, folds, weights, found.options.bias)
    np.testing.assert_allclose(np.array(path.errors)[REFITTED], mean, rtol=1e-8)
    np.testing.assert_allclose(np.array(path.standard_errors)[REFITTED], standard, rtol=1e-7)
    assert path.chosen == path.penalties[int(np.argmin(path.errors))] == found.options.ridge


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias", [True, False])
def test_the_curve_is_that_of_refitting_on_every_fold(bias: bool, weighted: bool, k: int) -> None:
    X, Y, random = noisy_table(k=k)
    weights = random if weighted else None
    found = fit((X, Y), ridge="auto", bias=bias, sample_weight=weights)
    assert_refits(found, X, Y, folds_of(len(X)), weights)
    assert found.warnings == []


@pytest.mark.parametrize("folds", [2, 3, 60])
def test_the_curve_is_that_of_refitting_whatever_the_number_of_folds(folds: int) -> None:
    X, Y, _ = noisy_table(60)
    found = fit((X, Y), ridge="auto", folds=folds, seed=7)
    assert path_of(found).folds == folds
    assert_refits(found, X, Y, folds_of(60, folds, seed=7))


def test_dropped_held_out_and_weightless_rows_take_no_part_and_move_no_other() -> None:
    X, Y, weights = noisy_table(400)
    X[[3, 77], 0] = np.nan
    weights[[5, 200]] = 0
    Y[5] = 1e9
    options: dict[str, Any] = {"missing": "drop", "holdout": 0.2, "sample_weight": weights}
    found = fit((X, Y), ridge="auto", **options)
    held = held_out_rows(Block(0, 0, (X,)), Options(holdout=0.2))
    kept = ~held & ~np.isnan(X[:, 0]) & (weights > 0)
    assert_refits(found, X[kept], Y[kept], folds_of(400)[kept], weights[kept])


@pytest.mark.parametrize("bias", [True, False])
def test_the_path_spans_twelve_decades_about_the_features_second_moment(bias: bool) -> None:
    X, Y, weights = noisy_table()
    path = path_of(fit((X, Y), ridge="auto", bias=bias, sample_weight=weights))
    centred = X - np.average(X, axis=0, weights=weights) if bias else X
    scale = np.sum(weights @ centred**2) / X.shape[1]
    np.testing.assert_allclose(path.penalties, scale * np.logspace(3, -9, 100), rtol=1e-12)


@pytest.mark.parametrize("factor", [1e-120, 2.0**40, 1e120])
def test_units_only_scale_the_path(factor: float) -> None:
    X, Y, _ = noisy_table()
    one, other = (path_of(fit((f * X, Y * [1, f]), ridge="auto")) for f in (1, factor))
    np.testing.assert_allclose(other.errors, one.errors, rtol=1e-8)
    assert other.chosen == pytest.approx(one.chosen * factor**2, rel=1e-12)


def test_a_large_offset_costs_the_curve_no_digits() -> None:
    X, Y, _ = noisy_table()
    X = np.round(X * 64) / 64  # so that a sum with 2^30 is exact
    one, other = (path_of(fit((X + offset, Y), ridge="auto")) for offset in (0, 2.0**30))
    np.testing.assert_allclose(other.errors, one.errors, rtol=1e-8)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_folds_training_rows_are_those_of_all_others(count: int) -> None:
    rng = np.random.default_rng(count)
    folds = [Moments.of(rng.normal(3, 1, (n + 2, 2))) for n in range(count)]
    for place, found in enumerate(training_moments(folds)):
        others = reduce(Moments.merge, folds[:place] + folds[place + 1 :])
        assert found.rows == others.rows
        np.testing.assert_allclose(found.mean, others.mean, rtol=1e-14)
        np.testing.assert_allclose(found.comoment, others.comoment, rtol=1e-12)


# The pass


class CountingTable(ArrayTable):
    """A table that counts how often it is read."""

    passes = 0

    def blocks(self, columns: Sequence[str], rows: int | None = None) -> Iterator[Block]:
        self.passes += 1
        return super().blocks(columns, rows)


@pytest.mark.parametrize(
    "options", [{"arithmetic": "fast"}, {"preconditioning": "none"}, {"gradient": "rows"}]
)
def test_the_table_is_read_once(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays_module, "BLOCK_ROWS", 16)
    X, Y, _ = noisy_table(k=1)
    names = [*(f"x{j}" for j in range(6)), "y"]
    table = CountingTable([X, Y], names)
    found = fit(table, "y", ridge="auto", epochs=5, learning_rate=1e-4, **options)
    assert table.passes == 1
    assert_refits(found, X, Y, folds_of(len(X)))


def test_the_model_is_that_of_the_chosen_penalty_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrays_module, "BLOCK_ROWS", 16)
    X, Y, weights = noisy_table()
    chosen = fit((X, Y), ridge="auto", sample_weight=weights)
    given = fit((X, Y), ridge=chosen.options.ridge, sample_weight=weights)
    for name, value in vars(chosen.moments).items():
        np.testing.assert_array_equal(value, getattr(given.moments, name), err_msg=name)
    assert torch.equal(chosen.weights, given.weights)
    assert torch.equal(chosen.bias, given.bias)
    assert chosen.options == given.options
    assert given.ridge_path is None


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_the_curve_is_the_same_in_blocks_of_any_size(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, Y, weights = noisy_table()
    whole = path_of(fit((X, Y), ridge="auto", sample_weight=weights))
    monkeypatch.setattr(arrays_module, "BLOCK_ROWS", rows)
    parted = path_of(fit((X, Y), ridge="auto", sample_weight=weights))
    np.testing.assert_allclose(parted.errors, whole.errors, rtol=1e-10)
    assert parted.chosen == pytest.approx(whole.chosen, rel=1e-14)


# The choice


def test_of_equal_errors_the_largest_penalty_wins_and_is_warned_of() -> None:
    fold = Moments.of(np.array([[1.0, 1], [-1, 1], [1, -1], [-1, -1]]))  # x says nothing of y
    whole = reduce(Moments.merge, [fold] * 3)
    path = choose_ridge(whole, [fold] * 3, 1, bias=True)
    assert path.errors == [1.0] * 100
    assert path.standard_errors == [0.0] * 100
    assert path.chosen == path.penalties[0] == pytest.approx(12e3)
    assert path_warnings(path, whole, ["x"]) == [
        "the ridge penalty 12,000 is the largest that cross-validation tried: the features hardly "
        "help to predict new rows"
    ]


def test_the_smallest_penalty_is_warned_of() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200))
    found = fit((np.c_[a, a + 1e-4 * b], b), ridge="auto")  # what matters is nearly collinear
    assert found.options.ridge == path_of(found).penalties[-1]
    (warning,) = found.warnings
    assert "smallest that cross-validation tried: a smaller one may be better" in warning


def test_a_feature_too_small_for_every_penalty_is_named() -> None:
    X, Y, _ = noisy_table()
    X[:, 4] *= 1e-6
    (warning,) = fit((X, Y), ridge="auto").warnings
    assert warning.startswith("'x4' varies so little beside other features that every penalty")
    assert fit((np.c_[X[:, :4], np.full(len(X), 0.1)], Y), ridge="auto").warnings == [
        "constant, so their weight is 0: 'x4'"
    ]


def test_a_target_counts_the_same_in_any_unit() -> None:
    X, Y, _ = noisy_table()
    one, other = (path_of(fit((X, Y * [1, unit]), ridge="auto")) for unit in (1, 1e6))
    np.testing.assert_allclose(other.errors, one.errors, rtol=1e-12)


def test_without_noise_the_curve_ends_at_what_can_be_told_from_0() -> None:
    X, _, _ = noisy_table()
    path = path_of(fit((X, X @ np.ones(6)), ridge="auto"))
    assert 0 < min(path.errors) < 1e-14


# Bad input


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (
            {"ridge": "auto", "folds": 21},
            "1 of 21 folds got none of the 20 rows to train on",
            "give fewer --folds",
        ),
        (
            {"folds": 5},
            "folds = 5 without ridge = 'auto': there is nothing to choose",
            "give --ridge auto, or leave --folds out",
        ),
        (
            {"folds": 5, "ridge": 2},
            "folds = 5 without ridge = 'auto': there is nothing to choose",
            "give --ridge auto, or leave --folds out",
        ),
        ({"ridge": "auto", "folds": 1}, "folds = 1, expected a whole number from 2 to 1,000", ""),
        ({"ridge": "auto", "folds": 5.0}, "folds = 5.0, expected a whole number", ""),
        ({"ridge": "auto", "folds": 1001}, "folds = 1001, expected a whole number", ""),
    ],
    ids=str,
)
def test_bad_folds_are_named(options: dict[str, Any], message: str, hint: str) -> None:
    X, Y, _ = noisy_table(20)
    with pytest.raises(InputError) as caught:
        fit((X, Y), **options)
    assert str(caught.value).startswith(message)
    assert caught.value.command_hint == hint


def test_a_table_that_nothing_can_be_learned_from_is_refused_as_ever() -> None:
    with pytest.raises(InputError, match="every feature has one value only"):
        fit((np.full((9, 2), 0.1), np.arange(9.0)), ridge="auto", folds=3)
    with pytest.raises(InputError, match="too large to penalise"):
        fit((np.arange(9.0)[:, None] * 1e152, np.arange(9.0)), ridge="auto", folds=3)


# What is recorded


def test_the_package_records_and_draws_the_curve(tmp_path: Path) -> None:
    X, Y, _ = noisy_table()
    found = fit((X, Y), ridge="auto")
    path = path_of(found)
    package = export_package(found, tmp_path)
    training = json.loads((package / "manifest.json").read_text())["training"]
    assert training["options"]["ridge"] == path.chosen
    assert training["ridge_path"] == vars(path)
    page = (package / "report.html").read_text()
    assert "(chosen by 5-fold cross-validation from 100)" in page
    drawn = page.partition("Cross-validated error by ridge penalty")[2].partition("</svg>")[0]
    paths = re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--accent\)', drawn)
    points = [tuple(map(float, p)) for p in re.findall(r"[ML]([\d.]+) ([\d.]+)", paths[-1])]
    assert len(points) > 10
    lowest = max(points, key=lambda point: point[1])  # y is down
    mark = re.search(r'd="M([\d.]+) ([\d.]+)h0"[^>]*var\(--warn\)', drawn)
    assert mark is not None
    assert tuple(map(float, mark.groups())) == pytest.approx(lowest, abs=1)
    plain = export_package(fit((X, Y), ridge=1), tmp_path)
    assert json.loads((plain / "manifest.json").read_text())["training"]["ridge_path"] is None
    assert "The ridge penalty" not in (plain / "report.html").read_text()
