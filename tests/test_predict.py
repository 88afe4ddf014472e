"""Model.predict: what it takes, what it answers, and what it says of rows that do not fit."""

from __future__ import annotations

import datetime
import io
import json
import multiprocessing
import pickle
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import gradline
from gradline.model import Model
from gradline.package.files import Package
from gradline.package.graph import parse_graph
from gradline.package.rounding_bound import rounding_bound
from gradline_export import export_package
from gradline_export.freeze.formats import to_onnx
from gradline_trainer import fit
from gradline_trainer.orchard import FEATURES, TARGETS, orchard

Array = NDArray[Any]
ROWS = [[73, 67, 43], [91, 88, 64], [87, 134, 58], [102, 43, 37]]
# Dyadic weights and inputs: every host must give the very same numbers.
WEIGHTS = np.array([[0.5, -2.0, 0.125], [4.0, 0.25, -1.0]], np.float32)
BIAS = np.array([3.0, -0.5], np.float32)
ANSWERS = np.array(ROWS, np.float32) @ WEIGHTS.T + BIAS
FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
}


def in_memory(
    weights: Array, bias: Array, features: list[str], targets: list[str], threads: int = 1
) -> Model:
    onnx = to_onnx(weights, bias, name="orchard", features=features, targets=targets)
    package = Package(Path("model.onnx"), None, onnx, parse_graph(onnx), {}, None)
    return Model(package, threads=threads)


MODEL = in_memory(WEIGHTS, BIAS, FEATURES, TARGETS)


def unnamed(d: int, k: int, dtype: str, seed: int) -> Model:
    generator = np.random.default_rng(seed)
    weights, bias = generator.normal(size=(k, d)), generator.normal(size=k)
    names = [f"x{j}" for j in range(d)], [f"y{j}" for j in range(k)]
    return in_memory(weights.astype(dtype), bias.astype(dtype), *names)


def columns_of(rows: Any) -> dict[str, list[Any]]:
    return dict(zip(FEATURES, map(list, zip(*rows, strict=True)), strict=True))


def refusal(rows: object, model: Model = MODEL) -> gradline.InputError:
    with pytest.raises(gradline.InputError) as caught:
        model.predict(rows)
    assert caught.value.exit_code == 2
    return caught.value


# Arrays


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        tuple(map(tuple, ROWS)),
        np.array(ROWS),
        np.array(ROWS, np.uint8),
        np.array(ROWS, np.float16),
        np.array(ROWS, np.float32),
        np.array(ROWS, np.float64),
        np.array(ROWS, np.longdouble),
        np.array(ROWS, object),
        np.array(ROWS, np.float32, order="F"),
        np.array(ROWS, ">f4"),
        np.array(ROWS, ">f8"),
        np.array(ROWS, ">i4"),
        np.repeat(np.array(ROWS, np.float32), 2, axis=1)[:, ::2],
        np.array(ROWS[::-1], np.float32)[::-1],
        np.array([[0, *row] for row in ROWS], np.float32)[:, 1:],
        np.frombuffer(b"\0" + np.array(ROWS, np.float32).tobytes(), "f4", offset=1).reshape(4, 3),
    ],
    ids=lambda rows: f"{type(rows).__name__}-{getattr(rows, 'dtype', '')}",
)
def test_any_array_like_of_the_same_numbers_gives_the_same_answers(rows: Any) -> None:
    answers = MODEL.predict(rows)
    assert type(answers) is np.ndarray
    assert answers.dtype == np.float32
    assert np.array_equal(answers, ANSWERS)


def test_booleans_are_ones_and_zeros() -> None:
    rows = np.array([[True, False, True], [False, False, False]])
    assert np.array_equal(MODEL.predict(rows), [[3.625, 2.5], [3.0, -0.5]])


def test_rows_are_not_changed() -> None:
    rows = np.array(ROWS, np.float32)
    before = rows.copy()
    MODEL.predict(rows)
    assert np.array_equal(rows, before)


@pytest.mark.parametrize(
    "rows",
    [
        np.empty((0, 3), np.float32),
        np.empty((0, 3), np.int64),
        [],
        {name: [] for name in FEATURES},
        pd.DataFrame({name: [] for name in FEATURES}),
        pl.DataFrame({name: [] for name in FEATURES}),
        pl.DataFrame(schema=dict.fromkeys(FEATURES, pl.String)),
        pa.table({name: pa.array([], pa.float64()) for name in FEATURES}),
    ],
    ids=lambda rows: f"{type(rows).__module__}.{type(rows).__name__}",
)
def test_an_empty_batch_gives_an_empty_answer(rows: Any) -> None:
    answers = MODEL.predict(rows)
    assert (answers.shape, answers.dtype) == ((0, 2), np.float32)


