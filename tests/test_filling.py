"""Terms are written into arrays of zeros, block by block, with the values of a plain twin."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradline.columns import carriers, inputs
from gradline.columns.carriers import Distinct, carry
from gradline.columns.inputs import (
    WallClock,
    blocks_of_inputs,
    compute_inputs,
    values_of_columns,
)
from gradline.columns.kinds import NULLS, Column
from gradline.columns.matrix import is_missing
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor
from gradline.errors import InputError
from gradline.model import Model
from gradline.package.files import Package
from random_plans import graph_of, random_columns, random_plan
from test_raw_columns import model_of, onnx_of

# Rows without an answer are told of, too: tests/test_rows_of_any_form.py.
pytestmark = pytest.mark.filterwarnings("ignore::gradline.GradlineWarning")
Array = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)


def one_by_one(plan: Plan, values: Array) -> Array:
    """Compute each factor of each term by itself."""
    known = {column.name: (j, column) for j, column in enumerate(plan.columns)}
    found = np.ones((len(values), len(plan.terms)))
    for i, row in enumerate(values):
        for j, term in enumerate(plan.terms):
            factors = [_factor(f, known[f.column][1], row[known[f.column][0]]) for f in term]
            product = factors[0]
            for factor in factors[1:]:
                product = product * factor
            found[i, j] = product
    return found


def _factor(factor: Factor, column: Column, value: float) -> float:
    if column.kind == "category":
        return value if np.isnan(value) else float(value == factor.place(column))
    if factor.function == "missing":
        return float(np.isnan(value))
    if factor.function in ("month", "weekday", "hour"):
        if np.isnan(value):
            return 0.0 if column.fill is not None else value
        time = datetime.fromtimestamp(value, UTC)
        part = {"month": time.month, "weekday": time.weekday(), "hour": time.hour}
        return float(part[factor.function] == factor.level)
    value = column.fill if np.isnan(value) and column.fill is not None else value
    with np.errstate(all="ignore"):
        return float(factor.apply(np.array([value]))[0])


def random_values(generator: np.random.Generator, plan: Plan, n: int) -> Array:
    """Draw values of columns: numbers, times, places of levels, −1 and missing values."""
    columns = []
    for column in plan.columns:
        if column.kind == "category":
            values = generator.integers(-1, column.missing_place + 2, n).astype(float)
        elif column.kind == "time":
            values = np.floor(generator.normal(0, 1e9, n))
        else:
            values = generator.normal(1, 3, n)
        columns.append(np.where(generator.random(n) < 0.1, np.nan, values))
    return np.column_stack(columns)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(0, 6), st.integers(0, 30))
def test_filled_terms_are_those_computed_one_by_one(
    seed: int, columns: int, terms: int, n: int
) -> None:
    generator = np.random.default_rng(seed)
    plan = random_plan(generator, columns, terms)
    values = random_values(generator, plan, n)
    expected = one_by_one(plan, values)
    np.testing.assert_array_equal(plan.compute(values), expected)
    for order in ("C", "F"):
        found = np.zeros(expected.shape, np.float32)
        plan.fill(np.array(values, order=order), found)  # type: ignore[call-overload]
        np.testing.assert_array_equal(found, expected.astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 5), st.integers(0, 40), st.integers(1, 9), st.booleans())
def test_blocks_are_the_rows_of_the_whole(
    seed: int, columns: int, n: int, rows: int, single: bool
) -> None:
    generator = np.random.default_rng(seed)
    plan = random_plan(generator, columns, 3)
    values, dtype = random_values(generator, plan, n), np.dtype("f4" if single else "f8")
    with pytest.MonkeyPatch.context() as patch:
        for unknown in ("missing", "zero"):
            patch.setattr(inputs, "AT_ONCE", rows * len(plan.terms))
            size = 1 << (rows.bit_length() - 1)
            read = blocks_of_inputs(values, plan, unknown, dtype)
            parts = [(start, block.copy()) for start, block in read]
            assert [start for start, _ in parts] == list(range(0, n, size)) or n == 0
            found = np.concatenate([block for _, block in parts])
            patch.setattr(inputs, "AT_ONCE", 1 << 30)
            expected = compute_inputs(values, plan, unknown, dtype)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_predictions_of_a_frame_have_the_bits_of_its_inputs(
    dtype: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(n)
    levels = tuple(f"level {j:02}" for j in range(30))
    columns = (Column("a", "category", levels, levels[0], null=NULLS), Column("x"))
    plan = Plan(columns, (*((Factor("a", level=v),) for v in levels[1:]), (Factor("x"),)))
    model = model_of(plan, generator.normal(size=(2, 30)), np.array([0.1, 2.0]), dtype)
    texts = [(*levels, "unseen")[j] for j in generator.integers(0, 31, n)]
    frame = pd.DataFrame({"x": generator.normal(size=n), "a": pd.Series(texts, dtype="str")})
    monkeypatch.setattr(inputs, "AT_ONCE", 7 * 30)
    (answers, _), found = model.predict(frame, check=True), model.predict(frame)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, answers)
    assert np.isnan(found).all(axis=1).tolist() == [text == "unseen" for text in texts]
    for i in range(min(n, 50)):
        np.testing.assert_array_equal(model.predict(frame[i : i + 1]), found[i : i + 1])


@pytest.mark.parametrize("seed", range(4))
def test_answers_by_name_are_in_units(seed: int) -> None:
    graph = graph_of(seed)
    package = Package(Path("artifacts/m/1"), 1, onnx_of(graph.weights, graph.bias), graph, {}, None)
    model = Model(package, self_test=False)
    columns: dict[str, Any] = random_columns(np.random.default_rng(seed), graph.plan, 40)
    for column in graph.plan.columns:
        if column.kind == "time":
            columns[column.name] = WallClock(np.array(columns[column.name], np.float64))
    values = values_of_columns(columns, graph.plan, "missing")
    features = compute_inputs(values, graph.plan, "missing", graph.dtype)
    np.testing.assert_array_equal(model.predict(columns), model.predict(features))


def test_a_number_beyond_the_range_is_named_with_its_row_of_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = (Column("a", "category", ("A", "B"), "A", null=NULLS), Column("x", null=NULLS))
    plan = Plan(columns, ((Factor("a", level="B"),), (Factor("x"),), (Factor("x", "power", 2),)))
    model = model_of(plan, np.ones((1, 3)), dtype=np.float32)
    monkeypatch.setattr(inputs, "AT_ONCE", 6)
    x = np.ones(9)
    x[7] = 1e20
    for options in ({}, {"check": True}):
        with pytest.raises(InputError, match=r"'x\^2' holds .* in row 8, outside the range"):
            model.predict({"a": ["B"] * 9, "x": x}, **options)
    assert model.predict({"a": ["B"] * 9, "x": [np.inf] * 9}).tolist() == [[np.inf]] * 9


# Different values


VALUES = st.sampled_from(
    ["a", "b", "3", "", None, np.nan, pd.NA, pd.NaT, 1, 1.0, True, 2**60, np.str_("a"), 0, False]
)


def rows_of(found: Any) -> list[Any]:
    assert isinstance(found, Distinct)
    values = [*found.values, None]
    return [values[place] for place in found.rows.tolist()]


@given(st.lists(VALUES, max_size=40), st.booleans())
def test_objects_keep_their_value_and_type(values: list[Any], shared: bool) -> None:
    column = pd.Series(values, dtype=object)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carriers, "SAMPLE", 8 if shared else 1 << 30)
        for carrier in (column, column.iloc[::2], column.to_list()):
            found = carry(carrier, "a")
            if not isinstance(found, Distinct):
                continue  # a list of floats
            for one, value in zip(rows_of(found), list(carrier), strict=True):
                assert one is None if is_missing(value) else one == value
                assert is_missing(value) or type(one) is type(value) or isinstance(value, str)


def test_objects_of_their_own_are_the_same_as_shared_ones() -> None:
    levels = [f"level {j}" for j in range(9)]
    places = np.random.default_rng(1).integers(0, 9, 20_000)
    shared = pd.Series(np.array(levels, object)[places], dtype=object)
    alone = pd.Series([f"level {j}" for j in places], dtype=object)
    late = pd.concat([shared[:5_000], alone], ignore_index=True)
    assert rows_of(carry(shared, "a")) == rows_of(carry(alone, "a")) == alone.to_list()
    assert rows_of(carry(late, "a")) == late.to_list()
