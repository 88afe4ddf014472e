"""Targets learned as logarithms: scales, metrics, packages and predictions in units."""

from __future__ import annotations

import json
import math
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradline import GradlineWarning, InputError, PackageError, load
from gradline.columns.targets import TargetFunction, in_units, learned_names
from gradline.commands.group import run
from gradline.package.rounding_bound import bound_in_units, rounding_bound
from gradline.serve.protocol.inference import infer
from gradline.serve.protocol.metadata import model_metadata
from gradline.serve.protocol.served_model import ServedModel
from gradline_export import export_package
from gradline_export.freeze.parity import exact_outputs
from gradline_trainer import Fit, fit, learning, load_moments, save_moments
from gradline_trainer.rows.logarithms import logarithms
from gradline_trainer.rows.passes import merge_all
from gradline_trainer.rows.rows import Rows
from gradline_trainer.saved.algebra import merge_moments
from gradline_trainer.statistics.logged import UnitSums
from gradline_trainer.wide import streaming

Array = NDArray[np.float64]


def prices(n: int = 400, seed: int = 0, noise: float = 0.3) -> pl.DataFrame:
    """Make prices whose logarithm is linear in size and age, and counts with zeros."""
    rng = np.random.default_rng(seed)
    size, age = rng.normal(size=n), rng.uniform(0, 9, n)
    z = 5 + 0.8 * size - 0.1 * age + noise * rng.normal(size=n)
    town = rng.choice(["north", "south"], n)
    columns = {"size": size, "age": age, "town": town, "price": np.exp(z)}
    return pl.DataFrame(columns | {"count": np.floor(np.exp(z - 5)), "w": rng.uniform(0, 2, n)})


def answers(found: Fit, table: pl.DataFrame) -> Array:
    """Predict in float64 with the weights of a fit."""
    x = table.select(found.features).to_numpy()
    z = x @ found.weights.numpy().T + found.bias.numpy()
    return in_units(z, found.target_functions)


def function(found: Fit, j: int = 0) -> TargetFunction:
    known = found.target_functions[j]
    assert known is not None
    return known


@pytest.mark.parametrize("target", ["price", "count"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sample_weight": "w"},
        {"arithmetic": "exact"},
        {"ridge": "auto"},
        {"preconditioning": "none", "learning_rate": 0.01, "epochs": 500},
        {"bias": False},
    ],
)
def test_predictions_of_the_training_rows_have_the_targets_sum(
    target: str, options: dict[str, Any]
) -> None:
    table = prices()
    text = "log(price)" if target == "price" else "log1p(count)"
    found = fit(table, text, ["size", "age"], **options)
    w = table["w"].to_numpy() if "sample_weight" in options else np.ones(len(table))
    y, predicted = table[target].to_numpy(), answers(found, table)[:, 0]
    assert (w * predicted).sum() == pytest.approx((w * y).sum(), rel=1e-12)
    assert function(found).scale_from == "rows"
    metrics = (found.metrics["training"] or {})[target]
    e, mean = predicted - y, (w * y).sum() / w.sum()
    squared = (w * e**2).sum() / w.sum()
    assert metrics.rmse == pytest.approx(math.sqrt(squared), rel=1e-9)
    assert metrics.mae == pytest.approx((w * abs(e)).sum() / w.sum(), rel=1e-9)
    share = 1 - squared / ((w * (y - mean) ** 2).sum() / w.sum())
    assert metrics.r2 == pytest.approx(share, rel=1e-9)
    plain = fit(
        table.with_columns(pl.Series(target, logarithms(y[:, None], [text.split("(")[0]])[:, 0])),
        target,
        ["size", "age"],
        **options,
    )
    assert (plain.weights == found.weights).all()
    learned = (plain.metrics["training"] or {})[target]
    assert (metrics.rmse_log, metrics.r2_log) == pytest.approx((learned.rmse, learned.r2), rel=1e-9)