def test_a_nan_makes_its_own_row_nan_and_no_other() -> None:
    rows = np.array(ROWS, np.float32)
    rows[1, 2] = np.nan
    answers = MODEL.predict(rows)
    assert np.isnan(answers[1]).all()
    assert np.array_equal(np.delete(answers, 1, axis=0), np.delete(ANSWERS, 1, axis=0))


def nullable_pandas(columns: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(columns).convert_dtypes()


@pytest.mark.parametrize("frame", [pd.DataFrame, nullable_pandas, pl.DataFrame, pa.table])
def test_a_missing_value_in_a_frame_makes_its_row_nan(frame: Callable[[Any], Any]) -> None:
    columns = columns_of(ROWS)
    columns["rainfall"] = [67.0, None, 134.0, 43.0]
    with pytest.warns(gradline.GradlineWarning, match="1 row with missing values got no"):
        answers = MODEL.predict(frame(columns))
    assert np.isnan(answers).all(axis=1).tolist() == [False, True, False, False]


@pytest.mark.parametrize("table", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_decimals_are_numbers_and_none_is_missing_in_any_table(table: Callable[[Any], Any]) -> None:
    columns = columns_of(ROWS)
    columns["rainfall"] = [Decimal(67), None, Decimal(134), Decimal(43)]
    columns["humidity"] = [43, 64, None, 37]
    with pytest.warns(gradline.GradlineWarning, match="2 rows with missing values got no"):
        answers = MODEL.predict(table(columns))
    assert np.isnan(answers).all(axis=1).tolist() == [False, True, True, False]
    assert np.array_equal(answers[[0, 3]], MODEL.predict(ROWS)[[0, 3]])
    with pytest.warns(gradline.GradlineWarning, match="1 row with missing values got no"):
        assert np.isnan(MODEL.predict([[None, 67, 43]])).all()


# Names


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_a_mapping_is_matched_by_name(order: list[int]) -> None:
    columns = columns_of(ROWS)
    mapping = {FEATURES[j]: columns[FEATURES[j]] for j in order}
    assert np.array_equal(MODEL.predict(mapping), ANSWERS)
    assert np.array_equal(MODEL.predict({n: np.array(c) for n, c in mapping.items()}), ANSWERS)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_is_matched_by_name_and_its_further_columns_are_ignored(kind: str) -> None:
    columns = {"region": ["a", "b", "c", "d"], **columns_of(ROWS), "apples": [1, 2, 3, 4]}
    backwards = dict(reversed(columns.items()))
    assert np.array_equal(MODEL.predict(FRAMES[kind](backwards)), ANSWERS)


@given(data=st.data(), d=st.integers(1, 12), n=st.integers(0, 6), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_a_frame_in_any_column_order_gives_what_the_array_gives(
    data: st.DataObject, d: int, n: int, seed: int
) -> None:
    names = data.draw(st.lists(st.text(min_size=1), min_size=d, max_size=d, unique=True))
    extra = data.draw(st.lists(st.text(min_size=1), max_size=3).map(set)) - set(names)
    generator = np.random.default_rng(seed)
    weights, bias = generator.normal(size=(2, d)), generator.normal(size=2)
    model = in_memory(weights.astype("f4"), bias.astype("f4"), names, TARGETS)
    rows = generator.normal(size=(n, d))
    columns = {name: rows[:, j] for j, name in enumerate(names)}
    columns |= dict.fromkeys(extra, np.arange(n))
    shuffled = {name: columns[name] for name in data.draw(st.permutations(list(columns)))}
    expected = model.predict(rows)
    for frame in FRAMES.values():
        assert np.array_equal(model.predict(frame(shuffled)), expected)
    assert np.array_equal(model.predict({name: shuffled[name] for name in names}), expected)


@pytest.mark.parametrize("kind", FRAMES)
def test_columns_may_be_called_what_frames_call_their_parts(kind: str) -> None:
    names = ["column_names", "columns", "collect_schema", "get_column", "shape", "iloc"]
    model = in_memory(np.ones((1, 6), np.float32), np.zeros(1, np.float32), names, ["sum"])
    frame = FRAMES[kind]({name: [2.0**j] for j, name in enumerate(names)})
    assert model.predict(frame).tolist() == [[63.0]]


# Rows that do not fit


def test_a_single_row_is_to_be_wrapped() -> None:
    error = refusal([73, 67, 43])
    assert str(error) == "expected rows of shape (n, 3), got one dimension of length 3"
    assert (error.code, error.hint) == ("wrong-shape", "wrap the single row: model.predict([row])")


@pytest.mark.parametrize(("rows", "dimensions"), [(np.zeros((2, 2, 3)), 3), (5.0, 0)])
def test_rows_of_other_dimensions_are_refused(rows: Any, dimensions: int) -> None:
    error = refusal(rows)
    assert str(error) == f"expected rows of shape (n, 3), got {dimensions} dimensions"
    assert (error.code, error.hint) == ("wrong-shape", "give a matrix, one row per prediction")


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_wrong_number_of_columns_names_the_right_ones(width: int, dtype: Any) -> None:
    error = refusal(np.zeros((5, width), dtype))
    assert str(error) == f"expected 3 columns (temperature, rainfall, humidity), got {width}"
    assert error.code == "wrong-shape"
    assert "by name" in error.hint


def test_a_missing_name_suggests_the_nearest_that_is_there() -> None:
    columns = {"temperatur": [1], "rainfall": [1], "humidity": [1]}
    for frame in FRAMES.values():
        error = refusal(frame(columns))
        assert (str(error), error.code) == (
            "the feature 'temperature' is missing",
            "missing-feature",
        )
        assert error.hint == "did you mean 'temperatur'?"


def test_a_missing_name_with_nothing_near_is_to_be_added() -> None:
    error = refusal({"rainfall": [1], "humidity": [1]})
    assert (str(error), error.code) == ("the feature 'temperature' is missing", "missing-feature")
    assert error.hint == "add the column 'temperature'"


def test_an_unknown_name_in_a_mapping_suggests_the_nearest_feature() -> None:
    given = columns_of(ROWS)
    error = refusal({"humidty": given.pop("humidity"), **given})
    assert (str(error), error.code) == ("unknown feature 'humidty'", "unknown-feature")
    assert error.hint == "did you mean 'humidity'?"


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(np.zeros((1, 4)), columns=[*FEATURES, "humidity"]),
        pa.table([[0.0]] * 4, names=[*FEATURES, "humidity"]),
    ],
    ids=["pandas", "pyarrow"],
)
def test_a_duplicated_name_is_refused(frame: Any) -> None:
    error = refusal(frame)
    assert str(error) == "the feature 'humidity' appears 2 times in the table"
    assert (error.code, error.hint) == ("duplicate-feature", "keep one column of that name")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["73", "67"], "text: '73'"),
        (["73", 67], "text: '73'"),
        ([b"73", b"67"], "bytes: b'73'"),
        ([Decimal(67), "warm"], "str: 'warm'"),
        ([1 + 2j, 0], "complex numbers"),
        (np.array(["2026-01-01", "2026-01-02"], "datetime64[D]"), "dates"),
        (np.array([1, 2], "timedelta64[D]"), "durations"),
        ([datetime.date(2026, 1, 1), 67], "date: datetime.date(2026, 1, 1)"),
    ],
)
def test_values_that_are_no_numbers_are_named(values: Any, found: str) -> None:
    error = refusal({"temperature": [73.0, 91.0], "rainfall": values, "humidity": [43.0, 64.0]})
    assert str(error) == f"the column 'rainfall': expected numbers, got {found}"
    assert (error.code, error.hint) == ("not-numeric", "convert to numbers first")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([["73", "67", "43"]], "text: '73'"),
        (np.zeros((1, 3), "datetime64[s]"), "dates"),
    ],
)
def test_rows_that_are_no_numbers_are_refused(rows: Any, found: str) -> None:
    error = refusal(rows)
    assert str(error) == f"the rows: expected numbers, got {found}"
    assert error.code == "not-numeric"


