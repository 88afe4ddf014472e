"""fit(X, y): features and targets apart, of any carrier; X alone decides how they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import gradline
from gradline import InputError
from gradline_export import export_package
from gradline_trainer import Fit, fit
from gradline_trainer.options import OUR_NAMES

random = np.random.default_rng(0)
X = random.standard_normal((60, 3))
y = X @ [1.0, 2.0, 3.0] + 4 + random.standard_normal(60)
TOWN = ["u", "v", "w"] * 20
FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "town": TOWN})
ALONE = fit((X, y))
IN_TABLE = fit({**FRAME.to_dict("list"), "y": y}, "y")
TWO = np.c_[y, 2 * y]


def assert_same(found: Fit, expected: Fit) -> None:
    assert found.features == expected.features
    assert torch.equal(found.weights, expected.weights)
    assert torch.equal(found.bias, expected.bias)
    assert found.rows_read == expected.rows_read


@pytest.mark.parametrize(
    "features",
    [X, torch.tensor(X), X.tolist(), csr_array(X), np.asfortranarray(X), tuple(map(tuple, X))],
    ids=["array", "tensor", "lists", "sparse", "columns", "tuples"],
)
@pytest.mark.parametrize(
    "targets",
    [y, y[:, None], torch.tensor(y), y.tolist(), pd.Series(y), pl.Series(y), pa.array(y)],
    ids=["array", "matrix", "tensor", "list", "pandas", "polars", "pyarrow"],
)
def test_arrays_decide_nothing(features: Any, targets: Any) -> None:
    found = fit(features, targets)
    assert_same(found, ALONE)
    assert (found.features, found.targets) == (["x0", "x1", "x2"], ["y0"])


@pytest.mark.parametrize(
    "features",
    [
        FRAME,
        pl.from_pandas(FRAME),
        pl.from_pandas(FRAME).lazy(),
        pa.Table.from_pandas(FRAME),
        FRAME.to_dict("list"),
    ],
    ids=["pandas", "polars", "lazy", "pyarrow", "mapping"],
)
@pytest.mark.parametrize(
    "targets",
    [y, torch.tensor(y), y.tolist(), pd.Series(y, name="y"), pl.DataFrame({"y": y}), {"y": y}],
    ids=["array", "tensor", "list", "series", "frame", "mapping"],
)
def test_a_frame_gets_the_default_terms_whatever_y_is(features: Any, targets: Any) -> None:
    found = fit(features, targets)
    assert_same(found, IN_TABLE)
    assert found.features == ["a", "b", "town=v", "town=w"]
    assert_same(fit((features, targets)), IN_TABLE)


def test_ys_names_become_the_targets() -> None:
    assert fit(FRAME, pd.Series(y, name="revenue")).targets == ["revenue"]
    assert fit(X, pl.Series("revenue", y)).targets == ["revenue"]
    assert fit(FRAME, pl.DataFrame({"p": y, "q": -y})).targets == ["p", "q"]
    assert fit(X, {"p": y, "q": -y}).targets == ["p", "q"]
    assert fit(FRAME, TWO).targets == ["y0", "y1"]
    assert fit(FRAME, pd.Series(y, name=7)).targets == ["7"]
    assert fit((FRAME, TWO), ["p", "q"]).targets == ["p", "q"]
    assert fit((X, TWO), ["p", "q"], ["a", "b", "c"]).features == ["a", "b", "c"]
    assert fit(X, y, ["a", "b", "c"]).features == ["a", "b", "c"]
    assert fit(FRAME, y, ["a", "town"]).features == ["a", "town=v", "town=w"]


def test_a_text_or_several_name_columns() -> None:
    table = FRAME.assign(p=y, q=-y)
    for names in (["p", "q"], ("p", "q"), pd.Index(["p", "q"]), np.array(["p", "q"]), {"p", "q"}):
        assert sorted(fit(table, names).targets) == ["p", "q"]
    assert fit(table, "p").features == ["a", "b", "town=v", "town=w", "q"]


def test_an_unnamed_y_keeps_clear_of_xs_names() -> None:
    found = fit(FRAME.rename(columns={"a": "y0"}), y)
    assert (found.features[0], found.targets) == ("y0", ["y0_"])


@pytest.mark.parametrize("features", [FRAME, pl.from_pandas(FRAME), X], ids=["a", "b", "array"])
def test_sample_weights_are_an_array_of_one_number_a_row(features: Any) -> None:
    weights = 1 + X[:, 0] ** 2
    found = fit(features, y, sample_weight=weights)
    assert_same(fit(features, y, sample_weight=weights.tolist()), found)
    doubled = fit(features, y, sample_weight=np.ones(60))
    assert not torch.equal(found.weights, doubled.weights)
    assert "sample_weight" not in found.features


def test_weights_go_with_named_targets_too_and_may_be_a_column_of_x() -> None:
    weights = 1 + X[:, 0] ** 2
    expected = fit(FRAME, y, sample_weight=weights)
    assert_same(fit(FRAME.assign(y=y), "y", sample_weight=weights), expected)
    assert_same(fit(FRAME.assign(w=weights), y, sample_weight="w"), expected)


def test_a_missing_target_is_dropped_from_a_frame_and_an_error_in_an_array() -> None:
    holed = np.where(np.arange(60) == 3, np.nan, y)
    found = fit(FRAME, holed)
    assert (found.rows_read, found.rows_dropped, found.moments.rows) == (60, 1, 59)
    assert_same(found, fit(FRAME, [None if np.isnan(value) else value for value in holed]))
    with pytest.raises(InputError, match="has 1 missing value, the first in row 4") as caught:
        fit(X, holed)
    assert caught.value.code == "missing-value"


def test_what_an_array_holds_is_kept_and_what_a_frame_holds_is_decided() -> None:
    constant = np.c_[X, np.ones(60)]
    assert fit(constant, y).weights[0, 3] == 0
    assert len(fit(pd.DataFrame(constant, columns=list("abcd")), y).features) == 3


BAD: list[tuple[Callable[[], object], str, str]] = [
    (lambda: fit(X), "unknown-table", "X of type ndarray has no y"),
    (lambda: fit(X, "y"), "unknown-table", "X of type ndarray has no column 'y'"),
    (lambda: fit(X, ["y"]), "unknown-table", "X of type ndarray has no column 'y'"),
    (lambda: fit(X.tolist()), "unknown-table", "X of type list has no y"),
    (lambda: fit([{"a": 1.0, "y": 2.0}], "y"), "unknown-table", "X of type list has no column 'y'"),
    (lambda: fit(None, "y"), "unknown-table", "a table of type NoneType is not known"),
    (lambda: fit((X, y, y)), "unknown-table", "expected a pair (X, Y), got a tuple of 3"),
    (
        lambda: fit("sales.csv", y),
        "unknown-table",
        "y is given beside 'sales.csv', which already has",
    ),
    (lambda: fit(X, y[:5]), "wrong-shape", "rows differ: X has 60, Y has 5"),
    (lambda: fit(FRAME, y[:5]), "wrong-shape", "X has 60 rows, but 'y0' has 5"),
    (lambda: fit(FRAME, y, sample_weight=y[:5]), "wrong-shape", "but 'sample_weight' has 5"),
    (lambda: fit(FRAME, y, sample_weight=TWO), "wrong-shape", "the shape (60, 2), expected (n,)"),
    (lambda: fit(FRAME, y, sample_weight="w"), "unknown-column", "unknown sample weight 'w'"),
    (lambda: fit(X, y, sample_weight="w"), "bad-option", "expected an array of shape (n,)"),
    (lambda: fit(X[:, 0], y), "wrong-shape", "X has the shape (60,)"),
    (lambda: fit(FRAME["a"], y), "wrong-shape", "X has the shape (60,)"),
    (lambda: fit(FRAME, FRAME["a"]), "repeated-column", "X has a column 'a', which is the name"),
    (lambda: fit((FRAME, TWO), ["p", "p"]), "repeated-column", "'p' is named twice"),
    (lambda: fit((FRAME, TWO), "p"), "wrong-shape", "Y has 2 columns, expected 1"),
    (lambda: fit(FRAME, FRAME["town"]), "not-numeric", "Y holds text: 'u', expected numbers"),
    (lambda: fit(X, FRAME["town"]), "not-numeric", "Y holds text: 'u', expected numbers"),
    (lambda: fit(X, {"p": y, "q": y[:5]}), "wrong-shape", "the columns of Y have different"),
    (lambda: fit(FRAME, {}), "wrong-shape", "the columns of Y have different"),
    (lambda: fit(FRAME, 0), "bad-option", "targets = 0, expected names of columns, or an array"),
    (lambda: fit(FRAME, iter(y)), "bad-option", "expected names of columns, or an array"),
    (lambda: fit(FRAME), "no-target", "no target"),
    (lambda: fit(X[:0], y[:0]), "too-few-rows", "no rows to train on"),
    (lambda: fit(FRAME[:0], y[:0]), "too-few-rows", "no rows to train on"),
    (lambda: fit(X[:1], y[:1]), "too-few-rows", "1 row to train on"),
    (lambda: fit(FRAME[:1], y[:1]), "too-few-rows", "1 row to train on"),
    (lambda: fit(FRAME, np.ma.array(y)), "masked-array", "masked arrays are not accepted"),
    (
        lambda: fit(FRAME, pd.Series(y, index=range(60, 0, -1))),
        "different-index",
        "the rows of X and y have different labels",
    ),
    (
        lambda: fit(FRAME, y, sample_weight=pd.Series(y * y, index=range(1, 61))),
        "different-index",
        "the rows of X and sample_weight have different labels",
    ),
]


@pytest.mark.parametrize(("call", "code", "text"), BAD, ids=[text for _, _, text in BAD])
def test_bad_input_is_told(call: Callable[[], object], code: str, text: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code
    assert text in str(caught.value)


def test_moments_have_their_targets(tmp_path: Any) -> None:
    from gradline_trainer import load_moments, save_moments

    save_moments(fit(X, y, keep_moments=True), tmp_path / "m")
    with pytest.raises(InputError, match="y is given beside the moments"):
        fit(load_moments(tmp_path / "m"), y)


@given(st.permutations(range(60)), st.integers(1, 3))
@settings(max_examples=20)
def test_a_frame_and_its_columns_give_the_same_model(order: list[int], k: int) -> None:
    frame = FRAME.iloc[order]
    Y = np.stack([y * (j + 1) + X[:, j] for j in range(k)], 1)[order]
    whole = frame.assign(**{f"t{j}": Y[:, j] for j in range(k)})
    names = [f"t{j}" for j in range(k)]
    assert_same(fit(frame, pd.DataFrame(Y, frame.index, names)), fit(whole, names))


def test_the_package_takes_the_frame(tmp_path: Any) -> None:
    found = fit(FRAME, pd.Series(y, name="revenue"))
    model = gradline.load(export_package(found, tmp_path, report=False))
    assert model.targets == ["revenue"]
    assert model.predict(FRAME).shape == (60, 1)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"alpha": 1}, "give it as ridge=1"),
        ({"fit_intercept": False}, "give it as bias=False"),
        ({"max_iter": 5}, "give it as epochs=5"),
        ({"random_state": 3}, "give it as seed=3"),
        ({"test_size": 0.25}, "give it as holdout=0.25"),
        ({"cv": 3, "ridge": "auto"}, "give it as folds=3"),
        ({"lr": 0.5}, "give it as learning_rate=0.5"),
        ({"tol": 0.0}, "give it as tolerance=0.0"),
        ({"sep": ";"}, "give it as separator=';'"),
        ({"na_values": ["x"]}, "it is called null here"),
    ],
)
def test_an_option_spelt_as_elsewhere_is_named_as_here(given: dict[str, Any], hint: str) -> None:
    with pytest.raises(InputError) as caught:
        fit(FRAME, y, **given)
    assert caught.value.hint == hint
    (name, value), *more = given.items()
    assert fit(FRAME, y, **{OUR_NAMES[name]: value}, **dict(more)).features


@pytest.mark.parametrize(
    "x", [pd.Series([1.0, 2, 4]), pl.Series([1.0, 2, 4]), np.array([1.0, 2, 4]), [1.0, 2, 4]]
)
def test_the_hint_on_one_feature_works(x: Any) -> None:
    with pytest.raises(InputError, match="expected one row per observation") as caught:
        fit(x, [1.0, 2, 5])
    line = caught.value.hint.removeprefix("one feature: ")
    assert fit(eval(line, {"X": x, "np": np}), [1.0, 2, 5]).weights.shape == (1, 1)  # noqa: S307


@pytest.mark.parametrize("first", ["revenue", "revenue ~ size"])
def test_a_table_in_the_second_place_is_told_to_come_first(first: str) -> None:
    table = pd.DataFrame({"size": [1.0, 2, 4], "revenue": [1.0, 2, 5]})
    with pytest.raises(InputError, match="expected a table first") as caught:
        fit(first, table)
    assert caught.value.hint == f"fit(table, {first!r})"
    with pytest.raises(InputError, match="unknown target 'revenue ~") as caught:
        fit(table, "revenue ~ size")
    assert caught.value.hint == "did you mean 'revenue'?"
