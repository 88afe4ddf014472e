"""A mistyped command or option gets a suggestion that was meant, or none."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

import click
import pytest

from gradline.commands.group import COMMANDS, import_command
from gradline.commands.suggestions import similar
from terminals import piped

FOREIGN = (  # what other tools call theirs
    "lasso", "alpha", "l1", "lr", "batch-size", "random-state", "test-size", "cv", "lambda",
    "penalty", "max-iter", "no-intercept", "verbose", "label", "gpu", "optimizer", "steps",
    "fit", "evaluate", "export", "load", "run", "show", "score", "deploy", "help",
)  # fmt: skip


def all_options() -> list[str]:
    """List the long options of every command and its subcommands."""
    commands: list[click.Command] = [import_command(name) for name in COMMANDS]
    commands += [
        sub
        for group in commands
        if isinstance(group, click.Group)
        for sub in group.commands.values()
    ]
    names = {
        name for command in commands for parameter in command.params for name in parameter.opts
    }
    return sorted(name for name in names if name.startswith("--"))


def letters(name: str) -> str:
    return re.sub("^-*(no-)?", "", name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["preidct"], "No such command 'preidct'. Did you mean 'predict'?"),
        (["moemnts"], "No such command 'moemnts'. Did you mean 'moments'?"),
        (["sgin"], "No such command 'sgin'. Did you mean 'sign'?"),
        (["ls"], "No such command 'ls'. Did you mean 'list'?"),
        (["nonsense"], "No such command 'nonsense'."),
        (["moments", "mrege"], "No such command 'mrege'. Did you mean 'merge'?"),
        (["moments", "merge", "--ouput"], "No such option '--ouput'. Did you mean '--output'?"),
        (["train-and-export", "--lasso"], "No such option '--lasso'."),
        (["train-and-export", "--trget"], "No such option '--trget'. Did you mean '--target'?"),
        (
            ["train-and-export", "--robus"],
            "No such option '--robus'. Did you mean '--robust' or '--robust-kind'?",
        ),
        (["train-and-export", "--bias"], "No such option '--bias'. Did you mean '--no-bias'?"),
        (["serve", "--prot"], "No such option '--prot'. Did you mean '--port'?"),
        (["--verison"], "No such option '--verison'. Did you mean '--version'?"),
        (["list", "-z"], "No such option '-z'."),
    ],
)  # fmt: skip
def test_what_was_meant_is_suggested(words: list[str], message: str) -> None:
    status, out, err = piped(*words)
    assert (status, out) == (2, "")
    first, hint = err.splitlines()
    assert first == f"Error: {message}"
    assert re.fullmatch(r"  gradline.* --help shows the (options|commands)", hint)


def test_the_command_on_its_own_suggests_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradline.commands.group import run

    said: list[str] = []
    monkeypatch.setattr("gradline.commands.group.fail", lambda *told: said.extend(told[1:]))
    assert run(["--targte", "y"], "train-and-export") == 2
    assert said == [
        "No such option '--targte'. Did you mean '--target'?",
        "train-and-export --help shows the options",
        "usage",
    ]


@pytest.mark.parametrize("known", [list(COMMANDS), all_options()], ids=["commands", "options"])
def test_a_suggestion_shares_most_letters(known: list[str]) -> None:
    for word in FOREIGN:
        for name in similar(word, known):
            assert letters(name).startswith(word), (word, name)
    for name in known:
        bare = letters(name)
        for j in range(len(bare) - 1):  # two letters swapped, and one left out
            for typo in (
                bare[:j] + bare[j + 1] + bare[j] + bare[j + 2 :],
                bare[:j] + bare[j + 1 :],
            ):
                for found in similar(typo, known):
                    share = SequenceMatcher(None, typo, letters(found)).ratio()
                    assert share > 0.65 or letters(found).startswith(typo)
                if len(bare) > 4:
                    assert name in similar(typo, known), (typo, name)


def test_nothing_is_similar_to_no_letters() -> None:
    assert similar("", COMMANDS) == similar("--", all_options()) == []
