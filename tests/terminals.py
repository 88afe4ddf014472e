"""Programs on a real terminal: a pty of a given size, and what it showed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ESCAPES", "GRADLINE", "Shown", "on_terminal", "resize"]

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


Watch = Callable[[str, "subprocess.Popen[bytes]", int], object]


def on_terminal(
    *command: object,
    columns: int = 80,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    pipe_stdout: bool = False,
    watch: Watch = lambda *_: None,
) -> Shown:
    """Runs a command with a terminal of so many columns as its stdin, stdout and stderr.

    `watch` is called whenever something was written, with all of it so far, the process and the
    terminal's own end.
    """
    given = {name: value for name, value in os.environ.items() if name not in UNSET}
    ours, theirs = pty.openpty()
    resize(ours, columns)
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=theirs,
        stdout=subprocess.PIPE if pipe_stdout else theirs,
        stderr=theirs,
        cwd=cwd,
        env={**given, "TERM": "xterm-256color", **(environment or {})},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        killer = threading.Timer(60, process.kill)
        killer.start()
        try:
            written, piped = _read(process, ours, watch)
        finally:
            killer.cancel()
            process.kill()
            os.close(ours)
    return Shown(process.returncode, written, piped)


def _read(process: subprocess.Popen[bytes], terminal: int, watch: Watch) -> tuple[str, str]:
    """Returns what a process wrote to its terminal and to its pipe, if it has one."""
    written = {terminal: b""}
    if process.stdout is not None:
        written[process.stdout.fileno()] = b""
    waiting = list(written)
    while waiting:
        for descriptor in select.select(waiting, [], [])[0]:
            try:
                data = os.read(descriptor, 1 << 16)
            except OSError:  # so Linux says that nobody has the terminal open any more
                data = b""
            if not data:
                waiting.remove(descriptor)
            written[descriptor] += data
            if descriptor == terminal:
                watch(written[terminal].decode(errors="replace"), process, terminal)
    process.wait()
    texts = [text.decode(errors="replace") for text in written.values()]
    return texts[0], "".join(texts[1:])


def resize(terminal: int, columns: int) -> None:
    """Gives a terminal a size; its programs hear of it."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
