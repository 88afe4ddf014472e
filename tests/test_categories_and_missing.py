"""Categories become indicators, missing numbers the training mean, and the graph stays linear."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge

import gradline
from gradline.columns.encoding import dump_columns, in_order, parse_columns
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.commands.group import cli
from gradline.errors import GradlineError, InputError
from gradline.package.manifest import dump_manifest
from gradline.package.reading import read_package
from gradline.tables import Block
from gradline_export import export_package
from gradline_trainer import Fit, fit
from gradline_trainer.rows.dealing import held_out_rows

# What is said of filled rows: tests/test_rows_of_any_form.py.
pytestmark = pytest.mark.filterwarnings("ignore:.* rows? with:gradline.GradlineWarning")
LEVELS = ["Zürich", "basel", "São=1", "Ωmega"]
ROWS = 300


@pytest.fixture(scope="module")
def shops() -> pd.DataFrame:
    random = np.random.default_rng(7)
    region = random.choice(LEVELS, ROWS, p=[0.4, 0.3, 0.2, 0.1])
    store = random.integers(9, 12, ROWS)
    area = random.normal(100.0, 20.0, ROWS)
    revenue = 2 * area + 5.0 * (region == "basel") - store + random.normal(size=ROWS)
    area[::11] = np.nan
    return pd.DataFrame({"region": region, "area": area, "store": store, "revenue": revenue})


@pytest.fixture(scope="module")
def shops_fit(shops: pd.DataFrame) -> Fit:
    return fit(shops, "revenue", one_hot=["region", "store"], missing="mean")


@pytest.fixture(scope="module")
def package(shops_fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_package(shops_fit, tmp_path_factory.mktemp("artifacts"), "shops")


def by_hand(shops: pd.DataFrame, fit: Fit) -> np.ndarray[Any, Any]:
    """Return the graph's inputs as pandas and scikit-learn make them, in the fit's order."""
    numbers = shops[["area"]].assign(area=SimpleImputer().fit_transform(shops[["area"]]))
    dummies = pd.get_dummies(
        shops[["region", "store"]].astype(str), prefix_sep="=", dtype=np.float64
    )
    return pd.concat([numbers, dummies], axis=1)[fit.features].to_numpy()


def refused(shops: Any, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        fit(shops, "revenue", **options)
    return caught.value


# Learning


def test_features_and_columns_are_in_table_order_without_the_most_frequent(shops_fit: Fit) -> None:
    assert shops_fit.features[:4] == ["region=São=1", "region=basel", "region=Ωmega", "area"]
    region, area, store = shops_fit.columns.inputs
    assert region.levels == ("São=1", "Zürich", "basel", "Ωmega")
    assert region.reference == "Zürich"
    assert (area.kind, area.levels, area.reference) == ("number", (), None)
    assert store.levels == ("9", "10", "11")


def test_it_learns_what_get_dummies_and_linear_regression_do(
    shops: pd.DataFrame, shops_fit: Fit
) -> None:
    inputs = by_hand(shops, shops_fit)
    expected = LinearRegression().fit(inputs, shops["revenue"])
    np.testing.assert_allclose(shops_fit.weights[0], expected.coef_, rtol=1e-9)
    np.testing.assert_allclose(shops_fit.bias[0], expected.intercept_, rtol=1e-9)


def test_with_a_ridge_penalty_every_level_has_its_indicator(shops: pd.DataFrame) -> None:
    found = fit(shops, "revenue", one_hot="region", exclude="store", missing="mean", ridge=2.0)
    assert [f for f in found.features if "=" in f] == [f"region={v}" for v in sorted(LEVELS)]
    expected = Ridge(alpha=2.0).fit(by_hand(shops, found), shops["revenue"])
    np.testing.assert_allclose(found.weights[0], expected.coef_, rtol=1e-8)


def test_without_a_bias_every_level_has_its_indicator(shops: pd.DataFrame) -> None:
    found = fit(shops, "revenue", ["region"], one_hot="region", bias=False)
    assert found.columns.inputs[0].reference is None
    means = shops.groupby("region")["revenue"].mean()
    np.testing.assert_allclose(found.weights[0], means[sorted(LEVELS)], rtol=1e-12)


def test_of_equally_frequent_levels_the_first_code_point_is_the_reference() -> None:
    for one, other in (("b", "a"), (9, 10)):
        found = fit({"c": [one, other, one, other], "y": [1, 2, 3, 5]}, "y", one_hot="c")
        assert found.columns.inputs[0].reference == str(other)


def test_the_mean_is_that_of_the_weighted_training_rows(shops: pd.DataFrame) -> None:
    shops = shops.assign(w=np.arange(ROWS) % 4, revenue=shops["revenue"].where(shops.index != 5))
    found = fit(shops, "revenue", ["area"], sample_weight="w", missing="mean")
    kept = shops[shops["area"].notna() & shops["revenue"].notna()]
    mean = np.average(kept["area"], weights=kept["w"])
    assert found.columns.inputs[0].fill == pytest.approx(mean, rel=1e-14)
    assert found.rows_dropped == 1


def test_rows_held_out_add_no_level_and_no_value_to_a_mean() -> None:
    n = 200
    options: dict[str, Any] = {"one_hot": "c", "missing": "mean", "holdout": 0.1}
    table: dict[str, Any] = {"a": np.arange(float(n)), "c": ["x", "y"] * 100}
    table["y"] = np.arange(n) % 7.0
    before = fit(table, "y", **options)
    held = np.flatnonzero(held_out_rows(Block(0, 0, (np.zeros((n, 1)),)), before.options))
    table["a"][held] = 1e6
    table["c"][held[0]] = "rare"
    after = fit(table, "y", **options)
    assert after.columns == before.columns
    assert (before.rows_held_out, after.rows_held_out) == (20, 19)
    assert any("a category that no training row has" in w for w in after.warnings)


def test_dropped_rows_and_rows_of_weight_0_add_no_level() -> None:
    table = {
        "a": [1.0, None, 3.0, 4.0, 5.0, 6.0],
        "c": ["x", "dropped", "y", "x", "y", "idle"],
        "w": [1, 1, 1, 2, 1, 0],
        "y": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
    }
    found = fit(table, "y", ["a", "c"], one_hot="c", missing="drop", sample_weight="w")
    assert found.columns.inputs[1].levels == ("x", "y")


@pytest.mark.parametrize("options", [{"preconditioning": "none"}, {"gradient": "rows"}, {}])
def test_blocks_of_any_size_and_every_loop_see_the_same_inputs(
    shops: pd.DataFrame, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import gradline.tables.table

    options = {**options, "one_hot": ["region", "store"], "missing": "mean", "arithmetic": "fast"}
    options |= {"learning_rate": 1e-5, "epochs": 3} if "preconditioning" in options else {}
    whole = fit(shops, "revenue", **options)
    monkeypatch.setattr(gradline.tables.table, "BLOCK_ROWS", 64)
    blocks = fit(shops, "revenue", **options)
    assert blocks.features == whole.features
    np.testing.assert_allclose(blocks.weights, whole.weights, rtol=1e-5)


# Predicting


WAYS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "mapping of lists": lambda t: {n: t[n].tolist() for n in reversed(t.columns)},
    "mapping of arrays": lambda t: {n: t[n].to_numpy() for n in t.columns},
    "pandas": lambda t: t.assign(more=0),
    "pandas, categories": lambda t: t.astype({"region": "category", "store": "category"}),
    "pandas, integers as floats": lambda t: t.astype({"store": float}),
    "pandas, integers as text": lambda t: t.astype({"store": str}),
    "polars": pl.from_pandas,
    "polars, categories": lambda t: pl.from_pandas(t).cast({"region": pl.Categorical}),
    "pyarrow": lambda t: pa.Table.from_pandas(t, preserve_index=False),
    "pyarrow, dictionaries": lambda t: pa.table(
        {n: pa.array(t[n]).dictionary_encode() if n == "region" else pa.array(t[n]) for n in t}
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_by_name_the_package_answers_as_eager_weights_on_rows_expanded_by_hand(
    way: str, shops: pd.DataFrame, shops_fit: Fit, package: Path
) -> None:
    model = gradline.load(package)
    inputs = by_hand(shops, shops_fit)
    rows = WAYS[way](shops.drop(columns="revenue"))
    expected = inputs @ shops_fit.weights.numpy().T + shops_fit.bias.numpy()
    answers = model.predict(rows)
    np.testing.assert_allclose(answers, expected, rtol=1e-5)
    np.testing.assert_array_equal(answers, model.predict(inputs))


def test_the_graphs_own_inputs_work_too_and_a_nan_is_filled_there(
    shops: pd.DataFrame, shops_fit: Fit, package: Path
) -> None:
    model = gradline.load(package)
    inputs = by_hand(shops, shops_fit)
    expected = model.predict(inputs)
    inputs[:, shops_fit.features.index("area")] = shops["area"]
    assert np.isnan(inputs).any()
    np.testing.assert_array_equal(model.predict(inputs), expected)
    np.testing.assert_array_equal(model.predict(inputs.astype(model.dtype)), expected)
    frame = pd.DataFrame(inputs, columns=shops_fit.features)
    np.testing.assert_array_equal(model.predict(frame[frame.columns[::-1]]), expected)


def test_a_light_install_expands_mappings_and_pandas_frames(
    package: Path, shops: pd.DataFrame, tmp_path: Path
) -> None:
    shops.head(20).to_pickle(tmp_path / "shops.pickle")
    code = f"""
