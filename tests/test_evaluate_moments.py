"""gradline evaluate on saved moments: the same scores as on the rows, without them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradline
from gradline.commands.group import run
from gradline.scoring.evaluation import Evaluation, Score
from gradline.tables.frames import open_frame
from gradline_export import export_package
from gradline_trainer import fit, save_moments
from gradline_trainer.saved.algebra import subtract_moments
from gradline_trainer.saved.evaluating import evaluate_moments
from gradline_trainer.saved.files import load_moments
from test_evaluate import answer, refusal
from test_predict import in_memory

RANDOM = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mixed(rows: int, seed: int, levels: str = "abc") -> pl.DataFrame:
    """A table of a number with gaps, a category, a date and a target."""
    random = np.random.default_rng(seed)
    x, c = random.normal(50, 9, rows), random.choice([*levels], rows)
    days = np.datetime64("2023-01-01") + random.integers(0, 900, rows)
    y = 3 * x + 20 * (c == "b") + random.normal(size=rows)
    gaps = [None if j % 11 == 0 else v for j, v in enumerate(x)]
    return pl.DataFrame({"x": gaps, "c": c, "day": days, "y": y})


def saved(table: Any, name: str = "new.moments", target: str = "y", **options: Any) -> Path:
    save_moments(fit(table, target, keep_moments=True, **options), name)
    return Path(name)


def package(table: Any, name: str, target: str = "y", **options: Any) -> Path:
    return export_package(fit(table, target, **options), Path("artifacts"), name)


def same(moments: Score, rows: Score) -> None:
    assert moments.rows == rows.rows
    assert moments.mae is None
    for name in ("rmse", "r2", "bias"):
        expected = getattr(rows, name)
        assert getattr(moments, name) == pytest.approx(expected, rel=1e-4, abs=1e-4), name


@pytest.mark.parametrize(
    "features", [None, ["x"], ["x", "c"], ["x:c", "x", "c"], ["x^2", "month(day)", "c"]]
)
def test_scores_are_those_of_the_rows(features: list[str] | None) -> None:
    old, new = mixed(400, 0), mixed(300, 1)
    model = gradline.load(package(old, "m", features=features, dtype="float64"))
    wanted = None if features is None else ["*", *features]
    path = saved(new, features=wanted)
    ((found,), notes) = evaluate_moments([model], path, ["y"], None)
    (rows,) = Evaluation([model], open_frame(new)).scores()
    same(found["y"], rows["y"])
    assert notes == []


def test_the_models_own_fill_is_used() -> None:
    old, new = mixed(400, 0), mixed(300, 1).with_columns(pl.col("x") + 30)
    model = gradline.load(package(old, "m", features=["x"], dtype="float64"))
    ((found,), _) = evaluate_moments([model], saved(new), ["y"], None)
    (rows,) = Evaluation([model], open_frame(new)).scores()
    assert found["y"].rmse == pytest.approx(rows["y"].rmse)


def test_a_new_level_has_no_indicator_and_is_told() -> None:
    model = gradline.load(package(mixed(400, 0, "ab"), "m", features=["x", "c"], dtype="float64"))
    new = mixed(300, 1, "abz")
    ((found,), notes) = evaluate_moments([model], saved(new), ["y"], None)
    zero = new.with_columns(c=pl.col("c").replace("z", model.plan.columns[1].reference))
    (rows,) = Evaluation([model], open_frame(zero)).scores()
    same(found["y"], rows["y"])
    z = int((new["c"] == "z").sum())
    assert notes == [
        f"{z} rows with a category of 'c' that no training row had: its indicators are 0"
    ]


def test_missing_values_that_the_model_does_not_fill_are_told() -> None:
    old = mixed(400, 0).drop_nulls()
    model = gradline.load(package(old, "m", features=["x"], dtype="float64"))
    _, notes = evaluate_moments([model], saved(mixed(300, 1)), ["y"], None)
    assert notes == [
        "28 rows without a value of 'x', for which the model has no prediction, can't be left out "
        "of the moments: filled with their mean"
    ]


@given(
    st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 2), min_size=4, max_size=30),
    st.floats(-4, 4, width=32),
    st.floats(-50, 50, width=32),
    st.sampled_from([0.0, 1e6]),
)
def test_the_error_is_within_the_resolution(
    rows: list[tuple[float, float]], slope: float, bias: float, offset: float
) -> None:
    x, y = (np.array(column) + offset for column in zip(*rows, strict=True))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return
    model = in_memory(np.array([[slope]]), np.array([bias]), ["x"], ["y"])
    table = pl.DataFrame({"x": x, "y": y})
    path = saved(table, arithmetic="fast", strict=True)
    ((scores,), _) = evaluate_moments([model], path, ["y"], None)
    found = scores["y"]
    mean_square = float(np.mean((slope * x + bias - y) ** 2))
    limit = 2 * 3 * 2.0**-53 * float(np.mean(y**2))
    if found.rmse is None:
        assert found.below_resolution == pytest.approx(math.sqrt(limit))
        assert mean_square <= 2 * limit
    else:
        assert abs(found.rmse**2 - mean_square) <= limit + 1e-12 * mean_square


def test_below_the_resolution_nothing_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.arange(20.0)
    path = package({"x": x, "y": 2 * x + 1}, "m", dtype="float64")
    saved({"x": x, "y": 2 * x + 1})
    score = answer(capsys, path, "new.moments")["models"][0]["targets"]["y"]
    limit = math.sqrt(2 * 3 * 2.0**-53 * float(np.mean((2 * x + 1) ** 2)))
    assert (score["rmse"], score["r2"], score["mae"]) == (None, None, None)
    assert score["below_resolution"] == pytest.approx(limit)
    assert answer(capsys, path, "new.moments", "--max-rmse", "1e-6")["passed"]
    found = refusal(capsys, path, "new.moments", "--max-rmse", "1e-9", status=1)
    assert "may be as large as" in found["message"]
    assert run(["evaluate", str(path), "new.moments"]) == 0
    assert f"< {limit:.2e}".replace("e-0", "e-") in capsys.readouterr().out


def test_logarithms_are_scored_as_such_and_never_by_a_gate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = RANDOM.uniform(0, 3, 200)
    table = pl.DataFrame({"x": x, "y": np.exp(x + 0.1 * RANDOM.normal(size=200))})
    path = package(table, "m", "log(y)", dtype="float64")
    plain = package(table, "plain")
    saved(table, target="log(y)")
    score = answer(capsys, path, "new.moments")["models"][0]["targets"]["y"]
    graph = gradline.load(path).package.graph
    z = x * graph.weights[0, 0] + graph.bias[0]
    assert score["scale"] == "log"
    assert score["rmse"] == pytest.approx(
        np.sqrt(np.mean((z - np.log(table["y"].to_numpy())) ** 2))
    )
    assert run(["evaluate", str(path), "new.moments"]) == 0
    assert "log(y)" in capsys.readouterr().out
    for words in (["--max-rmse", "1"], ["--max-rmse", "y=1"]):
        found = refusal(capsys, path, "new.moments", *words)
        assert found["error"] == "needs-rows"
    assert "has the moments of log(y)" in refusal(capsys, path, plain, "new.moments")["message"]
    saved(table, "plain.moments")
    assert "moments of y" in refusal(capsys, path, "plain.moments")["message"]


def test_a_term_or_a_target_that_the_file_lacks_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = mixed(300, 0)
    squared = package(old, "squared", features=["x^2"])
    plain = package(old, "plain", features=["x"])
    renamed = package(old.rename({"y": "yy"}), "renamed", "yy", features=["x"])
    saved(old)
    found = refusal(capsys, squared, "new.moments")
    assert (found["error"], "x^2" in found["message"]) == ("needs-rows", True)
    assert "squared" in found["message"]
    found = refusal(capsys, renamed, "new.moments")
    assert (found["error"], found["hint"]) == ("missing-target", "did you mean 'y'?")
    assert answer(capsys, plain, "new.moments")["passed"]


@pytest.mark.parametrize("options", [{}, {"one_hot": ["c"]}, {"one_hot": ["c"], "missing": "mean"}])
def test_format_1s_moments_are_taken_by_the_names_of_the_inputs(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    table = mixed(300, 0).drop("day")
    table = table if "missing" in options else table.drop_nulls()
    table = table if "one_hot" in options else table.drop("c")
    path = package(table, "m", strict=True, dtype="float64", **options)
    saved(table, strict=True, **options)
    score = answer(capsys, path, "new.moments")["models"][0]["targets"]["y"]
    (rows,) = Evaluation([gradline.load(path)], open_frame(table)).scores()
    assert score["rmse"] == pytest.approx(rows["y"].rmse)
    if "missing" in options:
        other = package(mixed(300, 1).drop("day"), "other", strict=True, **options)
        found = refusal(capsys, other, "new.moments")
        assert (found["error"], "'x'" in found["message"]) == ("needs-rows", True)
    if "one_hot" in options:
        other = package(table.with_columns(c=pl.col("c") + "!"), "other", strict=True, **options)
        assert refusal(capsys, other, "new.moments")["error"] == "needs-rows"


def test_weights_are_those_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    table = mixed(300, 0).drop_nulls().with_columns(w=pl.int_range(1, pl.len() + 1))
    path = package(table.drop("w"), "m", dtype="float64")
    saved(table, sample_weight="w")
    score = answer(capsys, path, "new.moments", "--sample-weight", "w")["models"][0]
    (rows,) = Evaluation([gradline.load(path)], open_frame(table), sample_weight="w").scores()
    assert score["targets"]["y"]["rmse"] == pytest.approx(rows["y"].rmse)
    assert refusal(capsys, path, "new.moments")["hint"].startswith("--sample-weight 'w'")
    saved(table.drop("w"), "plain.moments")
    assert refusal(capsys, path, "plain.moments", "--sample-weight", "w")["error"] == "bad-option"


def test_dropped_and_held_out_rows_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    table = mixed(300, 0).with_columns(y=pl.when(pl.int_range(300) > 4).then("y"))
    path = package(mixed(300, 1), "m", features=["x"])
    saved(table, holdout=0.2)
    score = answer(capsys, path, "new.moments")["models"][0]["targets"]["y"]
    assert (score["rows"], score["skipped"]) == (236, 5)
    assert run(["evaluate", str(path), "new.moments"]) == 0
    told = capsys.readouterr()
    assert "y: 5 of 241 rows skipped" in told.out
    assert "held-out rows" in told.err


def test_what_subtraction_rounds_widens_the_resolution() -> None:
    old, new = mixed(300, 0).drop("c", "day"), mixed(40, 1).drop("c", "day")
    both, part = (saved(t, f"{n}.moments") for t, n in ((pl.concat([old, new]), "b"), (new, "p")))
    rest = subtract_moments(load_moments(both), load_moments(part))
    save_moments(rest, "rest.moments")
    model = gradline.load(package(old, "m", dtype="float64"))
    ((found,), _) = evaluate_moments([model], Path("rest.moments"), ["y"], None)
    (rows,) = Evaluation([model], open_frame(old)).scores()
    assert found["y"].rmse == pytest.approx(rows["y"].rmse, rel=1e-6)


def test_an_exact_fit_after_a_subtraction_is_below_a_wider_resolution() -> None:
    x = np.arange(300.0) % 41
    exact, noisy = pl.DataFrame({"x": x, "y": 2 * x + 1}), pl.DataFrame({"x": x, "y": 3e3 - x**2})
    both, part = (
        saved(t, f"{n}.moments") for t, n in ((pl.concat([exact, noisy]), "b"), (noisy, "p"))
    )
    save_moments(subtract_moments(load_moments(both), load_moments(part)), "rest.moments")
    model = in_memory(np.array([[2.0]]), np.array([1.0]), ["x"], ["y"])
    ((found,), _) = evaluate_moments([model], Path("rest.moments"), ["y"], None)
    least = math.sqrt(2 * 3 * 2.0**-53 * float(np.mean((2 * x + 1) ** 2)))
    assert found["y"].rmse is None
    assert found["y"].below_resolution is not None
    assert found["y"].below_resolution > 2 * least


@pytest.mark.parametrize("words", [["--null", "x"], ["--decimal-comma"], ["--separator", ";"]])
def test_options_on_reading_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str], orchard_package: Path
) -> None:
    assert refusal(capsys, orchard_package, "new.moments", *words)["error"] == "bad-option"


def test_bad_files(capsys: pytest.CaptureFixture[str], orchard_package: Path) -> None:
    assert refusal(capsys, orchard_package, "absent.moments")["error"] == "no-data"
    Path("odd.moments").write_text(json.dumps({}))
    assert refusal(capsys, orchard_package, "odd.moments")["error"] == "not-moments"
