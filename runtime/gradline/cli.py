"""Start the commands; everything else is imported where an interrupt is handled."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from gradline.terminal.interrupts import handle_interrupts, ignore_interrupts, report_interrupt


def main(args: Sequence[str] | None = None, *, prog_name: str = "gradline") -> NoReturn:
    """Run a command and exit: 0 done, 1 the answer is no, 2 bad input, 130 interrupted."""
    arguments = list(sys.argv[1:] if args is None else args)
    interrupted = False

    def interrupt(number: int, frame: object) -> NoReturn:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    try:
        handle_interrupts(interrupt)
        from gradline.commands.group import run

        status = run(arguments, prog_name)
    except BaseException as error:  # a library may turn an interrupt into an ImportError
        if not (interrupted or isinstance(error, KeyboardInterrupt)):
            raise
        ignore_interrupts()
        report_interrupt(arguments)
        status = 130
    ignore_interrupts()  # the status is final, however long Python takes to end
    sys.exit(status)


def train_and_export() -> NoReturn:
    """Run `train-and-export`, which is `gradline train-and-export`."""
    main(prog_name="train-and-export")
