"""The entry points of the commands, which import all the rest within reach of an interrupt."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main", "train_and_export"]


def main(args: Sequence[str] | None = None, *, prog_name: str = "gradline") -> NoReturn:
    """Run a command and exit: 0 done, 1 the answer is no, 2 bad input, 130 interrupted.

    Args:
        args: The words after the program's name; by default the process's own.
        prog_name: "gradline", or the name of a command that is called on its own.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        from gradline.program import run

        status = run(arguments, prog_name)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        from gradline.terminal import fail

        fail(arguments, "interrupted", "nothing is left half done", "interrupted")
        status = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is done stays done, however Python ends
    sys.exit(status)


def train_and_export() -> NoReturn:
    """Run `train-and-export`, which is `gradline train-and-export`."""
    main(prog_name="train-and-export")
