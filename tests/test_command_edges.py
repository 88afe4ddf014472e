"""The commands where the ground gives way: outputs, encodings, interrupts, odd files."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

import gradline_export.train_and_export
from gradline import InputError, load
from gradline.cli import main
from gradline_export import export_package
from gradline_export.publish.publishing import publish
from gradline_trainer import fit
from terminals import Pipe, call

ORCHARD = Path(__file__).parent.parent / "examples" / "orchard.csv"
TRAIN = ("train-and-export", ORCHARD, "-t", "apples", "--name", "fruit")
IMPATIENT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from gradline.cli import main
main({arguments!r})
"""
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def shell(line: str, folder: Path, **surroundings: str) -> subprocess.CompletedProcess[str]:
    """Run a line in which `gradline` is the command and $ORCHARD a table."""
    python, table = sys.executable, str(ORCHARD)
    prelude = f'gradline() {{ "{python}" -m gradline "$@"; }}; ORCHARD="{table}"; set -o pipefail; '
    prelude += "IFS=; "  # the table's path may have blanks
    return subprocess.run(
        ["bash", "-c", prelude + line],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **surroundings},
    )


# Where nobody reads


@pytest.mark.parametrize("command", ["inspect P", "predict P $ORCHARD", "--help", "inspect --help"])
def test_a_reader_that_leaves_ends_a_command_quietly(command: str, orchard_package: Path) -> None:
    line = f"gradline {command.replace('P', str(orchard_package), 1)} | true"
    done = shell(line, orchard_package)
    assert (done.returncode, done.stderr) == (0, "")


@full
@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("inspect P >/dev/full", "No space left"),
        ("predict P $ORCHARD >/dev/full", "No space left"),
        ("predict --help >/dev/full", "No space left"),
        ("inspect P >&-", "it is closed"),
        ("predict P $ORCHARD >&-", "it is closed"),
    ],
)
def test_an_answer_that_reaches_nobody_is_an_error(
    command: str, why: str, orchard_package: Path
) -> None:
    done = shell(f"gradline {command.replace('P', str(orchard_package), 1)}", orchard_package)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"cannot write to stdout: {why}" in done.stderr


def full_file() -> TextIO:
    return open("/dev/full", "w")


def left_pipe() -> TextIO:
    """A pipe whose reader has left."""
    theirs, ours = os.pipe()
    os.close(theirs)
    return open(ours, "w")


@full
def test_a_verdict_that_reaches_nobody_is_an_error(orchard_package: Path) -> None:
    said = io.StringIO()
    with full_file() as out:
        assert call(("verify", orchard_package, "--json"), out, said) == 2
    assert "cannot write to stdout: No space left" in said.getvalue()


