"""What the commands print: data and answers on stdout, all that is said of them on stderr.

A reader that has seen enough (`head`) ends a command quietly; a full disk under stdout is an error
of ours; a stderr that nobody reads changes nothing. Data are UTF-8 whatever the terminal's
encoding is, and a character that it can't show never ends a command. What people read bears colours
and the terminal's width where a terminal shows it, and is plain text anywhere else.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from gradline.errors import OutputError
from gradline.terminal.printable import as_json, for_terminal, printable_lines

if TYPE_CHECKING:
    from gradline.terminal.layout import Part

__all__ = ["fail", "prepare", "say", "say_json", "show", "silence", "tell", "unwritten", "warn"]

# What the commands' own sentences and tables are written with, for encodings without it.
SPELLED = {
    "·": "*", "×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "→": "->", "≤": "<=",
    "≥": ">=", "±": "+-", "²": "2", "λ": "lambda ", "─": "-", "━": "-",
}  # fmt: skip


# What is done before anything is printed: a live line makes room.
before_printing: list[Callable[[], object]] = []


def prepare() -> None:
    """Let stdout and stderr take any character, and stderr any line where it is closed."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            codecs.register_error(f"spell-or-{errors}", _Speller(errors))
            stream.reconfigure(errors=f"spell-or-{errors}")


class _Speller:
    """Handles characters that an encoding lacks: spelled where they are ours, else as `other`."""

    def __init__(self, other: str) -> None:
        self._other = codecs.lookup_error(other)

    def __call__(self, error: UnicodeError) -> tuple[str | bytes, int]:
        assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - nothing is decoded
        spelled = SPELLED.get(error.object[error.start])
        if spelled is not None:
            return spelled, error.start + 1
        error.end = error.start + 1
        return self._other(error)


def show(parts: Sequence[Part]) -> None:
    """Print what people read on stdout: as a terminal shows it where it is one, else plain."""
    from gradline.terminal.layout import as_text

    if _is_rich(sys.stdout):
        with contextlib.suppress(ImportError):  # a light install prints plain text
            from shutil import get_terminal_size

            from gradline.terminal.styled import as_styled

            width = get_terminal_size().columns
            say(as_styled(parts, width, color=_may_color()), styled=True)
            return
    say(as_text(parts))


def say(answer: str | bytes, *, styled: bool = False) -> None:
    """Print text for people in the terminal's encoding, or data, on stdout.

    Data are printed unchanged, except for characters that could move a terminal's cursor.

    Args:
        answer: Text, or data.
        styled: Whether its escape codes are to stay wherever it goes.

    Raises:
        OutputError: Where stdout is closed or full.
        Exit: Of click, with status 0, where its reader has gone.
    """
    if sys.stdout is None:
        raise unwritten("it is closed")
    _make_room()
    if isinstance(answer, str):
        answer = answer if styled else printable_lines(answer)
    elif sys.stdout.isatty():
        answer = for_terminal(answer)
    try:  # click's own idea of stdout would be UTF-8 where ASCII is asked for
        click.echo(answer, sys.stdout, nl=isinstance(answer, str), color=styled or None)
    except BrokenPipeError:
        silence(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        silence(sys.stdout)
        raise unwritten(error.strerror or str(error)) from error


def say_json(record: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout; see `say`."""
    try:
        text = as_json(record, allow_nan=False)
    except ValueError:  # JSON has no infinity: it becomes null
        plain = json.loads(json.dumps(record), parse_constant=lambda _: None)
        text = as_json(plain)
    # What is no Unicode in a file's name becomes an escape, which is JSON too.
    say(f"{text}\n".encode(errors="backslashreplace"))


def tell(text: str, *, styled: bool = False) -> None:
    """Print text on stderr; do nothing if stderr can't be written.

    Args:
        text: Text with any names and values.
        styled: Whether to keep its escape codes.
    """
    _make_room()
    text = text if styled else printable_lines(text)
    try:
        click.echo(text, sys.stderr)
    except OSError:
        silence(sys.stderr)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    tell(_marked("Warning:", "yellow", text), styled=True)


def fail(arguments: Sequence[str], message: str, hint: str, code: str) -> None:
    """Print an error on stderr, for people or, with --json among the arguments, for programs."""
    if "--json" in arguments:
        report = {"error": code, "message": message, "hint": hint}
        tell(as_json(report))
    else:
        told = message + (f"\n  {hint}" if hint else "")
        tell(_marked("Error:", "red", told), styled=True)


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


def _make_room() -> None:
    for act in before_printing:
        act()


def _is_rich(stream: TextIO | None) -> bool:
    """Return whether what people read is to be more than plain text there."""
    if os.environ.get("FORCE_COLOR"):
        return True
    return (
        stream is not None and stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    )


def _may_color() -> bool:
    return not os.environ.get("NO_COLOR")


def _marked(mark: str, color: str, text: str) -> str:
    """Return a line for stderr that a mark opens."""
    if _may_color() and sys.stderr.isatty() and _is_rich(sys.stderr):
        mark = click.style(mark, fg=color, bold=True)
    return f"{mark} {printable_lines(text)}"
