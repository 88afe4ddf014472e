"""Shell completion: the scripts are written, and bash's completes for real."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gradline.commands.group import COMMANDS
from terminals import on_terminal
from test_lightness import HEAVY, gradline_without

PAGE = (Path(__file__).parent.parent / "docs" / "completion.md").read_text()
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
# As pip writes it where the interpreter's path has blanks, which a line with #! can't have.
PROGRAM = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
from gradline.cli import main
main(prog_name={name!r})
"""
# Completes words as readline has it done: the last of them is the one that is typed.
COMPLETE = """
source gradline.bash
compopt() {{ printf 'compopt %s %s\\n' "$1" "$2"; }}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
{function} {command}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both commands in bin/, and the page's lines called there."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "bin").mkdir()
    for name in ("gradline", "train-and-export"):
        program = folder / "bin" / name
        program.write_text(PROGRAM.format(python=sys.executable, name=name))
        program.chmod(0o755)
    assert len(LINES) == 6
    for line in LINES:
        bash(line, folder)
    return folder


def surroundings(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def bash(script: str, folder: Path) -> str:
    command = ["bash", "--norc", "-c", script]
    done = subprocess.run(
        command, cwd=folder, env=surroundings(folder), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def completed(folder: Path, words: str) -> list[str]:
    command = words.split()[0]
    function = f"_{command.replace('-', '_')}_completion"
    return bash(COMPLETE.format(words=words, function=function, command=command), folder).split(
        "\n"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gradline tr", ["train-and-export"]),
        ("gradline train-and-export --precond", ["--preconditioning"]),
        ("gradline train-and-export --preconditioning ''", ["none", "standardize", "whiten"]),
        ("gradline train-and-export --learning-rate a", ["auto"]),
        ("gradline predict p new.csv --format p", ["parquet"]),
        ("gradline evaluate p new.csv --max", ["--max-rmse"]),
        ("gradline predict p new.csv --unknown-category ''", ["error", "zero", "missing"]),
        ("train-and-export --arithmetic e", ["exact"]),
        ("train-and-export --no-f", ["--no-fingerprint"]),
    ],
)
def test_bash_completes(folder: Path, words: str, expected: list[str]) -> None:
    assert completed(folder, words)[:-1] == expected


def test_bash_completes_every_subcommand(folder: Path) -> None:
    assert completed(folder, "gradline ''")[:-1] == list(COMMANDS)


@pytest.mark.parametrize(
    "words",
    [
        "gradline inspect ''",
        "gradline predict p ''",
        "gradline evaluate p q ''",
        "gradline diff a b --data ''",
        "train-and-export ''",
        "train-and-export --output ''",
    ],
)
def test_bash_leaves_files_to_itself(folder: Path, words: str) -> None:
    assert completed(folder, words)[0] == "compopt -o default"


def test_the_tab_key_completes_commands_and_files(folder: Path) -> None:
    (folder / "artifacts" / "orchard").mkdir(parents=True, exist_ok=True)
    typed = iter(["source gradline.bash\n", "gradline insp\tartif\torch\t\n", "exit\n"])

    def type_next(shown: str, process: subprocess.Popen[bytes], terminal: int) -> None:
        if shown.endswith("ready> ") and (line := next(typed, None)) is not None:
            os.write(terminal, line.encode())

    shown = on_terminal(
        *("bash", "--norc", "--noprofile", "-i"),
        cwd=folder,
        environment={"PATH": surroundings(folder)["PATH"], "PS1": "ready> ", "HISTFILE": ""},
        watch=type_next,
        columns=120,
    )
    assert "gradline inspect artifacts/orchard/" in shown.text


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_scripts_are_theirs(folder: Path, shell: str) -> None:
    scripts = sorted(folder.glob(f"*.{shell}"))
    text = "".join(script.read_text() for script in scripts)
    for variable in ("_GRADLINE_COMPLETE", "_TRAIN_AND_EXPORT_COMPLETE"):
        assert f"{variable}={shell}_complete" in text
    if found := shutil.which(shell):
        for script in scripts:
            subprocess.run([found, "--no-execute", script], check=True)


def test_a_light_install_completes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_GRADLINE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_CWORD", "3")
    for words, expected in (
        ("gradline train-and-export --dtype ", "plain,auto\nplain,float32\nplain,float64\n"),
        ("gradline predict --format nd", "plain,ndjson\n"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        done = gradline_without(sorted(HEAVY - {"gradline_export", "gradline_trainer"}), "ignored")
        assert (done.stdout, done.stderr) == (expected, "")