@pytest.mark.parametrize("rows", [[[1, 2, 3], [4, 5]], [[1, 2, 3], 4], [[1, 2, [3, 4]]]])
def test_ragged_rows_are_refused(rows: Any) -> None:
    error = refusal(rows)
    assert str(error).startswith("the rows: rows of unequal length, or values that are not numbers")
    assert (error.code, error.hint) == (
        "not-numeric",
        "give numbers, the same count in every row",
    )


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {73, 67, 43},
        (row for row in ROWS),
        [{73, 67, 43}],
        pl.LazyFrame(columns_of(ROWS)),
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_what_holds_no_rows_is_an_input_error(rows: Any) -> None:
    error = refusal(rows)
    assert error.code
    assert error.hint


def test_columns_of_unequal_length_are_refused() -> None:
    error = refusal({"temperature": [1, 2], "rainfall": [1, 2], "humidity": [1]})
    assert str(error) == "the column 'humidity' has 1 values, 'temperature' has 2"
    assert error.code == "wrong-shape"


def test_a_column_of_two_dimensions_is_refused() -> None:
    error = refusal({"temperature": [[73.0]], "rainfall": [67.0], "humidity": [43.0]})
    assert str(error) == "the column 'temperature' has 2 dimensions, expected one value per row"
    assert (error.code, error.hint[-6:]) == ("wrong-shape", "[73.0]")


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (np.ma.array(ROWS, mask=False), "the rows"),
        (np.ma.array(ROWS, np.float32), "the rows"),
        ([np.ma.array(row, mask=[0, 1, 0]) for row in ROWS], "the rows"),
        ({**columns_of(ROWS), "rainfall": np.ma.array([1, 2, 3, 4])}, "the column 'rainfall'"),
    ],
    ids=["matrix", "float32", "list of rows", "column"],
)
def test_masked_arrays_are_refused(rows: Any, what: str) -> None:
    error = refusal(rows)
    assert str(error).startswith(f"{what}: masked arrays are not accepted")
    assert (error.code, error.hint) == ("masked-array", "fill it first: rows.filled(value)")