@full
@pytest.mark.parametrize("open_stdout", [full_file, left_pipe, lambda: None])
@pytest.mark.parametrize("reads_errors", [True, False])
def test_what_is_published_is_done_whoever_reads_it(
    open_stdout: Callable[[], TextIO | None],
    reads_errors: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    out, said = open_stdout(), io.StringIO()
    err = said if reads_errors else full_file()
    assert call(TRAIN, out, err) == 0
    assert load("artifacts/fruit").version == 1
    told = "the package is published as artifacts/fruit/1" in said.getvalue()
    assert told == (reads_errors and open_stdout is not left_pipe)
    for stream in (out, err):
        if stream is not None:
            stream.close()  # as Python does at its end: nothing is left that fails then


def test_a_closed_stderr_is_no_file_of_the_package(tmp_path: Path) -> None:
    done = shell("gradline train-and-export $ORCHARD -t apples --name fruit 2>&-", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert load(tmp_path / "artifacts" / "fruit").version == 1


def test_without_a_home_nothing_is_said_of_it(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.touch()
    surroundings = {"HOME": str(home), "XDG_CONFIG_HOME": "", "ORT_DISABLE_TELEMETRY": "1"}
    found = shell("gradline train-and-export", tmp_path, **surroundings)
    assert (found.returncode, found.stderr) == (0, "")
    assert load(tmp_path / "artifacts" / "orchard").version == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_name_can_be_printed_and_data_are_utf8(encoding: str, tmp_path: Path) -> None:
    table = {"λ 🍎": [1.0, 2.0, 4.0], "größe": [1.0, 3.0, 2.0]}
    package = export_package(fit(table, "größe"), tmp_path, "names")
    (tmp_path / "table.csv").write_text("λ 🍎\n1\n", encoding="utf-8")

    def gradline(*arguments: object) -> tuple[int, bytes, bytes]:
        out, err = Pipe(encoding), Pipe(encoding)
        return call(arguments, out, err), out.data, err.data

    status, _, said = gradline("inspect", package)
    assert (status, said) == (0, b"")
    _, predicted, _ = gradline("predict", package, tmp_path / "table.csv")
    assert predicted.decode("utf-8").startswith("größe\n")
    record = json.loads(gradline("inspect", package, "--json")[1])
    assert record["manifest"]["schema"]["features"] == ["λ 🍎"]
    status, _, said = gradline("inspect", "λ🍎")
    assert status == 2
    assert said.startswith(b"Error: ")


# Interrupts


@pytest.mark.parametrize("module", ["click", "numpy", "polars", "torch", "onnxruntime"])
def test_an_interrupt_during_an_import_has_no_traceback(module: str, tmp_path: Path) -> None:
    code = IMPATIENT.format(
        module=module, arguments=["train-and-export", str(ORCHARD), "-t", "apples", "--json"]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert json.loads(done.stderr)["error"] == "interrupted"
    assert list(tmp_path.iterdir()) == []


def test_from_the_rename_on_an_interrupt_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> list[str]:
        os.kill(os.getpid(), signal.SIGINT)
        return ["said"]

    monkeypatch.setattr(gradline_export.train_and_export, "summary", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["train-and-export", "--output", str(tmp_path)])
    assert (stop.value.code, capsys.readouterr().out) == (0, "said\n")
    assert load(tmp_path / "orchard").version == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_publication_leaves_nothing_of_its_own(
    error: type[BaseException], tmp_path: Path
) -> None:
    def interrupt() -> None:
        raise error

    (tmp_path / "kept").mkdir()
    for root in (tmp_path / "kept", tmp_path / "new" / "deep"):
        with pytest.raises(error):
            publish({"model.onnx": b""}, root, "fruit", before_rename=interrupt)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


# Files in, files out


@pytest.fixture
def predict(
    orchard_package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str, str]]:
    """Calls `gradline predict` with the orchard's package in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["predict", str(orchard_package), *arguments])
        return (int(stop.value.code or 0), *capsys.readouterr())

    return call


Predict = Callable[..., tuple[int, str, str]]
HEADER = "rainfall,humidity,temperature\n"


def test_predictions_are_readable_as_the_umask_says(predict: Predict) -> None:
    before = os.umask(0o027)
    try:
        assert predict(str(ORCHARD), "-o", "out.CSV")[0] == 0
    finally:
        os.umask(before)
    assert Path("out.CSV").stat().st_mode & 0o777 == 0o640


def test_an_input_is_never_overwritten(predict: Predict) -> None:
    Path("new.csv").write_bytes(ORCHARD.read_bytes())
    os.link("new.csv", "same.csv")
    for output in ("new.csv", "./new.csv", "same.csv"):
        status, _, said = predict("new.csv", "-o", output)
        assert status == 2
        assert "is both input and output" in said
    assert Path("new.csv").read_bytes() == ORCHARD.read_bytes()


def test_missing_and_infinite_values_are_told_apart(predict: Predict) -> None:
    Path("new.csv").write_text(HEADER + "67,43,73\ninf,43,73\n-inf,inf,1\n,43,73\n,inf,1\n")
    status, out, said = predict("new.csv")
    assert (status, len(out.splitlines())) == (0, 6)
    assert said.splitlines() == [
        "Warning: 2 rows with missing values got no prediction (missing: rainfall)",
        "Warning: 2 rows with infinite or huge values got infinite or no predictions",
    ]
    answers = json.loads(predict("new.csv", "--json")[1], parse_constant=pytest.fail)
    assert [row["apples"] is None for row in answers["predictions"]] == [False, *[True] * 4]


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ("67,43,hot", "correct them, or give texts that mean missing with --null TOKEN"),
        ("67,43,1e39", "the graph computes in float32; the largest value is 3.4e+38"),
        (
            "67,43,9007199254740993",
            "correct it, or write it with a point (1e16, 123.0) to have it rounded",
        ),
    ],
)
def test_hints_name_options_that_predict_has(predict: Predict, row: str, hint: str) -> None:
    Path("new.csv").write_text(HEADER + row + "\n")
    status, _, said = predict("new.csv")
    assert (status, said.splitlines()[1]) == (2, f"  {hint}")


def test_a_value_beyond_float32_is_named_with_its_row_and_file(predict: Predict) -> None:
    Path("new.csv").write_text(HEADER + "67,43,73\n" * 3 + "67,-1e39,73\n")
    status, _, said = predict("new.csv")
    assert (status, said.splitlines()[0]) == (
        2,
        "Error: the column 'humidity' holds -1e+39 in row 4 of new.csv, outside the range of "
        "float32",
    )


def test_a_table_in_the_package_s_place_is_told(predict: Predict, tmp_path: Path) -> None:
    done = shell('gradline predict "$ORCHARD" artifacts', tmp_path)
    assert done.returncode == 2
    assert "orchard.csv is neither a package nor an ONNX file" in done.stderr


def test_names_joined_by_commas_are_told_apart(predict: Predict) -> None:
    status, _, said = predict(str(ORCHARD), "--keep", "region,temperature")
    assert status == 2
    assert "'region' and 'temperature' are separate columns" in said
    with pytest.raises(InputError) as caught:
        fit(ORCHARD, "apples, oranges")
    assert caught.value.hint.endswith("repeat the option for each name")


# What `fit` is given


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"targets": 0}, "targets = 0, expected"),
        ({"targets": "y", "features": [1]}, "features = [1], expected"),
        ({"targets": "y", "exclude": 1}, "exclude = 1, expected"),
        ({"targets": "y", "null": [-999]}, "null = [-999], expected"),
        ({"targets": "y", "separator": 1}, "separator = 1, expected one character"),
    ],
)
def test_arguments_of_other_types_are_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as caught:
        fit({"x": [1.0, 2.0, 4.0], "y": [1.0, 3.0, 2.0]}, **arguments)  # type: ignore[arg-type]
    assert str(caught.value).startswith(says)
    assert caught.value.hint


def test_weights_of_a_file_are_one_of_its_columns() -> None:
    with pytest.raises(InputError, match=r"sample_weight = \[1, 2\], expected the name of a col"):
        fit(ORCHARD, "apples", sample_weight=[1, 2])
