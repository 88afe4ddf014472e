"""Rows as people have them: records, one record, a row of a frame; and what is said of them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gradline
from gradline.commands.group import run
from gradline_export import export_package
from gradline_trainer import fit

LEVELS = ("east", "north", "south")


def cafes(n: int = 150) -> pl.DataFrame:
    random = np.random.default_rng(0)
    size = [None if j % 12 == 5 else float(v) for j, v in enumerate(random.integers(20, 90, n))]
    return pl.DataFrame(
        {
            "opened": [
                date(2020, 1, 1).replace(day=1 + j % 28, year=2020 + j % 4) for j in range(n)
            ],
            "region": random.choice(LEVELS, n).tolist(),
            "size": size,
            "rent": random.uniform(900, 2000, n),
            "revenue": random.uniform(1000, 5000, n),
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> gradline.Model:
    root = tmp_path_factory.mktemp("cafes")
    return gradline.load(export_package(fit(cafes(), "revenue"), root, "cafes", report=False))


ROW: dict[str, Any] = {
    "opened": "2021-03-09",
    "region": "south",
    "size": 80,
    "rent": 1300.0,
}


WITHOUT = {name: value for name, value in ROW.items() if name != "rent"}


def columns(*records: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: [record[name] for record in records] for name in ROW}


FORMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "record": lambda row: row,
    "records": lambda row: [row],
    "tuple of records": lambda row: (row,),
    "columns": lambda row: {name: [value] for name, value in row.items()},
    "pandas frame": lambda row: pd.DataFrame([row]),
    "pandas row": lambda row: pd.DataFrame([row]).iloc[0],
    "pandas rows": lambda row: [pd.DataFrame([row]).iloc[0]],
    "pandas row of a table": lambda row: pd.DataFrame([row | {"revenue": 1.0}]).iloc[0],
    "polars frame": lambda row: pl.DataFrame([row]),
    "polars row": lambda row: pl.DataFrame([row]).row(0, named=True),
    "polars structs": lambda row: pl.DataFrame([row]).to_struct(),
    "pyarrow table": lambda row: pa.Table.from_pylist([row]),
    "pyarrow rows": lambda row: pa.Table.from_pylist([row]).to_pylist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_row_has_the_same_answer(form: str, model: gradline.Model) -> None:
    expected = model.predict(columns(ROW))
    answer = model.predict(FORMS[form](ROW))
    assert answer.shape == (1, 1)
    assert answer.dtype == model.dtype
    assert (answer == expected).all()
    assert (
        model.explain(FORMS[form](ROW)).contributions == model.explain(columns(ROW)).contributions
    ).all()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_takes_plain_numbers(form: str, orchard_package: Path) -> None:
    orchard = gradline.load(orchard_package)
    row = {"humidity": 43, "temperature": 73.0, "rainfall": 67}  # in any order
    answer = orchard.predict(FORMS[form](row))
    assert (answer == orchard.predict([[73, 67, 43]])).all()


@pytest.mark.parametrize(
    "other",
    [
        {"opened": date(2021, 3, 9)},
        {"opened": datetime(2021, 3, 9)},
        {"opened": np.datetime64("2021-03-09")},
        {"opened": pd.Timestamp(2021, 3, 9)},
        {"size": "80"},
        {"size": np.float32(80), "rent": Decimal(1300)},
        {"rent": np.array(1300.0)},
        {"region": " south "},
        {"region": np.str_("south")},
    ],
)
def test_a_records_values_are_read_as_in_any_carrier(
    other: dict[str, Any], model: gradline.Model
) -> None:
    assert (model.predict(ROW | other) == model.predict(ROW)).all()
    assert (model.predict([ROW, ROW | other]) == model.predict(ROW)).all()


def test_a_record_without_any_value_has_no_answer(model: gradline.Model) -> None:
    for nothing in (None, float("nan"), pd.NA, pd.NaT, ""):
        with pytest.warns(gradline.GradlineWarning, match="1 row with missing values"):
            assert np.isnan(model.predict(dict.fromkeys(ROW, nothing))).all()


def test_records_and_columns_do_not_mix(model: gradline.Model) -> None:
    with pytest.raises(gradline.InputError) as caught:
        model.predict({"opened": ["2021-03-09"], "region": "south", "size": [80], "rent": [1.0]})
    assert str(caught.value) == "the column 'region' is a single value, and 'opened' has several"
    assert caught.value.hint == "give every column a list of values, or every column one value"
    assert caught.value.code == "wrong-shape"


@pytest.mark.parametrize(
    ("rows", "message", "hint"),
    [
        ([ROW, ROW | {"Rent": 1}], "record 2 has the unknown column 'Rent'", "leave it out"),
        (
            [WITHOUT],
            "record 1 lacks the column 'rent'",
            "None",
        ),
        ([ROW, [1, 2, 3, 4]], "record 2 is a list", "same form"),
        ({**ROW, "Size": 3}, "unknown column 'Size'", "leave it out"),
        (WITHOUT, "the column 'rent' is missing", "add the"),
        (
            WITHOUT | {"rnt": 1},
            "'rnt'",
            "did you mean 'rent'",
        ),
        (pd.Series({"region": "east"}), "the column 'opened' is missing", "add the column"),
        (pl.DataFrame({"x": [1]}), "the column 'opened' is missing", "add the columns 'opened'"),
    ],
)
def test_a_wrong_name_is_told(rows: Any, message: str, hint: str, model: gradline.Model) -> None:
    with pytest.raises(gradline.InputError) as caught:
        model.predict(rows)
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "rows", [[list(ROW.values())], [["x"]], np.array([list(ROW.values())], object), [[1.0, 2.0]]]
)
def test_values_without_names_are_told_how_to_have_some(rows: Any, model: gradline.Model) -> None:
    with pytest.raises(gradline.InputError) as caught:
        model.predict(rows)
    assert caught.value.code in ("not-numeric", "wrong-shape")
    line = caught.value.hint.removeprefix("give the columns by name, such as ")
    rows = [[*ROW.values()]]
    frame = eval(line, {"pandas": pd, "rows": rows})  # noqa: S307
    assert (model.predict(frame) == model.predict(ROW)).all()


def test_a_column_alone_is_told_to_be_one(tmp_path: Path) -> None:
    model = gradline.load(fit({"x": [1.0, 2, 4], "y": [1.0, 2, 5]}, "y").export(tmp_path))
    for rows in (pd.Series([1.0, 2.0]), pl.Series([1.0, 2.0]), [1.0, 2.0]):
        with pytest.raises(gradline.InputError, match="one dimension of length 2") as caught:
            model.predict(rows)
        line = caught.value.hint.removeprefix("one feature: ")
        assert model.predict(eval(line, {"numpy": np, "rows": rows})).shape == (2, 1)  # noqa: S307


def test_a_series_without_names_is_one_dimension(orchard_package: Path) -> None:
    for series in (pd.Series([73.0, 67.0, 43.0]), pl.Series([73.0, 67.0, 43.0])):
        with pytest.raises(gradline.InputError, match="got one dimension") as caught:
            gradline.load(orchard_package).predict(series)
        assert caught.value.hint == "wrap the single row: model.predict([row])"


def test_no_rows_are_no_rows(model: gradline.Model) -> None:
    assert model.predict({name: [] for name in ROW}).shape == (0, 1)
    assert model.predict(pl.DataFrame(schema=pl.DataFrame([ROW]).schema)).shape == (0, 1)


# Warnings


ODD = [
    ROW,
    ROW | {"size": None},
    ROW | {"region": "west"},
    ROW | {"rent": None},
    ROW | {"rent": float("inf")},
    ROW | {"region": "alpine"},
]


@pytest.mark.parametrize("unknown", ["missing", "zero"])
@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame, list, lambda rows: columns(*rows)])
def test_python_warns_as_the_command_does(
    form: Callable[[Any], Any],
    unknown: str,
    model: gradline.Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table, out = tmp_path / "t.parquet", tmp_path / "out.csv"
    pl.DataFrame(ODD).write_parquet(table)
    options = ["--unknown-category", unknown, "-o", str(out), "-q"]
    assert run(["predict", str(model.package.path), str(table), *options]) == 0
    printed = [line.removeprefix("Warning: ") for line in capsys.readouterr().err.splitlines()]
    assert len(printed) == 4
    for answer in (model.predict, model.explain):
        with pytest.warns(gradline.GradlineWarning) as caught:
            answer(form(ODD), unknown_category=unknown)
        assert [str(w.message) for w in caught] == printed
        assert {w.filename for w in caught} == {__file__}


def test_a_complete_row_warns_of_nothing(model: gradline.Model, orchard_package: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(ROW)
        model.predict([ROW] * 3, intervals=0.9, check=True)
        model.explain(ROW)
        gradline.load(orchard_package).predict([[73, 67, 43]])


def test_a_warning_names_the_columns_that_lack_a_value(model: gradline.Model) -> None:
    rows = [ROW, ROW | {"rent": None}, ROW | {"opened": None, "rent": None}, ROW | {"size": None}]
    with pytest.warns(gradline.GradlineWarning, match="no prediction") as caught:
        model.predict(rows)
    told = "2 rows with missing values got no prediction (missing: opened, rent)"
    assert str(caught[-1].message) == told


def test_an_array_and_the_server_are_not_warned(model: gradline.Model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = np.full((2, len(model.features)), np.nan)
        assert model.predict(array).shape == (2, 1)
        assert len(model.explain(array).contributions) == 2
        answers, ends, outside = model.answer(model.read(ODD))
        assert (answers.shape, ends, outside) == ((6, 1), None, None)


# What a notebook shows


def shown(found: Any) -> str:
    html: str = found._repr_html_()
    assert "<script" not in html
    assert "background" not in html
    assert html.count("<table") == html.count("</table>")
    return html


def test_a_model_is_shown_in_a_few_lines(orchard_package: Path) -> None:
    model = gradline.load(orchard_package)
    assert repr(model).splitlines() == [
        "gradline.Model orchard 1: 3 columns -> apples, oranges",
        *(f"  {line}" for line in model.equation.splitlines()),
        "                            RMSE        R²",
        "  apples, training rows    0.981  0.999188",
        "  oranges, training rows  0.0687  0.999996",
    ]
    html = shown(model)
    assert "orchard 1" in html
    assert "0.84776·rainfall" in html
    assert "0.999188" in html
    bare = gradline.load(orchard_package / "model.onnx")
    assert bare.metrics == {}
    assert "RMSE" not in repr(bare) + shown(bare)
    assert model.metrics == model.manifest["metrics"]


def test_the_equation_is_the_summarys(
    orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(orchard_package)]) == 0
    printed = capsys.readouterr().out
    for line in gradline.load(orchard_package).equation.splitlines():
        assert " ".join(line.split()) in " ".join(printed.split())


def test_coefficients_are_the_graphs_by_name(orchard_package: Path, tmp_path: Path) -> None:
    model = gradline.load(orchard_package)
    found = model.coefficients
    for j, target in enumerate(model.targets):
        graph = model.package.graph
        assert list(found[target]) == [*model.features, "bias"]
        assert list(found[target].values()) == [*graph.weights[j].tolist(), float(graph.bias[j])]
    table = {"bias": [1.0, 2, 4, 7], "y": [1.0, 3, 2, 9]}
    other = gradline.load(export_package(fit(table, "y"), tmp_path, "m", report=False))
    assert list(other.coefficients["y"]) == ["bias", "(bias)"]


def test_names_are_escaped_and_a_logged_target_is_explained(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    table = {"<b>&": random.random(40), "y": random.random(40) + 1}
    model = gradline.load(export_package(fit(table, "log(y)"), tmp_path, "m", report=False))
    rows = {"<b>&": [0.5, 3.0]}
    prediction, outside = model.predict(rows, intervals=0.9, check=True)
    for found in (model, outside, model.explain(rows)):
        assert "<b>" not in shown(found)
        assert "&lt;b&gt;&amp;" in found._repr_html_()
    assert "exp(log(y))" in model.equation
    assert "exp(log(y))" in repr(model)
    assert "90 %" in shown(prediction)


def test_a_large_prediction_is_cut(orchard_package: Path) -> None:
    model = gradline.load(orchard_package)
    found, outside = model.predict([[1, 2, 3]] * 1000, intervals=0.95, check=True)
    for text in (repr(found), repr(outside), repr(model.explain([[1, 2, 3]] * 1000))):
        assert len(text.splitlines()) < 9
        assert "1,000 rows" in text
    for html in map(shown, (found, outside)):
        assert len(html) < 4000


# Without polars and pandas


def test_all_of_it_works_without_polars_and_pandas(model: gradline.Model) -> None:
    code = f"""
import sys
for name in ("polars", "pandas", "pyarrow", "torch", "onnx", "scipy"):
    sys.modules[name] = None
import gradline
model = gradline.load({str(model.package.path)!r})
row = {ROW!r}
one = model.predict(row)
assert (one == model.predict([row])).all() and (one == model.predict([row, row])[1:]).all()
found, outside = model.predict([row], intervals=0.9, check=True)
print(model, found, outside, model.explain(row), model.equation, model.coefficients)
model._repr_html_(), found._repr_html_(), outside._repr_html_()
try:
    model.explain(row).frame()
except gradline.MissingExtraError as error:
    print(error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[tables]" in done.stdout


# The package's face


def test_dir_is_the_public_names_and_the_version_is_lazy() -> None:
    assert sorted(dir(gradline)) == sorted([*gradline.__all__, "__version__"])
    code = "import sys, gradline; assert 'importlib.metadata' not in sys.modules; "
    code += "print(gradline.__version__); help(gradline)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    from importlib.metadata import version

    assert done.stdout.startswith(version("gradline"))
    assert "class Prediction" in done.stdout
