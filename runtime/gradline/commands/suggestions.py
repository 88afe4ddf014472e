"""Suggest the command or option that a mistyped one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

import click

LEAST = 0.66  # least share of letters in common, in the same order
BEGINNING = 3  # letters that suffice if they begin a name
LONGEST = 100  # letters that are compared, because that takes time
MOST = 3  # names in a suggestion


def similar(given: str, known: Iterable[str]) -> list[str]:
    """List the known names that `given` may stand for, the closest first.

    A name is similar if it starts with `given`, or if both begin alike and share most letters.
    Leading dashes and "no-" do not count: they alone make no two options similar.
    """
    word = _bare(given)[:LONGEST]
    scores = {name: _similarity(word, _bare(name)) for name in known}
    close = [name for name in sorted(scores, key=lambda name: -scores[name]) if scores[name]]
    return close[:MOST]


def _bare(name: str) -> str:
    return name.casefold().lstrip("-").removeprefix("no-")


def _similarity(word: str, name: str) -> float:
    """Score how similar two words are; 0 if they are not."""
    if not word or not name:
        return 0.0
    share = SequenceMatcher(None, word, name).ratio()
    if len(word) >= BEGINNING and name.startswith(word):
        return 1 + share
    swapped, without_first = name[:2][::-1], name[1:3]
    begin_alike = word[0] == name[0] or word[:2] in (swapped, without_first)
    return share if begin_alike and share >= LEAST else 0.0


def describe_misuse(error: click.UsageError) -> tuple[str, str]:
    """Describe a wrong call: its message and its hint."""
    context = error.ctx
    if context is None:
        return error.format_message(), ""
    command = context.command
    options = f"{context.command_path} --help shows the options"
    if isinstance(error, click.NoSuchOption):
        known = [name for parameter in command.get_params(context) for name in parameter.opts]
        long = [name for name in known if name.startswith("--")]
        return error.message + _meant(similar(error.option_name, long)), options
    if isinstance(error, click.NoSuchCommand) and isinstance(command, click.Group):
        known = [*command.list_commands(context), *getattr(command, "aliases", ())]
        meant = _meant(similar(error.command_name, known))
        return error.message + meant, f"{context.command_path} --help shows the commands"
    return error.format_message(), options


def _meant(names: list[str]) -> str:
    return f" Did you mean {' or '.join(map(repr, names))}?" if names else ""
