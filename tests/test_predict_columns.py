"""gradline predict: truth beside prediction, intervals, and a part for each column."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import gradline
from gradline.commands.group import run
from gradline.scoring.folder import score_files
from gradline.scoring.rows import Scoring
from gradline.tables import open_files
from gradline_export import export_package
from gradline_trainer import fit

SHOPS = pl.DataFrame(
    {
        "size": np.arange(60.0) % 17,
        "region": [*"abc"] * 20,
        "sales": [3.0 * (j % 17) + 10 * (j % 3 == 1) + (j % 5) for j in range(60)],
    }
)


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_package(fit(SHOPS, "sales"), tmp_path_factory.mktemp("artifacts"), "shops")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    SHOPS.write_parquet("shops.parquet")


def predicted(package: Path, *words: str, data: str = "shops.parquet") -> pl.DataFrame:
    assert run(["predict", str(package), data, "-o", "out.parquet", *words]) == 0
    return pl.read_parquet("out.parquet")


def refused(capsys: pytest.CaptureFixture[str], package: Path, *words: str, data: str) -> str:
    assert run(["predict", str(package), data, *words]) in (1, 2)
    return capsys.readouterr().err


ENDS = ("", "_lower", "_upper")


@pytest.mark.parametrize(
    ("names", "words", "made"),
    [
        ([], [], ["sales"]),
        (["sales"], [], ["sales_predicted"]),
        (["sales"], ["--intervals"], [f"sales_predicted{end}" for end in ENDS]),
        (["sales_lower"], ["--intervals"], [f"sales_predicted{end}" for end in ENDS]),
        (["sales_lower"], [], ["sales"]),
        ([], ["--intervals"], ["sales", "sales_lower", "sales_upper"]),
    ],
)  # fmt: skip
def test_a_prediction_beside_a_kept_column_of_its_name_says_that_it_is_one(
    names: list[str], words: list[str], made: list[str], shops: Path
) -> None:
    table = SHOPS.with_columns(pl.lit(1.0).alias(name) for name in names if name != "sales")
    table.write_parquet("more.parquet")
    keep = [word for name in names for word in ("--keep", name)]
    found = predicted(shops, *keep, *words, data="more.parquet")
    assert found.columns == [*names, *made]
    for name in names:
        assert found[name].equals(table[name])


def test_all_columns_are_kept_beside_the_predictions(shops: Path) -> None:
    found = predicted(shops, "--keep", "all")
    assert found.columns == [*SHOPS.columns, "sales_predicted"]
    assert found.select(SHOPS.columns).equals(SHOPS)
    model = gradline.load(shops)
    assert found["sales_predicted"].to_list() == model.predict(SHOPS)[:, 0].tolist()


def test_two_columns_never_have_one_name(
    shops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = SHOPS.with_columns(sales_predicted=1.0)
    table.write_parquet("taken.parquet")
    told = refused(capsys, shops, "--keep", "all", data="taken.parquet")
    assert "the column 'sales_predicted' can't be kept" in told
    targets = SHOPS.with_columns(sales_lower=pl.col("sales") - 1)
    both = export_package(fit(targets, ["sales", "sales_lower"]), tmp_path, "both")
    told = refused(capsys, both, "--intervals", data="shops.parquet")
    assert "two columns of the answer would be named 'sales_lower'" in told
    assert "leave out --intervals" in told


@pytest.mark.parametrize("level", [None, 0.5, 0.99])
def test_intervals_are_those_of_the_model(level: float | None, shops: Path) -> None:
    words = [] if level is None else ["--level", str(level)]
    found = predicted(shops, "--intervals", *words)
    expected = gradline.load(shops).predict(SHOPS, intervals=level or 0.95)
    assert found.dtypes == [pl.Float32, pl.Float64, pl.Float64]
    made = (expected.values, expected.lower, expected.upper)
    for name, values in zip(found.columns, made, strict=True):
        assert found[name].to_list() == values[:, 0].tolist()


def test_a_row_without_an_answer_has_no_interval(shops: Path) -> None:
    SHOPS.with_columns(size=pl.when(pl.int_range(60) != 3).then("size")).write_parquet("g.parquet")
    found = predicted(shops, "--intervals", "--explain", data="g.parquet")
    assert found.null_count().row(0)[:3] == (1, 1, 1)
    assert found.row(3)[:3] == (None, None, None)


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "arrow", "ndjson"])
def test_every_format_takes_intervals_and_parts(kind: str, shops: Path) -> None:
    words = ["-o", f"out.{kind}", "--intervals", "--explain", "--keep", "sales"]
    assert run(["predict", str(shops), "shops.parquet", *words]) == 0
    found = open_files(f"out.{kind}")
    assert found.names == [
        "sales",
        *(f"sales_predicted{end}" for end in ("", "_lower", "_upper")),
        *("sales: baseline", "sales: size", "sales: region"),
    ]
    assert len(next(iter(found.blocks(["sales_predicted_upper"]))).values) == 60


def test_json_has_the_intervals(shops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", str(shops), "shops.parquet", "--intervals", "--json"]) == 0
    (first, *_) = json.loads(capsys.readouterr().out)["predictions"]
    assert first["sales_lower"] < first["sales"] < first["sales_upper"]


def test_intervals_of_a_logged_target_are_in_units(tmp_path: Path) -> None:
    package = export_package(
        fit(SHOPS.with_columns(pl.col("sales") + 5), "log(sales)"), tmp_path, "m"
    )
    found = predicted(package, "--intervals", "--level", "0.5")
    expected = gradline.load(package).predict(SHOPS, intervals=0.5)
    assert found["sales_lower"].to_list() == expected.lower[:, 0].tolist()
    assert (found["sales_lower"] > 0).all()


def test_a_model_without_intervals_is_refused_before_a_row_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = export_package(fit(SHOPS, "sales", ridge=1.0), tmp_path, "m")
    told = refused(capsys, package, "--intervals", "-o", "out.csv", "--json", data="shops.parquet")
    assert json.loads(told)["error"] == "no-intervals"
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("level", ["0", "1", "nan", "95", "-0.5"])
def test_a_level_is_a_probability(
    level: str, shops: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, shops, "--intervals", "--level", level, "--json", data="shops.parquet")
    assert json.loads(told)["error"] == "bad-option"


def test_a_level_without_intervals_does_nothing_and_is_refused(
    shops: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, shops, "--level", "0.9", data="shops.parquet")
    assert "--level 0.9 without --intervals" in told


@pytest.mark.parametrize("function", [None, "log"])
def test_parts_of_columns_make_the_prediction(function: str | None, tmp_path: Path) -> None:
    table = SHOPS.with_columns(pl.col("sales") + 5)
    target = "log(sales)" if function else "sales"
    features = ["size", "region", "size:region"]
    package = export_package(fit(table, target, features=features), tmp_path, "m")
    found = predicted(package, "--explain")
    parts = [name for name in found.columns if name.startswith("sales: ")]
    names = ("baseline", "size", "region", "size:region")
    assert parts == [f"sales: {name}" for name in names]
    values = found.select(parts).to_numpy()
    whole = values.prod(axis=1) if function else values.sum(axis=1)
    assert whole == pytest.approx(found["sales"].to_numpy(), rel=1e-5)


def engine(work: Any, items: Iterable[Any]) -> Iterator[Any]:
    """Do each task as another machine does: by its pickle."""
    for item in items:
        yield pickle.loads(pickle.dumps(work))(item)  # noqa: S301 - of our own


def test_a_folder_of_predictions_has_the_same_columns(shops: Path) -> None:
    table = open_files("shops.parquet")
    scoring = Scoring(gradline.load(shops), table, ["sales"], explain=True, level=0.9)
    score_files(scoring, Path("out"), "parquet", engine, lambda *_: None)
    (path,) = Path("out").glob("*.parquet")
    words = ["--keep", "sales", "--explain", "--intervals", "--level", "0.9"]
    assert pl.read_parquet(path).equals(predicted(shops, *words))
    again = Scoring(gradline.load(shops), table, ["sales"], explain=True, level=0.8)
    with pytest.raises(gradline.InputError, match="other options"):
        score_files(again, Path("out"), "parquet", engine, lambda *_: None)
