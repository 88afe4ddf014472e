"""Commands on a real terminal, a pty of a given size, and on pipes, in this process or another.

A process of its own costs the second in which it imports PyTorch: take it where it is what is
tested (what it imports, signals, its end).
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from gradline.cli import main

__all__ = [
    "ESCAPES", "GRADLINE", "Pipe", "Shown", "call", "call_on_terminal", "on_terminal", "piped",
    "resize",
]  # fmt: skip

GRADLINE = (sys.executable, "-m", "gradline")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LC_ALL", "PYTHONIOENCODING")


@dataclass
class Shown:
    """How a program ended, and what it wrote: the terminal's part and, where piped, stdout's."""

    status: int
    terminal: str
    piped: str

    @property
    def text(self) -> str:
        """What came without its escape codes, line ends as \\n."""
        return ESCAPES.sub("", self.terminal).replace("\r\n", "\n")

    @property
    def drawn(self) -> list[str]:
        """The lines that were written over others."""
        return [part.partition("\n")[0] for part in self.text.split("\r")[1:]]


def call(words: tuple[object, ...], out: TextIO | None, err: TextIO | None, **given: str) -> int:
    """Call a command in this process with these streams and variables; return how it ends.

    Close the streams afterwards, as Python does at its end: what is left in them may still fail.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in UNSET:
            patch.delenv(name, raising=False)
        for name, value in given.items():
            patch.setenv(name, value)
        for name, stream in (("stdout", out), ("stderr", err)):
            patch.setattr(sys, name, stream)
            patch.setattr(sys, f"__{name}__", stream)
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
    return int(stop.value.code or 0)


class Pipe(io.TextIOWrapper):
    """A stream without a terminal that keeps what is written to it."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._written = io.BytesIO()
        super().__init__(self._written, encoding, newline="", write_through=True)

    @property
    def data(self) -> bytes:
        """What was written."""
        return self._written.getvalue()

    @property
    def text(self) -> str:
        """What was written, in the stream's encoding."""
        return self.data.decode(self.encoding)


def piped(*words: object, **given: str) -> tuple[int, str, str]:
    """Return how a command ends in this process without a terminal, and its stdout and stderr."""
    encoding = given.get("PYTHONIOENCODING", "utf-8")
    out, err = Pipe(encoding), Pipe(encoding)
    return call(words, out, err, **given), out.text, err.text


def call_on_terminal(
    *words: object, columns: int = 80, pipe_stdout: bool = False, **given: str
) -> Shown:
    """Call a command in this process with a terminal of so many columns."""
    encoding = given.get("PYTHONIOENCODING", "utf-8")
    ours, theirs = pty.openpty()
    resize(ours, columns)
    with (
        ThreadPoolExecutor() as pool,
        open(theirs, "w", encoding=encoding) as err,
        Pipe(encoding) if pipe_stdout else open(os.dup(theirs), "w", encoding=encoding) as out,
    ):
        reading = pool.submit(_read_all, ours)
        status = call(words, out, err, **{"TERM": "xterm-256color", **given})
        text = out.text if isinstance(out, Pipe) else ""
    os.close(ours)
    return Shown(status, reading.result(), text)


def _read_all(terminal: int, watch: Callable[[str], object] | None = None) -> str:
    """Return what is written to a terminal until nobody has it open any more."""
    written = b""
    while data := _read_some(terminal):
        written += data
        if watch is not None:
            watch(written.decode(errors="replace"))
    return written.decode(errors="replace")


def _read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # so Linux says that nobody has the terminal open any more
        return b""


Watch = Callable[[str, "subprocess.Popen[bytes]", int], object]


def on_terminal(
    *command: object,
    columns: int = 80,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    watch: Watch = lambda *_: None,
) -> Shown:
    """Run a process with a terminal of so many columns as its stdin, stdout and stderr.

    `watch` is called whenever something was written, with all of it so far, the process and the
    terminal's own end.
    """
    given = {name: value for name, value in os.environ.items() if name not in UNSET}
    ours, theirs = pty.openpty()
    resize(ours, columns)
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**given, "TERM": "xterm-256color", **(environment or {})},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        killer = threading.Timer(60, process.kill)
        killer.start()
        try:
            written = _read_all(ours, lambda shown: watch(shown, process, ours))
            process.wait()
        finally:
            killer.cancel()
            process.kill()
            os.close(ours)
    return Shown(process.returncode, written, "")


def resize(terminal: int, columns: int) -> None:
    """Gives a terminal a size; its programs hear of it."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
