"""What the commands print: data and answers on stdout, all that is said of them on stderr.

A reader that has seen enough (`head`) ends a command quietly; a full disk under stdout is an error
of ours; a stderr that nobody reads changes nothing. Data are UTF-8 whatever the terminal's
encoding is, and a character that it can't show never ends a command.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import click

from gradline.errors import OutputError

__all__ = ["fail", "prepare", "say", "say_json", "silence", "tell", "unwritten"]


def prepare() -> None:
    """Let stdout and stderr take any character, and stderr any line where it is closed."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def say(answer: str | bytes) -> None:
    """Print text for people in the terminal's encoding, or data as they are, on stdout.

    Raises:
        OutputError: Where stdout is closed or full.
        Exit: Of click, with status 0, where its reader has gone.
    """
    if sys.stdout is None:
        raise unwritten("it is closed")
    try:
        click.echo(answer, nl=isinstance(answer, str))
    except BrokenPipeError:
        silence(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        silence(sys.stdout)
        raise unwritten(error.strerror or str(error)) from error


def say_json(record: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout; see `say`."""
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError:  # JSON has no infinity: it becomes null
        plain = json.loads(json.dumps(record), parse_constant=lambda _: None)
        text = json.dumps(plain, ensure_ascii=False)
    # What is no Unicode in a file's name becomes an escape, which is JSON too.
    say(f"{text}\n".encode(errors="backslashreplace"))


def tell(text: str) -> None:
    """Print text on stderr, where there is someone to read it."""
    try:
        click.echo(text, err=True)
    except OSError:
        silence(sys.stderr)


def fail(arguments: Sequence[str], message: str, hint: str, code: str) -> None:
    """Print an error on stderr, for people or, with --json among the arguments, for programs."""
    if "--json" in arguments:
        report = {"error": code, "message": message, "hint": hint}
        tell(json.dumps(report, ensure_ascii=False))
    else:
        tell(f"Error: {message}" + (f"\n  {hint}" if hint else ""))


def silence(stream: TextIO | None) -> None:
    """Drop what a stream that failed still holds: Python would fail again as it ends."""
    if stream is not None:
        with contextlib.suppress(OSError):  # what is no file has nothing to hold
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def unwritten(reason: str) -> OutputError:
    """Return the error for an answer that did not reach stdout."""
    return OutputError(
        f"cannot write to stdout: {reason}",
        code="cannot-write",
        hint="give it a place with room to write to",
    )