@pytest.mark.parametrize("value", [3.5e38, -1e300])
def test_a_number_beyond_float32_is_refused_not_made_infinite(value: float) -> None:
    error = refusal([[value, 0, 0]])
    assert str(error) == (
        f"the column 'temperature' holds {value} in row 1, outside the range of float32"
    )
    assert error.code == "out-of-range"
    assert "3.4e+38" in error.hint


def test_an_integer_beyond_64_bits_is_a_number() -> None:
    assert np.array_equal(MODEL.predict([[2**80, 0, 0]]), MODEL.predict([[2.0**80, 0, 0]]))
    for large in (2**200, 10**400):
        assert refusal([[large, 0, 0]]).code == "out-of-range"


# One row and many


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("d", "k"),
    [(1, 1), (3, 2), (7, 1), (16, 16), (20, 3), (33, 5), (64, 1), (100, 2), (257, 9), (300, 300)],
)
def test_a_row_gets_the_same_bits_alone_and_in_any_batch(d: int, k: int, dtype: str) -> None:
    model = unnamed(d, k, dtype, seed=d)
    rows = np.random.default_rng(k).normal(size=(67, d)).astype(dtype)
    alone = np.vstack([model.predict(row[None]) for row in rows])
    for size in (2, 3, 8, 17, 67):
        batches = [model.predict(rows[at : at + size]) for at in range(0, 67, size)]
        assert np.array_equal(np.vstack(batches), alone)


def threads_of(model: Model) -> int:
    threads: int = model._session.get_session_options().intra_op_num_threads
    return threads


def test_one_thread_computes_unless_more_are_asked_for(orchard_package: Path) -> None:
    assert threads_of(gradline.load(orchard_package)) == 1
    assert threads_of(gradline.load(orchard_package, threads=2)) == 2


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_threads_stays_within_the_bound(threads: int, orchard_package: Path) -> None:
    model = gradline.load(orchard_package, threads=threads)
    golden = json.loads((orchard_package / "golden.json").read_bytes())
    rows = np.array(golden["inputs"] * 50, np.float32)
    errors = np.abs(model.predict(rows) - np.array(golden["outputs"] * 50))
    assert (errors <= np.array(golden["bounds"] * 50)).all()


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, None])
def test_a_number_of_threads_that_is_none_is_refused(threads: Any, orchard_package: Path) -> None:
    with pytest.raises(gradline.InputError) as caught:
        gradline.load(orchard_package, threads=threads)
    assert str(caught.value) == f"threads = {threads!r}, expected 1 or more"
    assert caught.value.code == "bad-option"


# The model


