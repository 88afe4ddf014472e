"""gradline evaluate: the scores, the gates, and what it says of rows and tables that do not fit."""

from __future__ import annotations

import importlib.metadata
import io
import json
import math
import shutil
import subprocess
import sys
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
from gradline.commands.scores import figures_of
from gradline.errors import InputError
from gradline.scoring.errors import Sums
from gradline.scoring.evaluation import Evaluation, Score
from gradline.tables import FrameTable, open_files
from gradline.tables.frames import open_frame
from gradline_export import export_package
from gradline_trainer import fit, save_moments
from test_predict import in_memory

Array = NDArray[Any]
NUMBERS = st.floats(-1e6, 1e6, width=32)
#: y = 2x + 1, exactly, in float64.
LINE = in_memory(np.array([[2.0]]), np.array([1.0]), ["x"], ["y"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scores_of(columns: dict[str, Any], **options: Any) -> Score:
    return Evaluation([LINE], open_frame(columns), **options).scores()[0]["y"]


def exactly(y: list[float], answers: list[float], w: list[float]) -> tuple[float, ...]:
    """RMSE, MAE, R² and bias in rational arithmetic."""
    t, a, v = ([Fraction(one) for one in values] for values in (y, answers, w))
    total = sum(v)
    mean = sum(w * y for w, y in zip(v, t, strict=True)) / total
    errors = [b - c for b, c in zip(a, t, strict=True)]
    squares = sum(w * e**2 for w, e in zip(v, errors, strict=True))
    about = sum(w * (y - mean) ** 2 for w, y in zip(v, t, strict=True))
    sizes = sum(w * abs(e) for w, e in zip(v, errors, strict=True))
    bias = sum(w * e for w, e in zip(v, errors, strict=True)) / total
    r2 = float(1 - squares / about) if about else math.nan
    return math.sqrt(squares / total), float(sizes / total), r2, float(bias)


@given(
    st.lists(
        st.tuples(NUMBERS, NUMBERS, st.floats(2.0**-10, 1024, width=32)), min_size=1, max_size=40
    ),
    st.sampled_from([0.0, 1e9, -3e12]),
    st.integers(1, 7),
)
def test_scores_are_those_of_rational_arithmetic_for_any_blocks(
    rows: list[tuple[float, float, float]], offset: float, size: int
) -> None:
    y = [offset + a for a, _, _ in rows]
    answers = [offset + b for _, b, _ in rows]
    w = [c for _, _, c in rows]
    sums = Sums(1)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        sums.add(np.array(y[part]), np.array([answers[part]]), np.array(w[part]))
    (found,) = sums.scores("y")
    rmse, mae, r2, bias = exactly(y, answers, w)
    assert found.rows == len(rows)
    assert found.rmse == pytest.approx(rmse, rel=1e-13)
    assert found.mae == pytest.approx(mae, rel=1e-13)
    assert found.bias == pytest.approx(bias, abs=1e-12 * mae)
    if len(set(y)) == 1:
        assert found.r2 is None
    else:
        assert found.r2 == pytest.approx(r2, rel=1e-10, abs=1e-10)


def test_a_large_offset_costs_no_digits() -> None:
    random = np.random.default_rng(0)
    y = 1e9 + 1e-3 * random.normal(size=5000)
    answers = y + 1e-4 * random.normal(size=5000)
    sums = Sums(1)
    for part in np.array_split(np.arange(5000), 7):
        sums.add(y[part], answers[None, part], None)
    (found,) = sums.scores("y")
    rmse, _, r2, _ = exactly(y.tolist(), answers.tolist(), [1.0] * 5000)
    assert (found.rmse, found.r2) == (pytest.approx(rmse, rel=1e-12), pytest.approx(r2, rel=1e-12))


@pytest.mark.parametrize("weight", [0.0, 1e-40])
def test_a_far_first_row_that_hardly_counts_costs_no_digits(weight: float) -> None:
    y, x = [1e16, 1.0, 3.0, 4.0], [0.0, 0.5, 0.75, 1.5]
    w = [weight, 1.0, 1.0, 1.0]
    score = scores_of({"x": x, "y": y, "w": w}, sample_weight="w")
    _, _, r2, _ = exactly(y, [2 * value + 1 for value in x], w)
    assert score.r2 == pytest.approx(r2, rel=1e-12)


@settings(max_examples=30)
@given(st.lists(st.tuples(NUMBERS | st.none(), NUMBERS | st.none()), min_size=1, max_size=20))
def test_each_row_is_scored_or_counted_as_skipped(rows: list[tuple[Any, Any]]) -> None:
    x, y = ([one[j] for one in rows] for j in (0, 1))
    found = scores_of({"x": pl.Series(x, dtype=pl.Float64), "y": pl.Series(y, dtype=pl.Float64)})
    both = sum(None not in row for row in rows)
    assert (found.rows, found.skipped) == (both, len(rows) - both)
    assert found.without_truth == y.count(None)
    assert (found.rmse is None) == (both == 0)


def test_blocks_of_several_files_add_up(orchard_package: Path) -> None:
    random = np.random.default_rng(0)
    names = ("temperature", "rainfall", "humidity", "apples", "oranges")
    whole = pl.DataFrame({name: random.uniform(40, 100, 300) for name in names})
    Path("parts").mkdir()
    for j, (start, length) in enumerate([(0, 7), (7, 200), (207, 93)]):
        whole.slice(start, length).write_parquet(f"parts/{j}.parquet")
    model = gradline.load(orchard_package)
    (found,) = Evaluation([model], open_files("parts")).scores()
    errors = model.predict(whole).astype(float) - whole.select("apples", "oranges").to_numpy()
    for j, target in enumerate(model.targets):
        assert found[target].rows == 300
        assert found[target].rmse == pytest.approx(np.sqrt((errors[:, j] ** 2).mean()))
        assert found[target].mae == pytest.approx(np.abs(errors[:, j]).mean())
        assert found[target].bias == pytest.approx(errors[:, j].mean())


def test_weights_count_rows_several_times() -> None:
    columns = {"x": [1.0, 2, 3], "y": [3.5, 4.0, 9.0], "w": [1, 0, 3]}
    weighted = scores_of(columns, sample_weight="w")
    repeated = scores_of({"x": [1.0, 3, 3, 3], "y": [3.5, 9.0, 9, 9]})
    for name in ("rmse", "mae", "r2", "bias"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name))
    assert scores_of(columns).rmse != weighted.rmse  # only with the option


def test_one_row_and_a_constant_truth_have_no_r2() -> None:
    assert scores_of({"x": [1.0], "y": [4.0]}) == Score(1, 1.0, 1.0, None, -1.0, 0)
    assert scores_of({"x": [1.0, 2, 3], "y": [0.1] * 3}).r2 is None


def test_bias_is_prediction_minus_truth() -> None:
    assert scores_of({"x": [1.0, 1.0], "y": [1.0, 2.0]}).bias == 1.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["$3.00", "$1,005.00", "($7.00)"], [3, 1005, -7]),
        (["3%", "5%", "7.5%"], [3, 5, 7.5]),
        (["3", "-", "7.5"], [3, None, 7.5]),
        ([True, False, True], [1, 0, 1]),
        ([*map(str, range(1, 20)), "<1"], [*range(1, 20), None]),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_target_is_read_as_training_reads_it(
    values: list[Any], expected: list[float | None], kind: str
) -> None:
    if isinstance(values[0], bool):  # in text a category
        kind = "parquet"
    frame = pl.DataFrame({"x": np.arange(len(values), dtype=float), "y": values})
    frame.write_csv("t.csv") if kind == "csv" else frame.write_parquet("t.parquet")
    found = Evaluation([LINE], open_files(f"t.{kind}"))
    (scores,) = found.scores()
    plain = scores_of({"x": frame["x"], "y": pl.Series(expected, dtype=pl.Float64)})
    assert scores["y"] == plain
    odd = values[-1] == "<1"
    assert (
        found.notes
        == ["1 value of 'y' cannot be read as a number and counts as missing: '<1'"] * odd
    )