def test_figures_without_a_second_pass_are_those_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    table = prices().drop("town")
    near = fit(table, "log(price)")
    monkeypatch.setattr("gradline_trainer.statistics.measuring.FEW", 0)
    far = fit(table, "log(price)")
    mine, other = ((f.metrics["training"] or {})["price"] for f in (near, far))
    assert other.mae is None
    assert mine.mae is not None
    for name in ("rmse", "r2", "rmse_log", "r2_log"):
        assert getattr(other, name) == pytest.approx(getattr(mine, name), rel=1e-9)


def test_held_out_rows_are_measured_in_units() -> None:
    table = prices().drop("town", "count", "w")
    found = fit(table, "log(price)", holdout=0.25)
    held = (found.metrics["held_out"] or {})["price"]
    kept = found.residuals["held_out"]
    assert kept.rows == 100
    assert np.isin(kept.targets[:, 0].round(9), table["price"].to_numpy().round(9)).all()
    assert held.rmse == pytest.approx(math.sqrt((kept.residuals**2).mean()), rel=1e-9)
    assert held.r2_log is not None


def test_one_target_can_be_logged_beside_another_that_is_not() -> None:
    table = prices()
    both = fit(table, ["log(price)", "count"], ["size", "age"])
    alone = fit(table, "count", ["size", "age"])
    assert both.targets == ["price", "count"]
    assert both.target_functions[1] is None
    mine, other = ((f.metrics["training"] or {})["count"] for f in (both, alone))
    assert mine.record().keys() == {"rmse", "mae", "r2"}
    assert (mine.rmse, mine.mae, mine.r2) == pytest.approx((other.rmse, other.mae, other.r2))


def test_a_column_of_that_very_name_is_no_logarithm() -> None:
    table = prices().select("size", pl.col("price").alias("log(price)"))
    found = fit(table, "log(price)")
    assert (found.targets, found.target_functions) == (["log(price)"], [None])
    pair = fit((table["size"].to_numpy()[:, None], table["log(price)"].to_numpy()), ["log(y)"])
    assert pair.targets == ["log(y)"]


@pytest.mark.parametrize(
    ("text", "value", "hint"),
    [
        ("log(y)", 0.0, "--target 'log1p(y)'"),
        ("log(y)", -1.0, "correct or remove"),
        ("log1p(y)", -1.0, "correct or remove"),
        ("log1p(y)", -7.5, "correct or remove"),
    ],
)
def test_values_without_a_logarithm_are_named(
    tmp_path: Path, text: str, value: float, hint: str
) -> None:
    path = tmp_path / "sales.csv"
    columns = {"x": [1.0, 2.0, 4.0, 3.0], "y": [2.0, 3.0, value, value], "w": [1.0, 1, 1, 1]}
    table = pl.DataFrame(columns)
    table.write_csv(path)
    with pytest.raises(InputError, match=rf"first is {value:g} in row 3 of sales\.csv") as error:
        fit(path, text, "x")
    assert "'y'" in str(error.value)
    assert "2 values" in str(error.value)
    assert error.value.command_hint.startswith(hint)
    weightless = table.with_columns(w=pl.Series([1.0, 1, 0, 0]))
    assert fit(weightless, text, "x", sample_weight="w").moments.rows == 2
    missing = table.with_columns(x=pl.Series([1.0, 2, None, None]))
    assert fit(missing, text, "x", missing="drop").rows_dropped == 2


def test_the_hint_of_a_zero_works() -> None:
    found = fit({"x": [1.0, 2, 3, 5], "y": [0.0, 1, 5, 9]}, "log1p(y)")
    assert np.isfinite(answers(found, pl.DataFrame({"x": [1.0, 2, 3, 5]}))).all()


# Shapes and orders


@given(
    st.lists(st.floats(-1, 1e300, exclude_min=True), min_size=1, max_size=80),
    st.sampled_from(["log", "log1p"]),
)
@settings(max_examples=60)
def test_logarithms_turn_back(values: list[float], name: Any) -> None:
    y = np.array(values)
    y = y[1 + y > 0] if name == "log1p" else np.abs(y) + 1e-300
    z = logarithms(y[:, None], [name])
    back = in_units(z, [TargetFunction(name, 1.0, "rows")])[:, 0]
    size = y + 1 if name == "log1p" else y
    assert (np.abs(back - y) <= 2.0**-52 * size * (np.abs(z[:, 0]) + 4)).all()
    for start in range(len(y)):  # a value's bits don't depend on its neighbours
        alone = logarithms(y[start : start + 7, None], [name])
        assert (alone == z[start : start + 7]).all()


