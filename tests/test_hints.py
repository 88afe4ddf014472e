"""Hints: in Python's words for Python, and in the command line's for commands."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import gradline
from gradline.commands.group import run
from gradline.errors import KEYWORDS, in_python, in_quotes
from gradline_export import export_package
from gradline_trainer import fit
from gradline_trainer.options import Options

ROOT = Path(__file__).parents[1]
WINGS = ("runtime", "trainer", "export")
SHELL = ("ray start --head", "gradline sign PACKAGE --key KEY.pem", "pip install --upgrade")


def text_of(node: ast.AST) -> str:
    """Write a literal with a word in the place of each value."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        parts = (text_of(v) if isinstance(v, ast.Constant) else "'a b'" for v in node.values)
        return "".join(parts).replace("'--", "' --")  # a value that ends with a blank
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return ""


def hints() -> Iterator[tuple[str, str]]:
    """Yield each literal with an option, other than docstrings and options' declarations."""
    paths = {p for wing in WINGS for p in (ROOT / wing).rglob("*.py")}
    for path in paths - {ROOT / "runtime/gradline/errors.py"}:  # the pattern itself
        tree = ast.parse(path.read_text())
        skipped: set[int] = set()
        for node in ast.walk(tree):
            is_declared = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("click.")
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if is_declared or is_docstring or isinstance(node, ast.JoinedStr):
                inner = set(map(id, ast.walk(node)))
                skipped |= inner - {id(node)} if isinstance(node, ast.JoinedStr) else inner
        for node in ast.walk(tree):
            if id(node) not in skipped and re.search("--[a-z]", text := text_of(node)):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", text


def test_no_hint_has_an_option_of_the_command_line_in_python() -> None:
    found = list(hints())
    assert len(found) > 100
    for place, hint in found:
        shown = in_python(hint)
        for line in SHELL:
            shown = shown.replace(line, "")
        assert "--" not in shown, place
        assert "train-and-export --" not in shown, place


def test_each_value_of_an_option_in_a_message_is_quoted_for_the_shell() -> None:
    """`repr` is not: of "it's `x`" it makes a text in double quotes, in which a shell runs x."""
    for wing in WINGS:
        for path in (ROOT / wing).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                for before, value in pairwise(
                    node.values if isinstance(node, ast.JoinedStr) else []
                ):
                    is_repr = isinstance(value, ast.FormattedValue) and value.conversion == ord("r")
                    is_option = re.search(r"(?:--[a-z-]+|-f) $", text_of(before))
                    assert not (is_repr and is_option), f"{path}:{node.lineno}"


@pytest.mark.parametrize("name", ["it's", "$HOME", "it's `x`", 'a "b" c'])
def test_a_quoted_value_is_one_word_of_the_shell_and_one_of_python(name: str) -> None:
    hint = f"--exclude {in_quotes(name)}"
    assert shlex.split(hint) == ["--exclude", name]
    assert in_python(hint) == f"exclude={name!r}"


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("--exclude 'a'", "exclude='a'"),
        ("--exclude 'it'\"'\"'s'", 'exclude="it\'s"'),
        ('--exclude "it\'s", or divide it first', 'exclude="it\'s", or divide it first'),
        ("--feature 'log1p(a)' takes zeros", "features='log1p(a)' takes zeros"),
        ("--target 'a', --target 'b'", "targets='a', targets='b'"),
        ("give --ridge auto, or leave --folds out", "give ridge='auto', or leave folds out"),
        ("export it with --intervals", "export it with intervals=True"),
        ("leave out one of --intervals and --ridge", "leave out one of intervals and ridge"),
        ("leave --intervals out", "leave intervals out"),
        ("--max-change 0.5", "max_change=0.5"),
        ("--robust-kind HC1", "robust='HC1'"),
        ("--no-bias or --ridge", "bias=False or ridge"),
        ("--name my-model.2", "name='my-model.2'"),
        ("--name NAME", "name=NAME"),
        ("with --null TOKEN", "with null=TOKEN"),
        ("give --gradient moments: the same", "give gradient='moments': the same"),
        (
            "give a file that train-and-export --save-moments wrote",
            "give a file that save_moments wrote",
        ),
        ("-f year", "features='year'"),
        ("-f '*' -f '``' takes one of them in", "features=['*', '``'] takes one of them in"),
        ("-f 'a b' or --exclude 'c'", "features='a b' or exclude='c'"),
        ("-f '*' -f 'it'\"'\"'s'", "features=['*', \"it's\"]"),
        ("iconv -f latin1 -t utf-8 a > b", "iconv -f latin1 -t utf-8 a > b"),
        ("did you mean 'a--b'?", "did you mean 'a--b'?"),
        ("run: gradline sign PACKAGE --key KEY.pem", "run: gradline sign PACKAGE --key KEY.pem"),
        ("ray start --head", "ray start --head"),
    ],
)
def test_a_hint_in_python(hint: str, shown: str) -> None:
    assert in_python(hint) == shown
    error = gradline.InputError("what", hint=hint)
    assert (error.hint, error.command_hint, error.__notes__) == (shown, hint, [shown])
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (copy.hint, copy.command_hint) == (shown, hint)


def test_what_a_keyword_is_called_is_a_keyword_of_a_call() -> None:
    known = {*inspect.signature(fit).parameters, *vars(Options())}
    known |= {
        *inspect.signature(export_package).parameters,
        *inspect.signature(gradline.load).parameters,
    }
    assert set(KEYWORDS.values()) <= known


def test_a_command_prints_its_own_form(
    orchard_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("temperature;rainfall;humidity\n1;2;3\n")
    assert run(["predict", str(orchard_package), str(table)]) == 2
    assert "--separator ';'" in capsys.readouterr().err
    with pytest.raises(gradline.InputError) as caught:
        fit(table, "humidity")
    assert caught.value.hint == "is the separator another one? separator=';'"


def test_a_hint_runs_as_it_is_pasted() -> None:
    table: dict[str, Any] = {"a": [1.0, 2, 4, 7], "n": [2**60 + 1] * 4, "y": [1.0, 3, 2, 9]}
    with pytest.raises(gradline.InputError) as caught:
        fit(table, "y", strict=True)
    pasted = caught.value.hint.partition(",")[0]
    assert pasted == "exclude='n'"
    learned = eval(f"fit(table, 'y', strict=True, {pasted})", {"fit": fit, "table": table})  # noqa: S307
    assert learned.features == ["a"]
    table = {"id": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 9]}
    with pytest.raises(gradline.InputError) as caught:
        fit(table, "y")
    pasted = caught.value.hint.partition(" takes ")[0]
    assert pasted == "features=['*', 'id']"
    assert eval(f"fit(table, 'y', {pasted})", {"fit": fit, "table": table}).features == ["id"]  # noqa: S307
