"""gradline diff --data: RMSE and R² of both models, and which rows were skipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import gradline
from gradline.commands.group import run
from gradline.scoring.evaluation import Evaluation
from gradline.tables.frames import open_frame
from gradline_export import export_package
from gradline_trainer import fit

TABLE = pl.DataFrame(
    {
        "x": np.arange(50.0) % 13,
        "c": [*"ab"] * 25,
        "y": [2.0 * (j % 13) + 4 * (j % 2) + (j % 3) for j in range(50)],
    }
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two versions of a model: of all columns, and of x alone."""
    root = tmp_path_factory.mktemp("artifacts")
    features: list[list[str] | None] = [None, ["x"]]
    return [str(export_package(fit(TABLE, "y", chosen), root, "m")) for chosen in features]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def measured(capsys: pytest.CaptureFixture[str], pair: list[str], table: pl.DataFrame) -> Any:
    table.write_parquet("rows.parquet")
    assert run(["diff", *pair, "--data", "rows.parquet", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["targets"]["y"]["measured"]


def test_both_models_are_scored_as_evaluate_scores_them(
    pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = measured(capsys, pair, TABLE)
    assert list(found) == ["rms", "largest", "rows", "skipped", "scores"]
    models = [gradline.load(path) for path in pair]
    for name, score in zip(
        ("first", "second"), Evaluation(models, open_frame(TABLE)).scores(), strict=True
    ):
        assert found["scores"][name]["rmse"] == score["y"].rmse
        assert found["scores"][name]["r2"] == score["y"].r2
    assert run(["diff", *pair, "--data", "rows.parquet"]) == 0
    out = capsys.readouterr().out
    rmse = " → ".join(f"{found['scores'][name]['rmse']:.3g}" for name in ("first", "second"))
    assert f"  RMSE {rmse}, R² 0." in out
    assert "skipped" not in out


def test_rows_that_were_skipped_are_counted_with_their_reason(
    pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    row = pl.int_range(50)
    gaps = TABLE.with_columns(
        x=pl.when(row > 3).then("x"), y=pl.when(row < 48).then("y"), c=pl.col("c")
    )
    found = measured(capsys, pair, gaps)
    assert (found["rows"], found["skipped"]) == (46, 4)
    assert found["scores"]["first"]["rows"] == 44
    assert run(["diff", *pair, "--data", "rows.parquet"]) == 0
    told = capsys.readouterr()
    assert "  4 rows skipped, without a prediction from both models" in told.out
    assert "on 44 rows, 2 rows without a true value skipped" in told.out
    assert f"{pair[0]}: 4 rows with missing values got no prediction" in told.err


@pytest.mark.parametrize(
    ("table", "warning"),
    [
        (TABLE.drop("y"), ""),
        (TABLE.with_columns(y=pl.lit("low")), "RMSE and R² are not compared: the column 'y'"),
        (TABLE.with_columns(y=pl.lit(None, pl.Float64)), ""),
    ],
)
def test_without_a_truth_to_compare_with_the_change_is_measured_as_ever(
    table: pl.DataFrame, warning: str, pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = measured(capsys, pair, table)
    assert found["rows"] == 50
    assert found["scores"] is None or found["scores"]["first"]["rmse"] is None
    words = ["diff", *pair, "--data", "rows.parquet", "--max-change"]
    assert run([*words, "100"]) == 0
    assert warning in capsys.readouterr().err
    assert run([*words, "1e-9"]) == 1


def test_an_unknown_level_is_told(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    TABLE.with_columns(c=pl.col("c").replace("a", "new")).write_parquet("rows.parquet")
    assert run(["diff", *pair, "--data", "rows.parquet"]) == 0
    told = f"{pair[0]}: 25 rows with a category of 'c' that no training row had, such as 'new'"
    assert told in capsys.readouterr().err
