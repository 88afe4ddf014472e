"""The commands as people and programs call them."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gradline import load
from gradline.cli import train_and_export
from gradline.commands.group import COMMANDS
from gradline_trainer import Fit
from outcomes import Run

REPOSITORY = Path(__file__).parent.parent
ORCHARD = REPOSITORY / "examples" / "orchard.csv"
TARGETS = ("-t", "apples", "-t", "oranges")


def test_without_data_the_orchard_is_trained_and_published(run: Run) -> None:
    done = run("train-and-export")
    assert done.status == 0
    assert done.err == ""
    for said in (
        "apples  = -0.38757·temperature + 0.84776·rainfall + 0.6982·humidity - 1.64",
        "package  artifacts/orchard/1",
        "gradline predict artifacts/orchard",
    ):
        assert said in done.out
    assert rows_of_a_terminal(done.out) <= 24
    assert load("artifacts/orchard").version == 1
    assert run("train-and-export", "--quiet").out == "artifacts/orchard/2\n"


def test_verbose_adds_training_and_proofs(run: Run) -> None:
    added = (
        "RMSE of the last epoch 0.6951, reached the optimum",
        "every coefficient certified as the correctly rounded optimum",
        "PyTorch, TorchScript and ONNX Runtime each within the rounding bound",
        "float32, which adds up to",
    )
    brief, verbose = run("train-and-export").out, run("train-and-export", "-v").out
    assert [said in brief for said in added] == [False] * 4
    assert [said in verbose for said in added] == [True] * 4


def rows_of_a_terminal(text: str) -> int:
    return sum(max(1, -(-len(line) // 80)) for line in text.splitlines())


@pytest.mark.parametrize("targets", [1, 3, 4, 9])
def test_the_summary_of_ten_columns_fits_a_screen(targets: int, run: Run) -> None:
    rng = np.random.default_rng(targets)
    names = [f"column_{j}" for j in range(10)]
    rows = [",".join(names), *(",".join(map(str, row)) for row in rng.normal(5, 2, (60, 10)))]
    Path("ten.csv").write_text("\n".join(rows))
    asked = [word for name in names[:targets] for word in ("-t", name)]
    for more in ([], ["--holdout", "0.2"]):
        said = run("train-and-export", "ten.csv", *asked, *more).out
        assert rows_of_a_terminal(said) <= 24
        shown = min(targets, 2 if more else 4)
        assert said.count("\n  column_") == shown * (3 if more else 2)
        left = f"  … and {targets - shown} more (gradline inspect artifacts/ten)\n"
        assert (left in said) == (targets > shown)


def test_float64_in_place_of_float32_is_said_without_being_asked(run: Run) -> None:
    x = [1e9 + j for j in range(12)]
    Path("far.csv").write_text("x,y\n" + "".join(f"{v},{j**2}\n" for j, v in enumerate(x)))
    assert (
        "dtype    float64, since float32 fails" in run("train-and-export", "far.csv", "-t", "y").out
    )


def test_the_tutorials_run_reports_its_last_rmse_and_the_distance_to_the_optimum(run: Run) -> None:
    tutorial = "--preconditioning none --learning-rate 1e-4 --epochs 100 --seed 1337 --tolerance 0"
    done = run("train-and-export", "--verbose", *tutorial.split())
    assert done.status == 0
    assert "RMSE of the last epoch 2.3694, stopped before the optimum" in done.out
    assert "RMSE at the optimum 0.6951" in done.err


def test_the_summary_as_json_is_all_of_stdout(run: Run) -> None:
    done = run("train-and-export", ORCHARD, *TARGETS, "--name", "fruit", "--json")
    record = done.json
    assert done.err == ""
    assert record["path"] == "artifacts/fruit/1"
    assert (record["name"], record["version"], record["dtype"]) == ("fruit", 1, "float32")
    assert record["features"] == ["temperature", "rainfall", "humidity"]
    assert record["converged"] is True
    assert record["last_epoch_rmse"] == pytest.approx(0.69507, abs=1e-5)
    assert {host["host"] for host in record["parity"]} == {
        "PyTorch",
        "TorchScript",
        "ONNX Runtime",
    }
    assert record["warnings"] == []
    assert record["columns"][0] == {
        "column": "region",
        "what": "left out: text that is all different",
        "flag": "-f '*' -f region",
        "taken": False,
    }
    assert [each["column"] for each in record["columns"] if each["taken"]] == record["features"]
    strictly = run("train-and-export", ORCHARD, *TARGETS, "--strict", "--json").json
    assert strictly["warnings"] == [
        "not used, since they are not numeric: 'region' (--one-hot adds text columns)"
    ]


def test_options_reach_the_training_record(run: Run) -> None:
    given = ["--ridge", "2", "--no-bias", "--holdout", "0.2", "--dtype", "float64", "--seed", "5"]
    given += ["--note", "author=me"]
    done = run("train-and-export", ORCHARD, *TARGETS, *given, "--exclude", "humidity", "--json")
    assert done.status == 0
    manifest = json.loads(Path(done.json["path"], "manifest.json").read_text())
    training = manifest["training"]
    options = training["options"]
    assert (options["ridge"], options["bias"], options["seed"]) == (2, False, 5)
    assert training["rows"] == {"read": 5, "dropped": 0, "held_out": 1, "trained": 4}
    assert training["notes"] == {"author": "me"}
    assert manifest["schema"]["features"] == ["temperature", "rainfall"]
    assert manifest["schema"]["dtype"] == "float64"
    assert manifest["metrics"]["held_out"]["apples"]["r2"] is None
    assert done.json["bias"] == [0, 0]
    fingerprint = training["files"][0]
    assert fingerprint["name"] == "orchard.csv"
    assert fingerprint["bytes"] == ORCHARD.stat().st_size
    assert len(fingerprint["sha256"]) == 64
    bare = run("train-and-export", ORCHARD, *TARGETS, "--no-fingerprint", "--no-report", "--json")
    manifest = json.loads(Path(bare.json["path"], "manifest.json").read_text())
    assert "sha256" not in manifest["training"]["files"][0]
    assert "report.html" not in manifest["files"]


def test_a_chosen_ridge_penalty_is_said_and_recorded(run: Run) -> None:
    said = "ridge    28.9 (chosen by 5-fold cross-validation from 100)"
    arguments = ["train-and-export", "--ridge", "auto", "--folds", "5"]
    assert said in run(*arguments).out
    assert said.split(None, 1)[1] in run("inspect", "artifacts/orchard").out
    record = run(*arguments, "--json").json
    path = record["ridge_path"]
    assert record["ridge"] == path["chosen"] == pytest.approx(28.9, abs=0.05)
    assert path["folds"] == 5
    assert path["errors"][path["penalties"].index(path["chosen"])] == min(path["errors"])
    assert run("train-and-export", "--json").json["ridge_path"] is None


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["train-and-export", "no.csv", "-t", "y"], 2, "no such file: no.csv"),
        (["train-and-export", ORCHARD], 2, "no target"),
        (["train-and-export", ORCHARD, "-t", "apple"], 2, "did you mean 'apples'?"),
        (["train-and-export", ORCHARD, *TARGETS, "--name", "a b"], 2, "--name a-b"),
        (["train-and-export", "-o", ORCHARD], 2, "it is not a folder"),
        (
            ["train-and-export", "--arithmetic", "exact", "--preconditioning", "none"],
            2,
            "exact arithmetic needs preconditioning 'whiten' with moments",
        ),
        (["train-and-export", "--learning-rate", "fast"], 2, "neither a number nor 'auto'"),
        (["train-and-export", "--learning-rate", "-1"], 2, "expected a positive number or 'auto'"),
        (["train-and-export", "--epochs", "0"], 2, "--epochs"),
        (["train-and-export", "--ridge", "best"], 2, "neither a number nor 'auto'"),
        (["train-and-export", "--ridge", "-1"], 2, "expected a number of at least 0, or 'auto'"),
        (["train-and-export", "--folds", "3"], 2, "without ridge = 'auto'"),
        (["train-and-export", "--ridge", "2", "--folds", "3"], 2, "leave --folds out"),
        (["train-and-export", "--ridge", "auto", "--folds", "1"], 2, "--folds"),
        (["train-and-export", "--ridge", "auto", "--folds", "6"], 2, "none of the 5 rows"),
        (["train-and-export", "--note", "x"], 2, "expected KEY=VALUE"),
        (
            ["train-and-export", "--learning-rate", "1e-3", "--preconditioning", "none"],
            1,
            "epoch 14; the learning rate 1.000e-3 is above the largest stable rate for this table, "
            "2/λmax = 1.117e-4; the column that dominates is 'rainfall'",
        ),
        (["predict", "nowhere", ORCHARD], 2, "no package at nowhere"),
        (["inspect", "nowhere"], 2, "no package at nowhere"),
        (["verify", "nowhere"], 2, "no package at nowhere"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["inpsect"], 2, "No such command 'inpsect'. Did you mean 'inspect'?"),
        (["predict", "--ouput", "x"], 2, "--output"),
    ],
)
def test_errors_are_a_line_or_one_json_object_and_leave_nothing(
    run: Run, arguments: list[Any], status: int, says: str
) -> None:
    plain = run(*arguments)
    assert (plain.status, plain.out) == (status, "")
    assert plain.err.startswith("Error: ")
    assert "Traceback" not in plain.err
    assert says in plain.err
    as_json = run(*arguments, "--json")
    assert as_json.status == status
    report = json.loads(as_json.err)
    assert set(report) == {"error", "message", "hint"}
    assert says in report["message"] + report["hint"]
    assert report["error"] == report["error"].lower()
    assert list(Path.cwd().iterdir()) == []


def test_predictions_are_csv_on_stdout_or_a_file_of_the_named_format(
    run: Run, orchard_package: Path
) -> None:
    model = load(orchard_package)
    expected = model.predict(pl.read_csv(ORCHARD))
    shown = run("predict", orchard_package, ORCHARD)
    assert shown.status == 0
    lines = [line.split(",") for line in shown.out.splitlines()]
    assert lines[0] == ["apples", "oranges"]
    assert [[float(cell) for cell in line] for line in lines[1:]] == pytest.approx(expected)
    readers = {"csv": pl.read_csv, "parquet": pl.read_parquet, "ndjson": pl.read_ndjson}
    for extension, read in readers.items():
        done = run("predict", orchard_package, ORCHARD, "-o", f"out.{extension}")
        assert (done.status, done.out) == (0, "")
        assert "5 rows predicted" in done.err
        assert read(f"out.{extension}").to_numpy() == pytest.approx(expected)
    assert sorted(p.name for p in Path.cwd().iterdir()) == ["out.csv", "out.ndjson", "out.parquet"]
    record = run("predict", orchard_package, ORCHARD, "--json").json
    assert (record["name"], record["version"], record["rows"]) == ("orchard", 1, 5)
    assert record["predictions"][0] == pytest.approx(
        dict(zip(model.targets, expected[0], strict=True))
    )


def test_rows_with_missing_values_get_no_prediction_and_are_counted(
    run: Run, orchard_package: Path
) -> None:
    Path("new.csv").write_text("rainfall,humidity,temperature\n67,43,73\n,43,73\n")
    done = run("predict", orchard_package, "new.csv")
    assert done.out == "apples,oranges\n56.89084,69.93756\n,\n"
    assert done.err == "Warning: 1 row with missing values got no prediction (missing: rainfall)\n"


def test_predict_names_what_does_not_fit(run: Run, orchard_package: Path) -> None:
    Path("new.csv").write_text("rain,humidity,temperature\n67,43,73\n")
    done = run("predict", orchard_package, "new.csv")
    assert (done.status, done.out) == (2, "")
    assert "the feature 'rainfall' is missing\n  did you mean 'rain'?" in done.err
    Path("new.csv").write_text("rainfall,humidity,temperature\n67,43,hot\n")
    assert "such as 'hot'" in run("predict", orchard_package, "new.csv").err
    assert run("predict", orchard_package, ORCHARD, "-o", "out.xls").status == 2
    assert "cannot write" in run("predict", orchard_package, ORCHARD, "-o", "no/out.csv").err
    assert [p.name for p in Path.cwd().iterdir()] == ["new.csv"]


def test_inspect_tells_the_models_story(run: Run, orchard_package: Path) -> None:
    shown = run("inspect", orchard_package)
    for said in (
        "orchard version 1",
        "apples  = -0.38757·temperature",
        "RMSE",
        "5 read",
        "float32",
    ):
        assert said in shown.out
    record = run("inspect", orchard_package, "--json").json
    assert record["version"] == 1
    assert record["manifest"]["name"] == "orchard"
    assert "a bare ONNX file" in run("inspect", orchard_package / "model.onnx").out


def test_verify_says_what_holds_and_exits_1_where_it_does_not(
    run: Run, orchard_package: Path
) -> None:
    shown = run("verify", orchard_package)
    assert shown.status == 0
    assert "64 rows predicted on this machine" in shown.out
    record = run("verify", orchard_package, "--json").json
    assert record["verified"] is True
    assert 0 < record["largest_share_of_bound"] <= 1
    assert set(record["files"]) == {"model.onnx", "model.pt", "golden.json", "report.html"}
    broken = Path(shutil.copytree(orchard_package, "broken"))
    (broken / "model.pt").write_bytes(b"")
    failed = run("verify", broken, "--json")
    assert failed.status == 1
    assert json.loads(failed.err)["error"] == "changed-file"
    assert run("predict", broken, ORCHARD).status == 0  # it reads no model.pt


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps_by_example(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.status == 0
    assert f"  gradline {command} " in shown.out or f"  {command} " in shown.out
    assert command in run("--help").out
    assert command in (REPOSITORY / "README.md").read_text()


def test_help_is_whole_sentences_without_the_parsers_words(run: Run) -> None:
    overview = run("--help").out
    assert "..." not in overview.partition("Commands:")[2]
    shown = run("train-and-export", "--help").out
    assert "RANGE" not in shown
    assert "--learning-rate NUMBER|auto" in shown
    assert "[default: 100]" in shown


def test_a_command_is_called_what_it_was_called(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train-and-export", "-h").out.startswith("Usage: gradline train-and-export [")
    monkeypatch.setattr(sys, "argv", ["train-and-export", "-h"])
    with pytest.raises(SystemExit):
        train_and_export()
    assert capsys.readouterr().out.startswith("Usage: train-and-export [")


def test_train_is_short_for_train_and_export(run: Run) -> None:
    usage, *described = run("train", "--help").out.splitlines()
    assert usage == "Usage: gradline train [OPTIONS] [DATA]"
    assert described == run("train-and-export", "--help").out.splitlines()[1:]
    assert run("train", "--quiet").out == "artifacts/orchard/1\n"
    assert run("trian").err == (
        "Error: No such command 'trian'. Did you mean 'train'?\n"
        "  gradline --help shows the commands\n"
    )


def test_an_unwritable_folder_is_refused_before_any_training(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    done = run("train-and-export", "no.csv", "-t", "y")
    assert done.status == 2
    assert "permission denied" in done.err


def test_a_full_disk_is_an_error_that_leaves_the_earlier_versions(
    run: Run, orchard_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("train-and-export").status == 0

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = run("train-and-export")
    assert done.status == 2
    assert "No space left on device" in done.err
    assert [p.name for p in Path("artifacts/orchard").iterdir()] == ["1"]
    assert run("train-and-export", "--name", "other").status == 2
    assert not Path("artifacts/other").exists()


def test_an_interrupted_run_exits_130_and_publishes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from gradline.cli import main; main()", "train-and-export"]
    endless = ["--gradient", "rows", "--epochs", "1000000000", "--tolerance", "0"]
    process = subprocess.Popen(
        [*command, *endless], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "epochs" in process.stderr.readline()  # progress: the loop is running
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Error: interrupted" in rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_fingerprints_are_recorded_unless_they_are_not_wanted(run: Run) -> None:
    for arguments, hashed in ((["-q"], True), (["-q", "--no-fingerprint"], False)):
        done = run("train-and-export", ORCHARD, "-t", "apples", "--exclude", "oranges", *arguments)
        manifest = json.loads((Path(done.out.strip()) / "manifest.json").read_text())
        (record,) = manifest["training"]["files"]
        expected = hashlib.sha256(Path(ORCHARD).read_bytes()).hexdigest()
        assert record.get("sha256") == (expected if hashed else None)


def test_the_summary_repeats_what_the_table_needs_to_be_read(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a;b;y\n1,5;2;3\n2;3;x\n3;4;5,5\n4,25;1;6\n1;9;2\n")
    options = ("--separator", ";", "--decimal-comma", "--null", "x", "--missing", "drop")
    out = run("train-and-export", str(table), "-t", "y", *options).out
    (line,) = (line for line in out.splitlines() if line.startswith("  predict  "))
    words = shlex.split(line)[2:]
    assert run(*words).out.splitlines()[0] == "y"


def test_the_summary_of_a_pinned_package_names_the_new_version(run: Run) -> None:
    run("train-and-export", "--quiet")
    run("pin", "artifacts/orchard", "1")
    out = run("train-and-export").out
    assert "gradline.load('artifacts/orchard/2')" in out
    assert "pinned to version 1" in out
