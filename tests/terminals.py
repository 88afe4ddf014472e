"""Programs on a real terminal: a pty of a given size, and what it showed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
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
        """What the terminal shows without its escape codes, line ends as \\n."""
        return ESCAPES.sub("", self.terminal).replace("\r\n", "\n")


def on_terminal(
    *command: object,
    columns: int = 80,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    pipe_stdout: bool = False,
    until: Callable[[str, subprocess.Popen[bytes], int], None] | None = None,
) -> Shown:
    """Runs a command with a terminal of so many columns as its stdin, stdout and stderr.

    `until` is called whenever something was written, with all of it so far, the process and the
    terminal's own end.
    """
    inside, outside = os.environ.copy(), dict(environment or {})
    for name in UNSET:
        inside.pop(name, None)
    ours, theirs = pty.openpty()
    resize(ours, columns)
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=theirs,
        stdout=subprocess.PIPE if pipe_stdout else theirs,
        stderr=theirs,
        cwd=cwd,
        env={**inside, "TERM": "xterm-256color", **outside},
        start_new_session=True,
    )
    os.close(theirs)
    written = {ours: b""}
    if process.stdout is not None:
        written[process.stdout.fileno()] = b""
    open_ones = list(written)
    limit = time.monotonic() + 60
    while open_ones:
        ready, _, _ = select.select(open_ones, [], [], max(0.0, limit - time.monotonic()))
        if not ready:
            process.kill()
            raise TimeoutError(written[ours].decode(errors="replace"))
        for descriptor in ready:
            try:
                data = os.read(descriptor, 65536)
            except OSError:  # Linux's end of a terminal that nobody has open
                data = b""
            if not data:
                open_ones.remove(descriptor)
            written[descriptor] += data
            if until is not None and descriptor == ours:
                until(written[ours].decode(errors="replace"), process, ours)
    status = process.wait()
    os.close(ours)
    piped = b""
    if process.stdout is not None:
        piped = written[process.stdout.fileno()]
        process.stdout.close()
    return Shown(status, written[ours].decode(errors="replace"), piped.decode())


def resize(terminal: int, columns: int) -> None:
    """Gives a terminal a size; its programs hear of it."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Sends what Ctrl-C sends."""
    process.send_signal(signal.SIGINT)