def test_a_loaded_model_knows_what_it_is(orchard_package: Path) -> None:
    model = gradline.load(orchard_package)
    assert (model.name, model.version) == ("orchard", 1)
    assert (model.features, model.targets) == (FEATURES, TARGETS)
    assert model.dtype == np.float32
    assert model.manifest == json.loads((orchard_package / "manifest.json").read_bytes())
    assert repr(model).startswith("gradline.Model orchard 1: 3 columns -> apples, oranges\n")


def test_a_loaded_model_predicts_the_orchard(orchard_package: Path) -> None:
    answers = gradline.load(orchard_package.parent).predict(orchard().values[:, :3])
    assert np.abs(answers - orchard().values[:, 3:]).max() < 1.5


def test_a_bare_onnx_file_needs_no_other(orchard_package: Path, tmp_path: Path) -> None:
    path = tmp_path / "anything.onnx"
    path.write_bytes((orchard_package / "model.onnx").read_bytes())
    bare, whole = gradline.load(path), gradline.load(orchard_package)
    assert (bare.name, bare.version, bare.manifest) == ("orchard", None, {})
    assert (bare.features, bare.targets, bare.dtype) == (FEATURES, TARGETS, np.float32)
    assert np.array_equal(bare.predict(ROWS), whole.predict(ROWS))
    assert repr(bare).startswith("gradline.Model orchard: 3 columns -> apples, oranges\n")


def test_a_float64_package_computes_in_float64(tmp_path: Path) -> None:
    trained = fit(orchard(), TARGETS, dtype="float64")
    model = gradline.load(export_package(trained, tmp_path, "orchard"))
    weights, bias = trained.weights.numpy(), trained.bias.numpy()
    rows = np.array(ROWS, np.float64)
    answers = model.predict(rows)
    assert answers.dtype == model.dtype == np.float64
    bound = rounding_bound(rows, weights, bias, rows.dtype)
    assert (np.abs(answers - (rows @ weights.T + bias)) <= 2 * bound).all()
    assert np.array_equal(model.predict(rows.astype(np.float32)), answers)
    assert np.isfinite(model.predict([[1e200, 0, 0]])).all()


def test_a_pickled_model_is_the_same_model(orchard_package: Path) -> None:
    model = gradline.load(orchard_package, threads=2)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert repr(again) == repr(model)
    assert threads_of(again) == 2
    assert (again.manifest, again.dtype) == (model.manifest, model.dtype)
    assert np.array_equal(again.predict(ROWS), model.predict(ROWS))


def test_a_pickled_model_needs_no_file(orchard_package: Path, tmp_path: Path) -> None:
    moved = tmp_path / "1"
    moved.mkdir()
    for path in orchard_package.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    pickled = pickle.dumps(gradline.load(moved))
    for path in moved.iterdir():
        path.unlink()
    again = pickle.load(io.BytesIO(pickled))  # noqa: S301
    assert np.array_equal(again.predict(ROWS), gradline.load(orchard_package).predict(ROWS))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_model_survives_fork(orchard_package: Path) -> None:
    model = gradline.load(orchard_package)
    expected = model.predict(ROWS)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send_bytes(model.predict(ROWS).tobytes()))
    child.start()
    answered = receiver.poll(30)
    if not answered:
        child.kill()
    child.join()
    assert answered, "the child never answered"
    assert receiver.recv_bytes() == expected.tobytes()
    assert np.array_equal(model.predict(ROWS), expected)


# The face


def test_the_public_names_are_exactly_these() -> None:
    errors = [
        "GradlineError",
        "InputError",
        "MissingExtraError",
        "OutputError",
        "PackageError",
        "RefusedError",
    ]
    assert gradline.__all__ == sorted(
        [*errors, "GradlineWarning", "Model", "Prediction", "app", "evaluate", "load"]
    )
    for name in gradline.__all__:
        assert re.match(r"gradline\.", getattr(gradline, name).__module__)


def test_every_error_is_a_gradline_error_with_code_hint_and_exit_code() -> None:
    errors = {name: getattr(gradline, name) for name in gradline.__all__ if "Error" in name}
    exit_codes = {}
    for name, kind in errors.items():
        error = kind("what", code="a-code", hint="what next")
        assert isinstance(error, gradline.GradlineError)
        assert (str(error), error.code, error.hint) == ("what", "a-code", "what next")
        exit_codes[name] = error.exit_code
    assert exit_codes == {
        "GradlineError": 2,
        "InputError": 2,
        "MissingExtraError": 2,
        "OutputError": 2,
        "PackageError": 1,
        "RefusedError": 1,
    }