def test_the_columns_are_read_once_however_many_models(
    orchard_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    blocks = FrameTable.blocks
    monkeypatch.setattr(
        FrameTable, "blocks", lambda self, names: passes.append(names) or blocks(self, names)
    )
    models = [gradline.load(orchard_package)] * 3
    Evaluation(
        models, open_files(Path(__file__).parent.parent / "examples" / "orchard.csv")
    ).scores()
    assert passes == [["apples", "oranges", "temperature", "rainfall", "humidity"]]


def test_a_column_that_models_read_differently_is_read_in_a_pass_each(tmp_path: Path) -> None:
    table = pl.DataFrame({"c": [*"abab" * 10], "x": np.arange(40.0), "y": np.arange(40.0) ** 1.5})
    other = table.with_columns(c=pl.col("c").replace("a", "z"))  # "b" is its first level
    paths = [export_package(fit(one, "y"), tmp_path, "m") for one in (table, other)]
    models = [*map(gradline.load, paths)]
    first, second = Evaluation(models, open_frame(table)).scores()
    assert (first["y"].rows, second["y"].rows) == (20, 20)  # the second knows no "a"
    chosen = table.filter(pl.col("c") == "b")
    alone = [Evaluation([model], open_frame(chosen)).scores()[0]["y"] for model in models]
    assert [one.rmse for one in alone] == pytest.approx([first["y"].rmse, second["y"].rmse])


# The command


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sales/1: y is about 2x + 1."""
    x = np.arange(40.0)
    table = pl.DataFrame({"x": x, "y": 2 * x + 1 + np.tile([0.5, -0.5], 20)})
    return export_package(
        fit(table, "y", dtype="float64"), tmp_path_factory.mktemp("artifacts"), "sales"
    )


def labelled(name: str = "new.csv", **columns: Any) -> str:
    """Write a table; x is 1, 2, 3 and y 2x + 1 + (1, −1, 1), but for what is given."""
    columns = {"x": [1.0, 2, 3], "y": [4.0, 4.0, 8.0], **columns}
    pl.DataFrame({k: v for k, v in columns.items() if v is not None}).write_csv(name)
    return name


def answer(capsys: pytest.CaptureFixture[str], *words: object, status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["evaluate", *map(str, words), "--json"]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refusal(capsys: pytest.CaptureFixture[str], *words: object, status: int = 2) -> dict[str, str]:
    capsys.readouterr()
    assert run(["evaluate", *map(str, words), "--json"]) == status
    found: dict[str, str] = json.loads(capsys.readouterr().err.splitlines()[-1])
    return found


def test_json_has_the_shape_that_the_design_fixes(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, package, labelled(y=[4.0, 4.0, None]))
    (model,) = found["models"]
    assert list(found) == ["models", "passed"]
    assert list(model) == ["package", "version", "targets"]
    assert (model["package"], model["version"], found["passed"]) == ("sales", 1, True)
    score = model["targets"]["y"]
    assert list(score) == ["rows", "rmse", "mae", "r2", "bias", "skipped", "scale"]
    assert (score["rows"], score["skipped"], score["scale"]) == (2, 1, "units")
    assert score["rmse"] == pytest.approx(1.0, abs=0.1)


def test_people_get_a_line_for_each_package_and_target(
    package: Path, orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(package, "artifacts/sales/2")
    second = Path("artifacts/sales/2")
    assert run(["evaluate", str(second), str(package), labelled(y=["4", None, "8"])]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["package", "version", "target", "rows", "RMSE", "MAE", "R²", "bias"]
    assert [line.split()[:4] for line in out[1:3]] == [
        ["sales", "2", "y", "2"],
        ["sales", "1", "y", "2"],
    ]
    assert out[3] == "y: 1 of 3 rows skipped: 1 without a value of y"
    example = Path(__file__).parent.parent / "examples" / "orchard.csv"
    assert run(["evaluate", str(orchard_package), str(example)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in out[1:]] == ["apples", "oranges"]


@pytest.mark.parametrize(
    ("gates", "status"),
    [
        (["1.5"], 0),
        (["0.5"], 1),
        (["y=1.5"], 0),
        (["y=0.5"], 1),
        (["0.5", "y=1.5"], 0),  # the last one holds
        (["inf"], 0),
        (["nan"], 2),
        (["-1"], 2),
        (["much"], 2),
        (["z=1"], 2),
        (["y="], 2),
    ],
)
def test_gates(
    gates: list[str], status: int, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for gate in gates for word in ("--max-rmse", gate)]
    if status == 2:
        assert refusal(capsys, package, labelled(), *words)["error"] == "bad-option"
        return
    assert answer(capsys, package, labelled(), *words, status=status)["passed"] == (status == 0)
    assert run(["evaluate", str(package), "new.csv", *words]) == status
    told = capsys.readouterr()
    assert "RMSE" in told.out
    assert ("the RMSE of 'y' is 0.99" in told.err) == (status == 1)


def test_a_gate_judges_every_package(package: Path, tmp_path: Path, capsys: Any) -> None:
    table = {"x": [1.0, 2, 3, 4], "y": [100.0, 101, 99, 100]}
    shutil.copytree(package, "artifacts/sales/1")
    bad = export_package(fit(table, "y"), tmp_path / "artifacts", "sales")
    found = refusal(capsys, package, bad, labelled(), "--max-rmse", "5", status=1)
    assert found["error"] == "large-error"
    assert found["message"].startswith("sales version 2: the RMSE of 'y' is 9")


def test_several_packages_are_scored_on_the_rows_that_all_answer(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {"x": [1.0, 2, 3, 4], "z": [0.0, 1, 0, 2], "y": [3.0, 5, 7.5, 9]}
    shutil.copytree(package, "artifacts/sales/1")
    other = export_package(fit(table, "y"), tmp_path / "artifacts", "sales")
    data = labelled(z=[0.0, None, 1.0])
    found = answer(capsys, package, other, data)
    assert [one["targets"]["y"]["rows"] for one in found["models"]] == [2, 2]
    alone = answer(capsys, package, data)["models"][0]["targets"]["y"]
    assert (alone["rows"], alone["skipped"]) == (3, 0)
    assert run(["evaluate", str(package), str(other), data]) == 0
    told = capsys.readouterr()
    assert "y: 1 of 3 rows skipped: 1 without a prediction from all of the models" in told.out
    assert "sales version 2: 1 row with missing values got no prediction" in told.err


def test_targets_that_not_all_packages_have_are_told(
    orchard_package: Path, tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = Path(__file__).parent.parent / "examples" / "orchard.csv"
    apples = export_package(fit(example, "apples", ["rainfall"]), tmp_path, "apples")
    found = answer(capsys, orchard_package, apples, example)
    assert [list(one["targets"]) for one in found["models"]] == [["apples"], ["apples"]]
    assert run(["evaluate", str(orchard_package), str(apples), str(example)]) == 0
    told = "not scored, because another model lacks it: 'oranges' of orchard version 1"
    assert told in capsys.readouterr().err
    assert refusal(capsys, package, apples, example)["error"] == "other-targets"
    assert refusal(capsys, orchard_package, apples, example, "--max-rmse", "oranges=1")


@pytest.mark.parametrize(
    ("columns", "words", "code", "told"),
    [
        ({"y": None, "Y": [1.0, 2, 3]}, [], "missing-target", "no column 'y'"),
        ({"x": [], "y": []}, [], "no-data", "the table has no rows"),
        ({"y": [None] * 3}, [], "no-data", "3 of 3 rows skipped: 3 without a value of y"),
        ({"x": ["", "NA", "NaN"]}, [], "no-data", "3 without a prediction"),
        ({"y": ["low", "high", "low"]}, [], "not-numeric", "'y' is text"),
        ({"y": ["2024-01-01"] * 3}, [], "not-numeric", "'y'"),
        ({"y": [1e200, 1, 2]}, [], "out-of-range", "too large"),
        ({"x": None}, [], "missing-feature", "'x'"),
        ({"w": [1, -1, 1]}, ["--sample-weight", "w"], "bad-weight", "-1 in row 2 of new.csv"),
        ({"w": [0, 0, 0]}, ["--sample-weight", "w"], "bad-weight", "all sample weights"),
        ({"w": [1, 1, 1]}, ["--sample-weight", "v"], "unknown-column", "'v'"),
        ({}, ["--sample-weight", "y"], "repeated-column", "'y'"),
    ],
)
def test_bad_tables(
    columns: dict[str, Any],
    words: list[str],
    code: str,
    told: str,
    package: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = refusal(capsys, package, labelled(**columns), *words)
    assert found["error"] == code
    assert told in found["message"]
    assert found["hint"]


def test_an_infinite_truth_is_refused(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pl.DataFrame({"x": [1.0, 2, 3], "y": [1.0, math.inf, 2]}).write_parquet("new.parquet")
    found = refusal(capsys, package, "new.parquet")
    assert found["error"] == "out-of-range"
    assert "'y' holds inf in row 2 of new.parquet" in found["message"]


def test_the_nearest_column_is_suggested(package: Path, capsys: Any) -> None:
    pl.DataFrame({"x": [1.0], "y ": [3.0]}).write_csv("new.csv")
    assert refusal(capsys, package, "new.csv")["hint"] == "did you mean 'y '?"
    pl.DataFrame({"x": [1.0]}).write_csv("new.csv")
    hint = refusal(capsys, package, "new.csv")["hint"]
    assert "labelled" in hint or "true values" in hint or "'x'" in hint


def test_two_columns_of_the_targets_name(package: Path, capsys: Any) -> None:
    Path("new.csv").write_text("x,y,y\n1,3,3\n")
    assert refusal(capsys, package, "new.csv")["error"] == "duplicate-column"


def test_weights_that_are_missing_are_skipped(package: Path, capsys: Any) -> None:
    found = answer(capsys, package, labelled(w=["1", "", "2"]), "--sample-weight", "w")
    assert found["models"][0]["targets"]["y"]["skipped"] == 1


def test_the_reading_options_are_those_of_predict(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = answer(capsys, package, labelled())["models"]
    Path("comma.csv").write_text("x;y\n1,0;4,0\n2,0;4,0\n3,0;8,0\nmissing;9\n")
    words = ["--separator", ";", "--decimal-comma", "--null", "missing"]
    found = answer(capsys, package, "comma.csv", *words)["models"]
    assert found[0]["targets"]["y"] == {**whole[0]["targets"]["y"], "skipped": 1}
    stdin = io.TextIOWrapper(io.BytesIO(Path("new.csv").read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert answer(capsys, package, "-")["models"] == whole
    assert refusal(capsys, package, "new.csv", "--expect-name", "other", status=1)
    bare = answer(capsys, package / "model.onnx", "new.csv")["models"][0]
    assert (bare["version"], bare["targets"]) == (None, whole[0]["targets"])


@pytest.mark.parametrize(
    ("unknown", "rows"), [(None, 2), ("missing", 2), ("zero", 3), ("error", None)]
)
def test_unknown_categories_are_skipped_or_as_asked(
    unknown: str | None, rows: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {"c": [*"abab" * 10], "x": np.arange(40.0), "y": np.arange(40.0) ** 1.5}
    path = export_package(fit(table, "y"), tmp_path, "m")
    data = labelled(c=["a", "b", "new"])
    words = [] if unknown is None else ["--unknown-category", unknown]
    if rows is None:
        assert refusal(capsys, path, data, *words)["error"] == "unknown-category"
        return
    assert answer(capsys, path, data, *words)["models"][0]["targets"]["y"]["rows"] == rows
    assert run(["evaluate", str(path), data, *words]) == 0
    assert "1 row with a category of 'c' that no training row had" in capsys.readouterr().err


def test_a_logged_target_is_scored_in_units(tmp_path: Path, capsys: Any) -> None:
    random = np.random.default_rng(0)
    x = random.uniform(0, 3, 200)
    table = pl.DataFrame({"x": x, "y": np.exp(x + 0.1 * random.normal(size=200)) - 1})
    path = export_package(fit(table, "log1p(y)"), tmp_path, "m")
    table.write_csv("new.csv")
    model = gradline.load(path)
    error = model.predict(table)[:, 0].astype(float) - table["y"].to_numpy()
    found = answer(capsys, path, "new.csv", "--max-rmse", "10")["models"][0]["targets"]["y"]
    assert found["scale"] == "units"
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["PACKAGE"], "Missing argument 'DATA'"),
        ([], "Missing argument"),
        (["new.csv", "PACKAGE"], "'new.csv' is not a package: DATA is the last argument"),
        (["new.moments", "PACKAGE"], "'new.moments' is not a package"),
        (["PACKAGE", "new.csv", "new.csv"], "'new.csv' is not a package"),
    ],
)
def test_packages_come_first_and_the_data_last(
    words: list[str], told: str, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = refusal(capsys, *(str(package) if word == "PACKAGE" else word for word in words))
    assert (found["error"], told in found["message"]) == ("usage", True)


# Without the trainer, or without PyTorch


def test_without_the_trainer_the_runtime_says_what_it_cannot_read(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: ())
    found = refusal(capsys, package, labelled(y=["$4", "$4", "$8"]))
    assert found["error"] == "not-numeric"
    assert "'$4' in row 1 of new.csv" in found["message"]
    Path("new.moments").write_bytes(b"")
    assert refusal(capsys, package, "new.moments")["error"] == "missing-extra"
    assert answer(capsys, package, labelled(y=["4", "-", "8"]))["passed"]


def test_a_target_in_text_takes_no_pytorch(package: Path) -> None:
    script = (
        "import sys; from gradline.commands.group import run; "
        f"status = run(['evaluate', {str(package)!r}, {labelled(y=['$4', '$4', '$8'])!r}]); "
        "sys.exit(status or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# In Python


TABLE = {"x": [0.0, 1.0, 2.0, None], "y": [1.0, 3.5, None, 7.0]}
SHOWN = """\
target  rows   RMSE   MAE      R²   bias
y          2  0.354  0.25  0.9200  -0.25
y: 2 of 4 rows skipped: 1 without a value of y, 1 without a prediction"""


def test_python_gives_the_scores_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    learned = fit({"x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, 3.0, 5.0, 7.0]}, "y", strict=True)
    path = learned.export("artifacts", "line", report=False)
    pl.DataFrame(TABLE).write_csv("t.csv")
    assert run(["evaluate", str(path), "t.csv", "--json"]) == 0
    (of_command,) = json.loads(capsys.readouterr().out)["models"]
    with pytest.warns(gradline.GradlineWarning, match="1 row with missing values") as warned:
        found = [
            gradline.evaluate(path, "t.csv"),
            gradline.evaluate(str(path), pl.DataFrame(TABLE)),
            gradline.evaluate(gradline.load(path), TABLE),
            learned.evaluate(Path("t.csv")),
        ]
    assert {one.filename for one in warned} == {__file__}
    for scores in found:
        assert scores == found[0]
        assert figures_of(scores["y"]) == of_command["targets"]["y"]
        assert repr(scores) == SHOWN


def test_python_scores_text_files_weights_and_levels_as_the_command_does() -> None:
    Path("t.csv").write_text("x;y;w\n0,5;2,0;1\nnone;1;1\n1;3,5;3\n")
    with pytest.warns(gradline.GradlineWarning, match="1 row with missing values"):
        scores = gradline.evaluate(
            LINE, "t.csv", sample_weight="w", separator=";", decimal_comma=True, null="none"
        )
    assert scores["y"].bias == -0.5 * 3 / 4
    with pytest.raises(InputError, match="unknown_category = 'nil'"):
        gradline.evaluate(LINE, TABLE, unknown_category="nil")
    with pytest.raises(InputError, match="no row can be scored: 1 of 1 row skipped"):
        gradline.evaluate(LINE, {"x": [1.0], "y": [None]})


def test_python_scores_saved_moments() -> None:
    learned = fit({"x": [0.0, 1.0, 2.0, 4.0], "y": [1.0, 3.0, 5.0, 7.0]}, "y", keep_moments=True)
    save_moments(learned, "t.moments")
    scores = learned.evaluate("t.moments")
    assert scores["y"].rmse == pytest.approx(learned.metrics["training"]["y"].rmse)
    assert scores["y"].mae is None
    with pytest.raises(InputError, match="do not apply to moments"):
        gradline.evaluate(LINE, "t.moments", null="none")
