"""What the figure of the first command rests on: its tables, its targets, its careful pipeline."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.first_command import (
    Attempt,
    attempt,
    careful_r2,
    columns_of,
    draw_tables,
    kinds_of,
    target_of,
)

import public_tables as tables


def test_the_target_is_the_last_number_that_is_no_index_identifier_or_code():
    n = np.arange(60)
    frame = pd.DataFrame(
        {
            "first": np.sqrt(n),
            "y": n**2,
            "gaps": np.where(n < 20, n, np.nan),  # 20 rows
            "code": n % 9,
            "row": n + 1,
            "flag": n % 2 == 0,
            "shop_id": n**2,
            "text": n.astype(str),
        }
    )
    frame["text"] = "t" + frame["text"]
    assert target_of(frame) == "y"
    assert target_of(frame[["code", "text"]]) is None


def test_the_careful_pipeline_knows_levels_dates_and_gaps():
    random = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=90)
    gaps = np.where(random.random(90) < 0.2, np.nan, random.standard_normal(90))
    shop = np.where(np.arange(90) < 4, [f"small{i}" for i in range(90)], np.tile(["a", "b"], 45))
    y = np.where(np.isnan(gaps), 5.0, gaps) + 0.5 * np.arange(90)
    y += np.where(shop == "a", 2.0, np.where(shop == "b", 3.0, 7.0))  # the small ones alike
    columns = {"day": days.strftime("%Y-%m-%d"), "gaps": gaps, "shop": shop, "y": y}
    frame = pd.DataFrame({**columns, "name": [f"n{i}" for i in range(90)], "one": 1})
    assert careful_r2(frame, "y") == pytest.approx(1, abs=1e-12)
    assert careful_r2(frame.drop(columns="shop"), "y") < 0.999
    assert kinds_of(frame, "y") == (
        "1 dates, 1 numbers with gaps, 1 factors, 1 text all different, 1 numbers"
    )


@pytest.mark.slow
def test_a_seed_draws_the_same_tables_again():
    first, again = draw_tables(0, 60), draw_tables(0, 3)
    assert len({name for name, *_ in first}) == 60
    assert [name for name, *_ in again] == [name for name, *_ in first[:3]]


def test_an_attempt_counts_if_it_is_near_and_uses_no_index(tmp_path: Path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.random(60), "b": random.random(60)})
    frame["y"] = frame["a"] - frame["b"]
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = attempt("made/t", tmp_path / "t.csv", frame, "y")
    assert found.good, found.line
    assert found.line.startswith("made/t -t y: R² 1.000, careful 1.000; 2 numbers")
    (tmp_path / "broken.csv").write_text("a,y\n")
    broken = attempt("made/broken", tmp_path / "broken.csv", frame, "y")
    assert broken.found is None
    assert "no model" in broken.line
    assert broken.said
    common = {"name": "t", "target": "y", "careful": 0.5, "said": "", "kinds": ""}
    assert Attempt(**common, found=0.491, indexes=()).good
    assert Attempt(**common, found=0.9, indexes=()).good
    assert not Attempt(**common, found=0.489, indexes=()).near
    assert not Attempt(**common, found=0.5, indexes=("",)).good


def test_the_columns_of_a_model_are_those_that_its_terms_are_made_of():
    assert columns_of({"schema": {"features": ["a", "b=1"]}}) == ["a", "b=1"]
    terms = [[{"column": "a"}, {"column": "b", "level": "1"}], [{"column": "b", "level": "2"}]]
    assert columns_of({"schema": {"features": ["x"], "terms": terms}}) == ["a", "b"]


@pytest.mark.parametrize("name", [name for name in tables.__all__ if name != "flights"])
def test_a_public_table_is_written_as_a_csv_file(name: str, tmp_path: Path):
    path = getattr(tables, name)(tmp_path)
    assert path == tmp_path / f"{name}.csv"
    frame = pd.read_csv(path)
    said = getattr(tables, name).__doc__
    rows = next((word for word in said.split() if word[0].isdigit()), None)
    assert rows is None or len(frame) == int(rows.replace(",", ""))