@given(st.integers(1, 60), st.integers(0, 2**16), st.integers(1, 3))
@settings(max_examples=40)
def test_sums_in_units_are_those_of_all_rows(n: int, seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(n, 2)), rng.normal(size=(n, k)) * 3
    weights, bias = rng.normal(size=(k, 2)), rng.normal(size=k)
    w = rng.uniform(0.1, 2, n)
    centre = z.max(axis=0)
    rows = Rows((x, z), 2, w)
    pieces = (UnitSums.of(part, weights, bias, centre) for part in rows.chunks(7))
    merged = merge_all(pieces)
    assert merged is not None
    whole = UnitSums.of(rows, weights, bias, centre)
    actual, predicted = np.exp(z - centre), np.exp(x @ weights.T + bias - centre)
    sums = (w @ actual) / w.sum(), (w @ predicted) / w.sum()
    for found in (merged, whole):
        np.testing.assert_allclose(found.means, sums, rtol=1e-12)
        np.testing.assert_allclose(found.comoments, whole.comoments, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("wide", [False, True])
def test_the_fit_has_the_same_bits_for_any_number_of_threads(
    wide: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wide:
        monkeypatch.setattr(learning, "WIDE", 1)
        monkeypatch.setattr(streaming, "FILE_BLOCK_BYTES", 20_000)
        monkeypatch.setattr(streaming, "CHUNK_BYTES", 2_000)
    table = prices(3_000).drop("town")
    table.write_parquet(tmp_path / "t.parquet", row_group_size=512)
    table.write_csv(tmp_path / "t.csv")
    found = []
    for threads in (1, 5):
        monkeypatch.setattr("os.cpu_count", lambda threads=threads: threads)
        found.append(fit(tmp_path / "t.parquet", "log(price)", epochs=20))
    assert found[0].target_functions == found[1].target_functions
    assert found[0].metrics == found[1].metrics
    assert (found[0].weights == found[1].weights).all()
    text = fit(tmp_path / "t.csv", "log(price)", epochs=20)
    assert function(text).scale == pytest.approx(function(found[0]).scale, rel=1e-13)


def test_wide_tables_take_logged_targets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = prices().drop("town")
    narrow = fit(table, "log(price)", ["size", "age", "count", "w"])
    monkeypatch.setattr(learning, "WIDE", 3)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 20_000)
    table.write_parquet(tmp_path / "t.parquet")
    for source in (table, tmp_path / "t.parquet"):
        wide = fit(source, "log(price)", ["size", "age", "count", "w"], epochs=3000)
        assert function(wide).scale == pytest.approx(function(narrow).scale, rel=1e-6)
        predicted = answers(wide, table).sum()
        assert predicted == pytest.approx(table["price"].sum(), rel=1e-12)


# Saved moments


def test_the_scale_from_moments_is_that_of_normal_errors(tmp_path: Path) -> None:
    table = prices(20_000, noise=0.5).drop("town")
    rows = fit(table, "log(price)", ["size", "age"], keep_moments=True)
    save_moments(rows, tmp_path / "m")
    saved = load_moments(tmp_path / "m")
    for targets in (None, "log(price)"):
        found = fit(saved, targets)
        assert function(found).scale_from == "moments"
        rmse = (found.metrics["training"] or {})["price"].rmse_learned
        assert function(found).scale == pytest.approx(math.exp(rmse**2 / 2))
        assert function(found).scale == pytest.approx(function(rows).scale, rel=0.02)
    metrics = (found.metrics["training"] or {})["price"]
    assert (metrics.rmse, metrics.mae, metrics.r2) == (None, None, None)
    assert any("as if the errors" in warning for warning in found.warnings)
    package = export_package(found, tmp_path, "prices", report=False)
    assert np.isfinite(load(package).predict(table)).all()


def test_moments_of_a_logarithm_are_of_it_alone(tmp_path: Path) -> None:
    table = prices().drop("town")
    logged, plain = (
        fit(table, target, ["size", "age"], keep_moments=True).gathered
        for target in ("log(price)", "price")
    )
    assert logged is not None
    assert plain is not None
    for saved, target, hint in (
        (logged, "price", "log(price)"),
        (logged, "log1p(price)", "log(price)"),
        (plain, "log(price)", "price"),
    ):
        with pytest.raises(InputError, match="needs the rows") as error:
            fit(saved, target)
        assert f"--target {hint!r}" in error.value.command_hint
    with pytest.raises(InputError, match=r"log\(price\) alone"):
        fit(logged, "size", "price")
    with pytest.raises(InputError, match=r"log\(price\)"):
        merge_moments([plain, logged])
    twice = merge_moments([logged, logged])
    assert twice.columns.functions == ("log",)
    save_moments(plain, tmp_path / "m")
    assert (tmp_path / "m").read_bytes().startswith(b"gradline moments 1\n")


# Packages


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("text", ["log(price)", "log1p(count)"])
def test_a_package_answers_in_units(tmp_path: Path, dtype: str, text: str) -> None:
    table = prices()
    found = fit(table, [text, "w"], ["size", "age", "town"], one_hot="town", dtype=dtype)
    path = export_package(found, tmp_path, "prices", intervals=True)
    model = load(path)
    x = table.select("size", "age", "town")
    y = model.predict(x)
    assert y.dtype == dtype
    assert (y > -function(found).offset).all()
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["format"] == 2
    assert manifest["schema"]["targets"] == found.targets
    logged, plain = manifest["schema"]["target_functions"]
    assert plain is None
    assert logged == vars(function(found))
    training = manifest["metrics"]["training"]
    assert "r2_log" in training[found.targets[0]]
    assert "r2_log" not in training["w"]
    total = table[found.targets[0]].sum()
    assert y[:, 0].astype(float).sum() == pytest.approx(total, rel=1e-6)
    # In float64 from the graph's own answer, rounded once.
    inputs = model.read(x, "error").inputs
    z = model.graph_answers(inputs).astype(np.float64)
    expected = np.exp(z[:, 0]) * logged["scale"] - function(found).offset
    assert (y[:, 0] == expected.astype(dtype)).all()
    assert (y[:, 1] == z[:, 1].astype(dtype)).all()
    bare = load(path / "model.onnx")
    assert (bare.predict(x) == y).all()


def test_factors_multiply_to_the_prediction(tmp_path: Path) -> None:
    table = prices()
    for text, target in (("log(price)", "price"), ("log1p(count)", "count")):
        found = fit(table, [text, "w"], ["size", "age"])
        model = load(export_package(found, tmp_path, target, report=False))
        told = model.explain(table)
        y = model.predict(table).astype(float)
        product = told.baseline[0] * told.contributions[:, 0].prod(axis=1)
        offset = function(found).offset
        np.testing.assert_allclose(product - offset, y[:, 0], rtol=1e-5, atol=1e-5)
        total = told.baseline[1] + told.contributions[:, 1].sum(axis=1)
        np.testing.assert_allclose(total, y[:, 1], rtol=1e-4, atol=1e-5)


def test_a_missing_value_gives_no_answer_and_the_command_answers_in_units(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = prices(50)
    model_path = export_package(fit(table, "log(price)", ["size", "age"]), tmp_path, "prices")
    with_gap = table.with_columns(size=pl.Series([None, *table["size"][1:]]))
    with_gap.write_csv(tmp_path / "new.csv")
    out = tmp_path / "out.parquet"
    assert run(["predict", str(model_path), str(tmp_path / "new.csv"), "-o", str(out)]) == 0
    written = pl.read_parquet(out)["price"]
    assert written[0] is None
    with pytest.warns(GradlineWarning, match="1 row with missing values got no prediction"):
        expected = load(model_path).predict(with_gap)[1:, 0]
    assert (written[1:].to_numpy() == expected).all()
    capsys.readouterr()
    assert run(["inspect", str(model_path)]) == 0
    shown = capsys.readouterr().out
    assert "log(price) = " in shown
    assert "·exp(log(price))" in shown
    assert "R² of log" in shown


def test_the_graph_of_intervals_says_that_it_answers_logarithms(tmp_path: Path) -> None:
    table = prices()
    found = fit(table, "log(price)", ["size", "age"])
    path = export_package(found, tmp_path, "prices", intervals=True, report=False)
    graph = onnx.load(path / "intervals.onnx")
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(metadata["gradline.target_functions"]) == [vars(function(found))]
    record = json.loads((path / "manifest.json").read_text())["intervals"]
    rmse = (found.metrics["training"] or {})["price"].rmse_log
    assert rmse is not None
    freedom = record["degrees_of_freedom"]
    assert record["residual_deviation"]["price"] == pytest.approx(rmse * math.sqrt(400 / freedom))


@pytest.mark.parametrize(
    "entry",
    [
        "null",
        "[null]",
        '[{"function": "exp", "scale": 1.0, "scale_from": "rows"}]',
        '[{"function": "log", "scale": -1.0, "scale_from": "rows"}]',
        '[{"function": "log", "scale": 1.0}]',
        "[]",
    ],
)
def test_a_graph_with_other_functions_is_refused(tmp_path: Path, entry: str) -> None:
    path = export_package(fit(prices(), "log(price)", "size"), tmp_path, "p", report=False)
    graph = onnx.load(path / "model.onnx")
    for pair in graph.metadata_props:
        if pair.key == "gradline.target_functions":
            pair.value = entry
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(graph.SerializeToString())
    with pytest.raises(PackageError):
        load(changed)


def test_changes_are_measured_in_units_and_bounded_in_logarithms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = prices()
    table.write_csv(tmp_path / "t.csv")
    logged, other, plain = (
        str(export_package(fit(part, text, ["size", "age"]), tmp_path, name, report=False))
        for part, text, name in (
            (table, "log(price)", "a"),
            (table[:200], "log(price)", "b"),
            (table, "price", "c"),
        )
    )

    def compared(first: str, second: str, *more: str) -> tuple[int, Any]:
        code = run(["diff", first, second, "--json", *more])
        text = capsys.readouterr().out
        return code, json.loads(text)["targets"]["price"] if text else None

    data = ("--data", str(tmp_path / "t.csv"))
    for second in (other, plain):
        _, found = compared(logged, second, *data)
        change = load(second).predict(table) - load(logged).predict(table).astype(float)
        assert found["measured"]["rms"] == pytest.approx(math.sqrt((change**2).mean()), rel=1e-5)
    z = [np.log(load(path).predict(table).astype(float)) for path in (logged, other)]
    _, found = compared(logged, other)
    assert found["bound"] >= math.sqrt(((z[1] - z[0]) ** 2).mean()) * (1 - 1e-5)
    assert compared(logged, plain)[1]["bound"] is None
    assert run(["diff", logged, other]) == 0
    assert run(["diff", logged, plain]) == 0
    assert run(["diff", logged, other, "--max-change", "1e9"]) == 1
    assert run(["diff", logged, other, "--max-change", "1e9", *data]) == 0


def test_the_protocol_answers_in_units_and_says_what_is_learned(tmp_path: Path) -> None:
    table = prices()
    model = load(export_package(fit(table, "log(price)", ["size", "age"]), tmp_path, "prices"))
    served = ServedModel(model)
    x = table.select("size", "age").to_numpy()[:3]
    tensor = {"name": "x", "shape": [3, 2], "datatype": "FP64", "data": x.ravel().tolist()}
    found = json.loads(infer(served, json.dumps({"inputs": [tensor]}).encode(), None).body)
    expected = model.predict(x).ravel().tolist()
    assert found["outputs"][0]["data"] == pytest.approx(expected, rel=1e-6)
    properties = model_metadata(served, ["1"])["properties"]
    assert json.loads(properties["target_functions"])[0]["function"] == "log"


@pytest.mark.parametrize("options", [[], ["--intervals", "--holdout", "0.2"], ["--ridge", "auto"]])
def test_the_command_learns_a_logarithm(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices().drop("town").write_csv(tmp_path / "sales.csv")
    words = ["train-and-export", str(tmp_path / "sales.csv"), "-t", "log(price)", "-t", "w"]
    assert run([*words, "-o", str(tmp_path / "a"), "-v", *options]) == 0
    shown = capsys.readouterr().out
    assert "log(price) = " in shown
    assert "(the training rows' sum is right)" in shown
    assert "R² of log" in shown
    assert run(["inspect", str(tmp_path / "a" / "sales")]) == 0
    assert ("log(price) ± " in capsys.readouterr().out) == ("--intervals" in options)
    assert run([*words, "-o", str(tmp_path / "b"), "--json", *options]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["targets"] == ["price", "w"]
    assert record["target_functions"][0]["scale_from"] == "rows"
    assert "rmse_log" in record["metrics"]["training"]["price"]
    files = [tmp_path / folder / "sales" / "1" / "manifest.json" for folder in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_report_says_what_is_in_logarithms_and_what_in_units(tmp_path: Path) -> None:
    found = fit(prices(), ["log1p(count)", "w"], ["size", "age"])
    page = (export_package(found, tmp_path, "prices") / "report.html").read_text()
    scale = function(found).scale
    assert "log1p(count) = " in page
    assert f"count = {scale:.6g}·exp(log1p(count)) - 1" in page
    assert "How much predictions of <bdi>log1p(count)</bdi> vary with each column" in page
    assert "Predicted against actual values of count" in page
    assert "InferenceSession.create(&#34;pipeline.onnx&#34;)" in page
    assert "Math.exp(y.data[1])" not in page
    assert "R² of log" in page


def test_a_fit_is_summarized_under_the_name_of_what_is_learned() -> None:
    found = fit(prices(), ["log(price)", "count"], ["size", "age"]).summary()
    assert list(found.targets) == ["price", "count"]
    assert str(found).startswith("  log(price)")
    assert "  count" in str(found)


# The bound in units


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seed=st.integers(0, 2**16), scale=st.sampled_from([1e-3, 1.0, 30.0]))
@settings(max_examples=40, deadline=None)
def test_answers_in_units_are_within_their_bound(dtype: Any, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=(4, 3)).astype(dtype), rng.normal(size=(2, 3)).astype(dtype)
    weights = (weights * scale).astype(dtype)
    bias = rng.normal(size=2).astype(dtype)
    functions = [
        TargetFunction("log", 1.0 + rng.random(), "rows"),
        TargetFunction("log1p", 1.1, "rows"),
    ]
    kind = np.dtype(dtype)
    z, bounds = exact_outputs(x, weights, bias), rounding_bound(x, weights, bias, kind)
    allowed = bound_in_units(z, bounds, functions, kind)
    with localcontext() as context:
        context.prec = 50
        exact = [
            [
                Decimal(value).exp() * Decimal(f.scale) - int(f.offset)
                for value, f in zip(row, functions, strict=True)
            ]
            for row in z.tolist()
        ]
        # Rounding moves z by a fifth of its bound, at d = 3.
        for computed in (x @ weights.T + bias, z + bounds * 0.75, z - bounds * 0.75):
            found = in_units(computed.astype(dtype), functions)
            for place, value in np.ndenumerate(found):
                away = abs(Decimal(float(value)) - exact[place[0]][place[1]])
                assert not np.isfinite(value) or away <= Decimal(float(allowed[place]))


def test_names_of_what_is_learned() -> None:
    functions = [None, TargetFunction("log1p", 1.0, "rows")]
    assert learned_names(["a", "b c"], functions) == ["a", "log1p(b c)"]
    assert learned_names(["a"], []) == ["a"]
