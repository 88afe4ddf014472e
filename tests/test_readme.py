"""README's commands and code do what it says they do."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gradline.cli import main

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
TABLES = {"sales.csv": "revenue", "prices.csv": "price", "logs/a.parquet": "cpu"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the tables that README speaks of, and the reference package."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / "examples", "examples")
    shutil.copytree(REPOSITORY / "artifacts" / "orchard", "artifacts/orchard")
    Path("logs").mkdir()
    random = np.random.default_rng(0)
    for name, target in TABLES.items():
        columns = {n: random.standard_normal(200) for n in ("id", "a", "b", "memory")}
        frame = pl.DataFrame({**columns, target: random.standard_normal(200)})
        if name.endswith("parquet"):
            frame.write_parquet(name)
        elif name == "prices.csv":
            text = frame.write_csv(separator=";").replace(".", ",")
            Path(name).write_text(text + "NA;1;1;1;1\n")
        else:
            frame.write_csv(name)
    shutil.copy("sales.csv", "new.csv")
    regions = pl.Series("region", ["north", "south", "east", "north"] * 50)
    shops = pl.read_csv("sales.csv").with_columns(regions, pl.Series("a", [None, 1, 2, 3] * 50))
    shops.write_csv("shops.csv")
    shops.with_columns(region=pl.lit("west")).write_csv("new_shops.csv")
    return tmp_path


def call(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    arguments = shlex.split(line, comments=True)
    if arguments[0] == "openssl":
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr
    if arguments[0] == "gradline":
        arguments.pop(0)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out + captured.err


def test_it_opens_with_three_sentences_and_two_commands() -> None:
    opening = README.split("```sh")[0].replace("\n", " ")
    assert len(re.findall(r"\. [A-Z]|\. *$", opening)) == 3
    commands = [line.split("#")[0].strip() for line in blocks("sh")[0].splitlines()]
    assert commands == ["make run", "make test"]
    recipes = (REPOSITORY / "Makefile").read_text()
    assert all(f"\n{command.split()[1]}:" in recipes for command in commands)


def test_every_shell_line_works(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in blocks("sh")[1:] for line in block.splitlines()]
    assert len(lines) >= 7
    for line in lines:
        status, said = call(line, capsys)
        assert status == 0, f"{line}\n{said}"


def test_the_python_code_runs(folder: Path) -> None:
    namespace: dict[str, object] = {}
    assert len(blocks("python")) == 4
    for block in blocks("python"):
        exec(block, namespace)  # noqa: S102 - README's own code
    for name in ("fruit", "searched"):
        assert Path(f"artifacts/{name}/1/model.onnx").exists()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_the_output_that_it_shows_is_what_the_command_prints(
    folder: Path, capsys: pytest.CaptureFixture[str], which: int
) -> None:
    tutorial = "--preconditioning none --learning-rate 1e-4 --epochs 100 --seed 1337 --tolerance 0"
    lines = [
        "train-and-export",
        f"train-and-export {tutorial}",
        "train-and-export --preconditioning none --learning-rate 1e-3",
    ]
    _, said = call(lines[which], capsys)
    assert blocks("text")[which].strip("\n") in said


def test_the_server_answers_as_it_shows(folder: Path) -> None:
    command, address, *request, answer = blocks("console")[0].splitlines()
    words = [sys.executable, "-m", *shlex.split(command.removeprefix("$ ")), "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        bound = server.stderr.readline().strip()
        assert bound.startswith("http://127.0.0.1:")
        curl = " ".join(request).replace("\\", "").removeprefix("$ ")
        curl = curl.replace("localhost:8080", bound.removeprefix("http://"))
        found = subprocess.run(
            [*shlex.split(curl), "--silent"], capture_output=True, text=True, check=True
        )
        server.terminate()
    assert address == "http://127.0.0.1:8080"
    assert found.stdout == answer
