"""Why a prediction is what it is, and where it is a guess."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradline
from gradline.bound import rounding_bound
from gradline.program import run
from gradline.ranges import Ranges
from gradline_export import export_package
from gradline_trainer import fit

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
    for ask in (bare.explain, lambda rows: bare.predict(rows, check=True)):
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
    rows = [[84, 80, 50], [114.06, 80, 30], [np.nan, 80, 50]]
    answers, outside = model.predict(rows, check=True)
    assert (answers[:2] == model.predict(rows)[:2]).all()
    assert outside.rows.tolist() == [1]
    assert outside.told(0) == "temperature +1 deviations; humidity -0.56 deviations"


def test_predict_explains_and_checks_a_table(
    orchard_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.csv").write_text("temperature,rainfall,humidity\n73,67,43\n200,88,64\n,1,2\n")
    out = tmp_path / "out.csv"
    words = ["predict", str(orchard_package), str(tmp_path / "new.csv"), "-o", str(out)]
    assert run([*words, "--explain", "--check"]) == 0
    assert "2 rows outside the ranges" in capsys.readouterr().err
    found = pl.read_csv(out)
    assert found["outside"].to_list()[0] is None
    assert found["outside"].to_list()[1].startswith("temperature +8.13 deviations")
    for target in ("apples", "oranges"):
        parts = [name for name in found.columns if name.startswith(f"{target}: ")]
        assert parts[0] == f"{target}: baseline"
        assert len(parts) == 4
        total = found.head(2).select(pl.sum_horizontal(parts)).to_series()
        assert total.to_list() == pytest.approx(found[target].head(2).to_list(), rel=1e-6)
