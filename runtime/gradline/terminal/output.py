"""Print data and answers on stdout; progress, warnings and errors on stderr.

If the reader of stdout leaves (`head`), the command ends quietly. A full disk under stdout is an
error; a stderr that nobody reads is not. Data are always UTF-8. A character that the terminal's
encoding lacks never ends a command. Text for people is styled on a terminal and plain elsewhere.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from gradline.errors import OutputError
from gradline.terminal.layout import as_text
from gradline.terminal.printable import as_json, for_terminal, printable_lines

if TYPE_CHECKING:
    from gradline.terminal.layout import Element

# The commands' own signs, spelled for encodings that lack them.
SPELLED = {
    "·": "*", "×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "→": "->", "≤": "<=",
    "≥": ">=", "±": "+-", "²": "2", "λ": "lambda ", "─": "-", "━": "-",
}  # fmt: skip

#: Called before anything is printed: the live line makes room.
before_printing: list[Callable[[], object]] = []


def prepare() -> None:
    """Make stdout and stderr accept any character, and stderr any line even if it is closed."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            codecs.register_error(f"spell-or-{errors}", _spell_or(codecs.lookup_error(errors)))
            stream.reconfigure(errors=f"spell-or-{errors}")


Handler = Callable[[UnicodeError], tuple[str | bytes, int]]


def _spell_or(other: Handler) -> Handler:
    """Make a handler of encoding errors that spells our own signs; `other` handles the rest."""

    def handle(error: UnicodeError) -> tuple[str | bytes, int]:
        assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - nothing is decoded
        error.end = error.start + 1
        spelled = SPELLED.get(error.object[error.start])
        return other(error) if spelled is None else (spelled, error.end)

    return handle


def show(parts: Sequence[Element]) -> None:
    """Print text for people on stdout: styled on a terminal if rich is installed, else plain."""
    if is_styled(sys.stdout):
        with contextlib.suppress(ImportError):
            from gradline.terminal.styled import as_styled

            width = shutil.get_terminal_size().columns
            say(as_styled(parts, width, color=_may_color()), styled=True)
            return
    say(as_text(parts))


def say(answer: str | bytes, *, styled: bool = False) -> None:
    """Print text in the terminal's encoding, or data unchanged, on stdout; end if its reader left.

    Characters that could move a terminal's cursor are replaced, in data only on a terminal. Text
    that is `styled` keeps its escape codes.
    """
    if sys.stdout is None:
        raise unwritten("it is closed")
    _make_room()
    if isinstance(answer, str):
        answer = answer if styled else printable_lines(answer)
    elif sys.stdout.isatty():
        answer = for_terminal(answer)
    try:  # without the stream, click would write UTF-8 to an ASCII terminal
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
        text = as_json(json.loads(json.dumps(record), parse_constant=lambda _: None))
    # A file name that is not Unicode becomes an escape, which JSON allows.
    say(f"{text}\n".encode(errors="backslashreplace"))


def tell(text: str, mark: str = "", color: str = "") -> None:
    """Print text on stderr, behind a mark in a color; do nothing if stderr can't be written."""
    _make_room()
    if color and _may_color() and sys.stderr.isatty() and is_styled(sys.stderr):
        with contextlib.suppress(ImportError):
            from gradline.terminal.styled import colored

            mark = colored(mark, color)
    try:
        click.echo(mark + printable_lines(text), sys.stderr)
    except OSError:
        silence(sys.stderr)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    tell(text, "Warning: ", "yellow")


def fail(arguments: Sequence[str], message: str, hint: str, code: str) -> None:
    """Print an error on stderr; as JSON if --json is among the command's arguments."""
    if "--json" in arguments:
        tell(as_json({"error": code, "message": message, "hint": hint}))
    else:
        tell(message + (f"\n  {hint}" if hint else ""), "Error: ", "red")


def silence(stream: TextIO | None) -> None:
    """Drop what a failed stream still holds, so that Python does not fail again at its end."""
    if stream is not None:
        with contextlib.suppress(OSError):  # a stream that is not a file holds nothing
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def unwritten(reason: str) -> OutputError:
    """Make the error for an answer that did not reach stdout."""
    return OutputError(
        f"cannot write to stdout: {reason}",
        code="cannot-write",
        hint="redirect it to a writable place with free space",
    )


def is_styled(stream: TextIO | None) -> bool:
    """Check whether text for people is styled on this stream."""
    if os.environ.get("FORCE_COLOR"):
        return True
    is_dumb = os.environ.get("TERM") in ("dumb", "unknown")
    return stream is not None and stream.isatty() and not is_dumb


def _may_color() -> bool:
    return not os.environ.get("NO_COLOR")


def _make_room() -> None:
    for act in before_printing:
        act()