import sys
import pandas
sys.modules["polars"] = None
import gradline
model = gradline.load({str(package)!r})
rows = pandas.read_pickle({str(tmp_path / "shops.pickle")!r}).drop(columns="revenue")
rows["area"] = [None if a != a else a for a in rows["area"]]
print(model.predict(rows).ravel().tolist() == model.predict(rows.to_dict("list")).ravel().tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".ndjson"])
def test_files_are_expanded_alike_in_training_and_prediction(
    suffix: str, shops: pd.DataFrame, shops_fit: Fit, package: Path, tmp_path: Path
) -> None:
    path, out = tmp_path / f"shops{suffix}", tmp_path / "out.parquet"
    frame = pl.from_pandas(shops)
    {".csv": frame.write_csv, ".parquet": frame.write_parquet, ".ndjson": frame.write_ndjson}[
        suffix
    ](path)
    trained = fit(path, "revenue", one_hot=["region", "store"], missing="mean")
    assert trained.columns == shops_fit.columns
    np.testing.assert_array_equal(trained.weights, shops_fit.weights)
    result = CliRunner().invoke(cli, ["predict", str(package), str(path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    answers = pl.read_parquet(out)["revenue"].to_numpy()
    np.testing.assert_array_equal(answers, gradline.load(package).predict(shops)[:, 0])


def test_a_missing_category_gets_a_missing_prediction(shops: pd.DataFrame, package: Path) -> None:
    model = gradline.load(package)
    two = shops.head(2).astype({"region": object})
    for missing in (None, np.nan, pd.NA, "", "  "):
        two.loc[0, "region"] = missing
        for rows in (two, pa.table({n: pa.array(two[n], from_pandas=True) for n in two})):
            answers = model.predict(rows)
            assert np.isnan(answers[0, 0])
            assert np.isfinite(answers[1, 0])
    encoded = pa.array(["basel", None, "Zürich"]).dictionary_encode()
    table = pa.table({"region": encoded, "area": [1.0, 1.0, 1.0], "store": [9, 9, 9]})
    assert np.isnan(model.predict(table)[:, 0]).tolist() == [False, True, False]


def test_a_missing_value_of_a_dictionary_is_missing_in_training_too() -> None:
    encoded = pa.array(["x", None, "y", "x", "y"]).dictionary_encode()
    table = pa.table({"c": encoded, "y": [1.0, 2.0, 4.0, 8.0, 16.0]})
    for asked in ({"strict": True}, {"missing": "error"}):
        with pytest.raises(InputError, match="'c' has 1 missing value, the first in row 2"):
            fit(table, "y", one_hot="c", **asked)
    assert fit(table, "y", one_hot="c").features == ["c=y", "c is missing"]


def test_an_unknown_category_is_an_error_or_by_request_no_indicator(
    shops: pd.DataFrame, package: Path, tmp_path: Path
) -> None:
    model = gradline.load(package)
    rows = shops.head(3).assign(region=["basel", "Basel", "basel"])
    with pytest.raises(InputError) as caught:
        model.predict(rows)
    assert str(caught.value).startswith(
        "the column 'region' has the unknown category 'Basel' in row 2 of the table"
    )
    assert caught.value.code == "unknown-category"
    assert "did you mean 'basel'?" in str(caught.value.hint)
    zero = model.predict(rows, unknown_category="zero")
    assert zero[1] == model.predict(rows.assign(region="Zürich"))[1]
    with pytest.raises(
        InputError, match="unknown_category = 'nil', expected one of error, missing, zero"
    ):
        model.predict(rows, unknown_category="nil")
    rows.to_csv(tmp_path / "new.csv", index=False)
    arguments = ["predict", str(package), str(tmp_path / "new.csv")]
    assert "'Basel' in row 2 of new.csv" in str(CliRunner().invoke(cli, arguments).exception)
    result = CliRunner().invoke(cli, [*arguments, "--unknown-category", "zero"])
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 4


def test_booleans_are_true_and_false(tmp_path: Path) -> None:
    flags = [True, False, True, True]
    found = fit({"f": flags, "y": [1.0, 2.0, 3.0, 5.0]}, "y", one_hot="f")
    assert found.columns.inputs[0].levels == ("false", "true")
    assert found.features == ["f=false"]
    model = gradline.load(export_package(found, tmp_path, "flags"))
    for values in (flags, np.array(flags), ["true", " false ", "true", "true"]):
        np.testing.assert_allclose(model.predict({"f": values})[:, 0], [3, 2, 3, 3])


# The package


def test_the_package_says_what_it_was_trained_on(package: Path, shops_fit: Fit) -> None:
    read = read_package(package)
    entries = json.loads(read.graph.metadata["gradline.columns"])
    assert entries == read.manifest["schema"]["columns"]
    assert entries[0] == {
        "name": "region",
        "kind": "category",
        "levels": ["São=1", "Zürich", "basel", "Ωmega"],
        "reference": "Zürich",
    }
    assert entries[1] == {
        "name": "area",
        "kind": "number",
        "fill": shops_fit.columns.inputs[1].fill,
    }
    assert gradline.load(package / "model.onnx").columns == shops_fit.columns.inputs
    said = CliRunner().invoke(cli, ["inspect", str(package)]).stdout
    assert "one-hot  region: São=1, Zürich, basel, Ωmega; reference Zürich" in said
    assert "missing  filled with area" in said


def test_its_self_test_and_its_proofs_hold(package: Path) -> None:
    result = CliRunner().invoke(cli, ["verify", str(package)])
    assert result.exit_code == 0, result.output


def test_a_package_without_categories_has_no_description_of_columns(orchard_package: Path) -> None:
    read = read_package(orchard_package)
    assert "gradline.columns" not in read.graph.metadata
    assert "columns" not in read.manifest["schema"]


TAMPERED: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "another order of levels": lambda c: c[0]["levels"].reverse(),
    "a level more": lambda c: c[0]["levels"].append("ω"),
    "another reference": lambda c: c[0].update(reference="basel"),
    "a reference that is no level": lambda c: c[0].update(reference="x"),
    "no reference": lambda c: c[0].pop("reference"),
    "a level twice": lambda c: c[0].update(levels=["a", "a"]),
    "another name": lambda c: c[1].update(name="size"),
    "another kind": lambda c: c[1].update(kind="text"),
    "a further member": lambda c: c[1].update(unit="m"),
    "a fill that is no number": lambda c: c[1].update(fill="1"),
    "an infinite fill": lambda c: c[1].update(fill=float("inf")),
    "a filled category": lambda c: c[0].update(fill=1.0),
    "columns exchanged": lambda c: c.reverse(),
    "no column": lambda c: c.clear(),
}


@pytest.mark.parametrize("edit", TAMPERED.values(), ids=TAMPERED)
def test_tampered_columns_are_refused_even_in_a_bare_file(
    edit: Callable[[list[dict[str, Any]]], object], package: Path, tmp_path: Path
) -> None:
    model = onnx.load_model(package / "model.onnx")
    properties = {p.key: p.value for p in model.metadata_props}
    columns = json.loads(properties["gradline.columns"])
    edit(columns)
    helper.set_model_props(model, {**properties, "gradline.columns": json.dumps(columns)})
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(gradline.PackageError, match=r"under gradline\.columns"):
        gradline.load(tmp_path / "model.onnx")


def test_another_fill_in_the_manifest_contradicts_the_graph(package: Path, tmp_path: Path) -> None:
    for file in ("model.onnx", "golden.json"):
        (tmp_path / file).write_bytes((package / file).read_bytes())
    document = json.loads((package / "manifest.json").read_text())
    del document["seal"]
    document["schema"]["columns"][1]["fill"] += 1.0
    (tmp_path / "manifest.json").write_bytes(dump_manifest(document))
    with pytest.raises(gradline.PackageError) as caught:
        gradline.load(tmp_path)
    assert caught.value.code == "contradiction"


def test_summary_and_report_show_how_to_predict_by_the_tables_names(
    shops: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shops.to_csv("shops.csv", index=False)
    options = ["-t", "revenue", "--one-hot", "region", "--one-hot", "store", "--missing", "mean"]
    said = CliRunner().invoke(cli, ["train-and-export", "shops.csv", *options]).stdout
    assert "one-hot  store: 9, 10, 11; reference" in said
    code = said.split("  Python   ")[1].splitlines()[0]
    assert "'region': 'Zürich'" in code
    answer = eval(code.removeprefix("import gradline; "))  # noqa: S307 - what people are told to copy
    page = html.unescape(Path("artifacts/shops/1/report.html").read_text())
    assert "against <bdi>Zürich</bdi>" in page
    example = json.loads(page.split("model.predict(")[1].split(")</pre>")[0])
    np.testing.assert_array_equal(gradline.load("artifacts/shops").predict(example), answer)


# Bad input


def test_bad_input_is_named(shops: pd.DataFrame) -> None:
    gone = shops.assign(region=shops["region"].where(shops.index != 41))
    ways: list[tuple[pd.DataFrame, dict[str, Any], str]] = [
        (gone, {"missing": "error", "exclude": "area"}, "'region' has 1 missing value, the first"),
        (gone, {"strict": True, "exclude": "area"}, "'region' has 1 missing value, the first in"),
        (gone, {"missing": "mean"}, "the column 'region' has 1 missing value, the first in row 42"),
        (shops.assign(region="x"), {"exclude": "area"}, "'region' has one category only, 'x'"),
        (shops, {"one_hot": ["area"], "missing": "drop"}, "holds numbers with fractions, such as"),
        (shops, {"one_hot": ["revenue"]}, "'revenue' is named as target and as category"),
        (shops, {"features": ["area"]}, "the category 'region' is not among the features"),
        (shops, {"exclude": "region"}, "is named as excluded column and as category"),
        (shops, {"one_hot": ["regin"]}, "unknown category 'regin'"),
        (shops, {"max_categories": 3, "exclude": "area"}, "'region' has more than 3 categories"),
        (shops, {"max_categories": 1}, "max_categories = 1, expected 2 or more"),
        (
            shops.assign(**{"region=basel": 1.0}),
            {"exclude": "area"},
            "the indicator 'region=basel' of the column 'region' has the name of a column",
        ),
        (
            shops.assign(region=pd.Timestamp("2020-01-01")),
            {"exclude": "area"},
            "the column 'region' holds dates, expected categories",
        ),
        (
            shops.assign(region=pd.Timestamp("2020-01-01"), kind=["a", "b"] * 150),
            {"exclude": "area"},
            "the column 'region' holds dates, expected categories",
        ),
        (
            shops.assign(region="x", kind=["a", "b"] * 150),
            {"exclude": "area"},
            "'region' has one category only, 'x'",
        ),
        (
            shops.assign(area=np.nan),
            {"missing": "mean", "strict": True},
            "the column 'area' has no value",
        ),
    ]
    for table, options, said in ways:
        error = refused(table, **{"one_hot": "region", **options})
        assert said in str(error), str(error)
        assert isinstance(error, GradlineError)


def test_two_columns_whose_indicators_have_one_name_are_refused() -> None:
    table = {"a": ["b=c", "x"] * 3, "a=b": ["c", "y", "y"] * 2, "y": [1, 2, 3, 5, 8, 13]}
    with pytest.raises(InputError, match="the indicator 'a=b=c' of the column 'a=b'"):
        fit(table, "y", one_hot=["a", "a=b"], bias=False)


def test_more_categories_than_usual_need_the_option() -> None:
    table = {"c": [f"v{i % 1001}" for i in range(2002)], "y": np.arange(2002.0)}
    error = refused({**table, "revenue": table["y"]}, features=["c"], one_hot="c")
    assert "the column 'c' has more than 1000 categories" in str(error)
    assert "--max-categories N" in str(error.command_hint)
    assert len(fit(table, "y", one_hot="c", max_categories=1001).features) == 1000


def test_a_missing_category_drops_its_row_by_request(shops: pd.DataFrame) -> None:
    gone = shops.assign(region=shops["region"].where(shops.index % 3 != 0))
    found = fit(gone, "revenue", one_hot="region", missing="drop")
    expected = fit(gone.dropna(), "revenue", one_hot="region")
    assert found.rows_dropped == int(gone.isna().any(axis=1).sum())
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-12)


# The encoding


@given(st.sets(st.integers(-(10**20), 10**20), min_size=1))
def test_integers_are_in_numeric_order(levels: set[int]) -> None:
    assert in_order([str(level) for level in levels]) == tuple(map(str, sorted(levels)))


@given(st.data())
def test_columns_come_back_from_json_and_indicators_say_the_level(data: st.DataObject) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
    levels = in_order(data.draw(st.lists(text, min_size=2, unique=True)))
    reference = data.draw(st.sampled_from([None, *levels]))
    category = Column("c", "category", levels, reference)
    columns = [Column("a", fill=data.draw(st.floats(-1e9, 1e9))), category, Column("b")]
    features = [name for column in columns for name in column.features]
    if len(set(features)) == len(features):
        document = json.loads(json.dumps(dump_columns(columns)))
        assert parse_columns(document, features) == columns
    place = data.draw(st.integers(0, len(levels) - 1))
    (row,) = Plan.of_columns(columns).compute(np.array([[np.nan, place, 3.0]]))
    assert row[0] == columns[0].fill
    named = dict(zip(category.features, row[1:-1], strict=True))
    assert sum(named.values()) == named.get(f"c={levels[place]}", 0.0)
    assert sum(named.values()) == (levels[place] != reference)


def test_whole_numbers_are_one_category_however_they_are_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    whole = pd.DataFrame({"c": rng.integers(0, 3, 40).astype(float), "y": rng.normal(size=40)})
    whole.loc[5, "c"] = np.nan
    whole.to_csv(tmp_path / "t.csv", index=False)  # as 0.0, 1.0, 2.0
    whole.to_parquet(tmp_path / "t.parquet")
    nullable = whole.astype({"c": "Int64"})
    fits = [
        fit(table, "y", one_hot="c", missing="drop")
        for table in (whole, nullable, tmp_path / "t.csv", tmp_path / "t.parquet")
    ]
    assert all(found.features == fits[0].features for found in fits)
    assert sorted(fits[0].columns.inputs[0].levels) == ["0", "1", "2"]
    model = gradline.load(export_package(fits[2], tmp_path, "t"))
    for rows in ({"c": [1.0]}, {"c": [1]}, {"c": ["1"]}, {"c": ["1.0"]}):
        assert model.predict(rows) == model.predict({"c": [1.0]})


def test_fractions_in_a_frame_are_no_categories() -> None:
    table = {"c": [0.5, 1.5, 2.5, 0.5], "y": [1.0, 2, 3, 5]}
    with pytest.raises(InputError, match=r"holds numbers with fractions, such as 0\.5"):
        fit(table, "y", one_hot="c")
