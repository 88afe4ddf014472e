"""Why a prediction is what it is, and where it is a guess."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import gradline
from gradline.commands.group import run
from gradline.explain.leverage import LeverageLimit
from gradline.explain.ranges import Ranges
from gradline.package.reading import read_package
from gradline.package.rounding_bound import rounding_bound
from gradline_export import export_package
from gradline_export.freeze.manifest import leverage_record
from gradline_trainer import fit

# Rows without an answer are told of, too: tests/test_rows_of_any_form.py.
pytestmark = pytest.mark.filterwarnings("ignore::gradline.GradlineWarning")
Array = NDArray[np.float64]
NUMBERS = st.floats(-1e6, 1e6, width=32)


@pytest.fixture(scope="module")
def model(orchard_package: Path) -> gradline.Model:
    return gradline.load(orchard_package)


@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=20))
@settings(deadline=None)
def test_the_parts_add_up_to_the_prediction(
    rows: list[tuple[float, float, float]], model: gradline.Model
) -> None:
    x = np.array(rows, np.float32)
    found = model.explain(x)
    graph = model.package.graph
    summed = found.baseline + found.contributions.sum(axis=2)
    # The prediction's own bound, and that of the parts in float64: about the means, thus twice.
    bound = rounding_bound(x, graph.weights, graph.bias, model.dtype)
    means = np.array([model.manifest["columns"][name]["mean"] for name in model.features])
    wide = np.abs(x.astype(float)) + 2 * np.abs(means)
    bound += 2 * rounding_bound(wide, graph.weights, graph.bias, np.dtype(np.float64))
    assert (np.abs(summed - model.predict(x)) <= bound).all()


def test_a_missing_value_without_a_fill_is_outside(model: gradline.Model, tmp_path: Path) -> None:
    row = {"temperature": 73.0, "rainfall": None, "humidity": 143.0}
    for rows in ([row], [list(row.values())], pl.DataFrame([row])):
        answers, outside = model.predict(rows, check=True)
        assert np.isnan(answers).all()
        assert outside.told(0) == "humidity +5.84 deviations; rainfall missing"
    inside = {"temperature": 73.0, "rainfall": None, "humidity": 43.0}
    _, outside = model.predict([inside, inside | {"rainfall": 67.0}], check=True)
    assert outside.rows.tolist() == [0]
    assert not outside.is_beyond.any()
    pl.DataFrame([inside]).write_csv(tmp_path / "t.csv")
    out = tmp_path / "out.csv"
    package = str(model.package.path)
    assert run(["predict", package, str(tmp_path / "t.csv"), "--check", "-o", str(out)]) == 0
    assert pl.read_csv(out)["outside"].to_list() == ["rainfall missing"]


def test_a_part_is_the_weight_times_the_step_from_the_mean(model: gradline.Model) -> None:
    found = model.explain({"temperature": [73.0], "rainfall": [67.0], "humidity": [43.0]})
    graph = model.package.graph
    for j, name in enumerate(model.features):
        mean = Fraction(model.manifest["columns"][name]["mean"])
        step = Fraction([73, 67, 43][j]) - mean
        for k in range(2):
            exact = float(Fraction(float(graph.weights[k, j])) * step)
            assert found.contributions[0, k, j] == pytest.approx(exact, rel=1e-15)
    means = [[model.manifest["columns"][name]["mean"] for name in model.features]]
    assert (model.explain(np.array(means)).baseline == found.baseline).all()


def test_a_bare_graph_has_no_means_to_explain_by(orchard_package: Path) -> None:
    bare = gradline.load(orchard_package / "model.onnx")
    for ask in (
        bare.explain,
        lambda rows: bare.predict(rows, check=True),
        lambda _: bare.by_effect(),
    ):
        with pytest.raises(gradline.PackageError, match="no record"):
            ask([[73.0, 67.0, 43.0]])


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=40),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None)
def test_what_is_outside_is_what_a_plain_look_at_each_value_finds(
    rows: list[tuple[float, float, float]], dtype: type
) -> None:
    x = np.array(rows, dtype).reshape(-1, 3)
    low, high, deviation = np.array([[-1e5, 0.1, 7.0], [1e5, 0.3, 7.0], [1.0, 2.0, 0.0]])
    figures = {"minimum": low, "maximum": high, "deviation": deviation}
    columns = {name: {f: v[j] for f, v in figures.items()} for j, name in enumerate("abc")}
    found = Ranges.of({"columns": columns}, list("abc"), np.dtype(dtype)).outside(x)
    expected = {
        i
        for i, row in enumerate(x)
        for j, value in enumerate(row)
        if value < dtype(low[j]) or value > dtype(high[j])
    }
    assert set(found.rows.tolist()) == expected
    for place, row in enumerate(found.rows):
        for j, value in enumerate(x[row].astype(float)):
            gap = value - high[j] if value > high[j] else min(value - low[j], 0)
            if value < dtype(low[j]) or value > dtype(high[j]):
                assert found.beyond[place, j] == gap / (deviation[j] or 1)
            else:
                assert found.beyond[place, j] == 0


def test_the_training_rows_are_inside_whatever_the_graphs_dtype(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = {"a": random.random(50), "b": random.random(50) * 0.1, "y": random.random(50)}
    for dtype in ("float32", "float64"):
        model = gradline.load(export_package(fit(table, "y", dtype=dtype), tmp_path, dtype))
        _, outside = model.predict(pl.DataFrame(table), check=True)
        assert len(outside) == 0


def test_what_is_outside_is_named_with_how_far(model: gradline.Model) -> None:
    rows = [[84, 80, 50], [114.06, 80, 30], [np.nan, 80, 50], [72, 60, 65]]
    answers, outside = model.predict(rows, check=True)
    assert (answers[:2] == model.predict(rows)[:2]).all()
    assert outside.rows.tolist() == [1, 2, 3]
    assert outside.told(0) == (
        "temperature +1 deviations; humidity -0.56 deviations; leverage 2.08 (limit 0.986)"
    )
    assert outside.told(1) == "temperature missing"
    assert outside.told(2) == "leverage 1.22 (limit 0.986)"  # within each range, but not together


def test_predict_explains_and_checks_a_table(
    orchard_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.csv").write_text("temperature,rainfall,humidity\n73,67,43\n200,88,64\n,1,2\n")
    out = tmp_path / "out.csv"
    words = ["predict", str(orchard_package), str(tmp_path / "new.csv"), "-o", str(out)]
    assert run([*words, "--explain", "--check"]) == 0
    assert (
        "2 rows outside the ranges that the model was trained on, alone" in capsys.readouterr().err
    )
    found = pl.read_csv(out)
    assert found["outside"].to_list()[0] is None
    assert found["outside"].to_list()[1].startswith("temperature +8.13 deviations")
    for target in ("apples", "oranges"):
        parts = [name for name in found.columns if name.startswith(f"{target}: ")]
        assert parts[0] == f"{target}: baseline"
        assert len(parts) == 4
        total = found.head(2).select(pl.sum_horizontal(parts)).to_series()
        assert total.to_list() == pytest.approx(found[target].head(2).to_list(), rel=1e-6)


# All features together


def leverage_of(rows: Array, X: Array, w: Array, bias: bool, ridge: float) -> Array:
    """Return the leverage of rows, at weight 1, among training rows X of weights w."""
    centre = w @ X / w.sum() * bias
    steps = X - centre
    moment = steps.T @ (steps * w[:, None]) + ridge * np.eye(X.shape[1])
    away = rows - centre
    found: Array = np.einsum("ij,ij->i", away, np.linalg.solve(moment, away.T).T) + bias / w.sum()
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(1, 5),
    bias=st.booleans(),
    ridge=st.sampled_from([0.0, 3.0]),
    dtype=st.sampled_from(["float32", "float64"]),
    offset=st.sampled_from([0.0, 1e3]),
)
@settings(max_examples=25, deadline=None)
def test_the_limit_is_the_largest_leverage_of_a_training_row(
    seed: int, d: int, bias: bool, ridge: float, dtype: str, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, d)) @ (np.eye(d) + rng.random((d, d)) / d) + offset
    w = rng.random(60) + 0.1
    options: dict[str, Any] = {"bias": bias, "ridge": ridge, "sample_weight": w}
    trained = fit((X, rng.standard_normal(60)), **options)
    recorded = leverage_record(trained, np.dtype(dtype))
    figures = zip(trained.features, trained.moments.mean, strict=False)
    columns = {name: {"mean": float(mean)} for name, mean in figures}
    found = LeverageLimit.of({**recorded, "columns": columns}, trained.features)
    assert found is not None
    for rows in (X, 3 * rng.standard_normal((10, d)) + offset):
        expected = leverage_of(rows, X, w, bias, ridge)
        np.testing.assert_allclose(found(rows), expected, rtol=1e-8)
    assert recorded["leverage"]["rule"] == "largest"
    assert (found(X.astype(dtype)) <= found.limit).all()
    assert found.limit <= found(X).max() * (1 + (1e-2 if dtype == "float32" else 1e-7))


def test_a_row_that_no_training_row_is_like_is_outside(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    height = rng.normal(175, 10, 500)
    people = {
        "height": height,
        "weight": 75 + (height - 175) + rng.normal(0, 2, 500),
        "constant": np.full(500, 7.0),
        "y": rng.random(500),
    }
    model = gradline.load(
        export_package(fit(people, "y", strict=True), tmp_path, "p", report=False)
    )
    _, outside = model.predict(pl.DataFrame(people), check=True)
    assert len(outside) == 0
    rows = [[160, 60, 7], [190, 90, 7], [160, 90, 7], [190, 60, 7], [np.nan, 60, 7], [175, 75, 8]]
    _, outside = model.predict(rows, check=True)
    assert outside.rows.tolist() == [2, 3, 4, 5]
    assert outside.is_beyond.tolist() == [True, True, False, True]
    assert not outside.beyond[:2].any()  # within the range of each feature
    assert outside.told(0).startswith("leverage ")
    assert outside.told(3) == "constant +1 deviations"
    infinite = [[1e30, 75, 7], [np.inf, 75, 7], [-np.inf, np.inf, 7]]
    assert len(model.predict(np.array(infinite), check=True)[1]) == 3


def test_many_rows_have_a_limit_from_their_moments_and_ranges(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 70_000
    table = {
        "a": rng.standard_normal(rows),
        "b": rng.standard_normal(rows),
        "rare": (np.arange(rows) % 700 == 3).astype(float),  # as a category that 100 rows have
        "y": rng.standard_normal(rows),
    }
    pl.DataFrame(table).write_parquet(tmp_path / "t.parquet")
    # A penalty far above every sum of squares leaves the bias alone, and its 1/n.
    for ridge, bias, p, single in (
        (0, True, 4, 1 / 100),
        (0, False, 3, 1 / 100),
        (1e9, True, 1, 1 / rows),
    ):
        trained = fit(tmp_path / "t.parquet", "y", ridge=ridge, bias=bias)
        recorded = leverage_record(trained, np.dtype(np.float32))["leverage"]
        assert recorded["rule"] == "3p/n beyond a single feature"
        assert recorded["limit"] == pytest.approx(
            3 * p / rows + single, rel=1e-2 if ridge else 1e-6
        )
    model = gradline.load(
        export_package(fit(tmp_path / "t.parquet", "y"), tmp_path, "many", report=False)
    )
    _, outside = model.predict(pl.DataFrame(table), check=True)
    assert len(outside) == 0
    _, outside = model.predict([[0, 0, 1], [4, -4, 1]], check=True)
    assert outside.rows.tolist() == [1]
    assert not outside.beyond.any()


@pytest.mark.parametrize("features", [1, 32, 33])
def test_only_a_package_of_few_features_has_a_leverage(features: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, features)), rng.standard_normal(50)
    path = export_package(fit((X, y)), tmp_path, "few", report=False)
    assert ("leverage" in (read_package(path).manifest or {})) == (features <= 32)
    _, outside = gradline.load(path).predict(np.vstack([X, 99 * X[:1]]), check=True)
    assert outside.rows.tolist() == [50]
    assert (outside.leverage is not None) == (features <= 32)


@pytest.mark.parametrize(
    "said",
    [
        7,
        {},
        {"limit": 1, "least": 0.1, "factor": [[1, 2]]},
        {"limit": 1, "least": 0.1, "factor": [[1, 2], [3, 4]]},
        {"limit": 1, "least": 0.1, "factor": [[1, 2], [3], []]},
        {"limit": "x", "least": 0.1, "factor": [[1, 2], [3]]},
        {"limit": 1, "least": 0.1, "factor": [[1, "x"], [3]]},
        {"limit": 1, "least": None, "factor": 3},
    ],
)
def test_a_leverage_that_can_not_be_computed_is_refused(said: object) -> None:
    with pytest.raises(gradline.PackageError) as caught:
        LeverageLimit.of({"leverage": said}, ["a", "b"])
    assert caught.value.code == "bad-manifest"


def test_inspect_shows_the_limit(orchard_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(orchard_package)]) == 0
    assert "  leverage   up to 0.986, the largest of a training row\n" in capsys.readouterr().out


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(["float32", "float64"]),
    d=st.integers(1, 6),
    offset=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
    unit=st.sampled_from([1e-30, 1.0, 1e30]),
    weight=st.sampled_from([1e-20, 1.0, 1e20]),
    correlated=st.booleans(),
)
def test_no_row_beyond_the_limit_is_passed_over(
    seed: int, dtype: str, d: int, offset: float, unit: float, weight: float, correlated: bool
) -> None:
    """What a bound says of most rows is what their leverage says."""
    random = np.random.default_rng(seed)
    n = int(random.choice([300, 320]))
    rows = random.standard_normal((n, d)) * random.choice([0.3, 1.0, 2.0], (n, 1))
    if correlated:
        rows = rows[:, :1] + 1e-2 * rows
    rows = ((offset + rows) * unit).astype(dtype)
    centre = rows[:100].astype(np.float64).mean(axis=0)
    spread = (rows[:100] - centre).astype(np.float64) / unit
    normal = spread.T @ spread + 1e-12 * np.eye(d)
    factor = np.linalg.inv(np.linalg.cholesky(normal)).T / unit / np.sqrt(weight)
    leverage = LeverageLimit(0.01 / weight, centre, factor, np.inf)
    limit = float(np.quantile(leverage(rows), random.choice([0.5, 0.99])))
    leverage = LeverageLimit(0.01 / weight, centre, factor, limit)
    rows[7, 0] = np.nan
    np.testing.assert_array_equal(leverage.beyond(rows), leverage(rows) > limit)
