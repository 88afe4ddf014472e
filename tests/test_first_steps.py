"""The first minutes: `gradline` alone, and `gradline demo`, whose last lines can be pasted."""

import json
import shlex
from pathlib import Path

import pytest

from gradline.commands.group import COMMANDS
from outcomes import Run


def test_gradline_alone_shows_the_four_commands_that_a_newcomer_needs(run: Run) -> None:
    shown = run()
    assert shown.status == 0
    lines = [line for line in shown.out.splitlines() if line.startswith("  gradline ")]
    assert [line.split()[1] for line in lines] == ["demo", "train", "predict", "serve"]
    assert all(len(line) < 80 for line in shown.out.splitlines())
    assert "gradline --help" in shown.out
    assert all(name in run("--help").out for name in COMMANDS)


def test_the_demo_writes_a_table_learns_and_shows_what_to_do_next(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = run("demo", "try it")
    assert shown.status == 0
    table = tmp_path / "try it" / "cafes.csv"
    assert table.read_bytes().startswith(b",opened,region,")
    summary, following = shown.out.split("Next:\n")
    assert "revenue = " in summary
    lines = [shlex.split(line) for line in following.splitlines()]
    assert [words[:2] for words in lines] == [
        ["gradline", "predict"],
        ["gradline", "evaluate"],
        ["gradline", "serve"],
    ]
    predict, evaluate, serve = (words[1:] for words in lines)
    assert run(*predict).status == 0
    header = (tmp_path / "try it" / "predicted.csv").read_text().splitlines()[0]
    assert header == "revenue,revenue_predicted"
    assert run(*evaluate).status == 0
    assert (tmp_path / serve[1] / "1" / "manifest.json").is_file()


def test_the_demo_again_adds_a_version_and_leaves_the_table(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    run("demo", str(folder))
    before = (folder / "cafes.csv").stat().st_mtime_ns
    assert run("demo", str(folder)).status == 0
    assert (folder / "cafes.csv").stat().st_mtime_ns == before
    manifest = json.loads((folder / "artifacts" / "cafes" / "2" / "manifest.json").read_text())
    assert manifest["name"] == "cafes"


def test_the_demo_never_overwrites_another_table(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cafes.csv").write_text("mine\n1\n")
    shown = run("demo", str(tmp_path))
    assert shown.status == 2
    assert "another table" in shown.err
    assert "gradline demo FOLDER" in shown.err
    assert (tmp_path / "cafes.csv").read_text() == "mine\n1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cafes.csv"]


def test_a_demo_that_cannot_be_written_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shown = run("demo", str(tmp_path / "file" / "demo"))
    assert shown.status == 2
    assert "cannot make the folder" in shown.err
