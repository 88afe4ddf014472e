"""End a command at an interrupt (Ctrl-C) without a traceback, or let it finish."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def handle_interrupts(handler: Callable[[int, Any], object]) -> None:
    """Call `handler` at an interrupt, unless the caller ignores interrupts (as `nohup` does)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        _set(handler)


def ignore_interrupts() -> None:
    """Ignore interrupts until the process ends."""
    _set(signal.SIG_IGN)


@contextlib.contextmanager
def ending_at_once(arguments: Sequence[str]) -> Iterator[None]:
    """End the process at an interrupt instead of raising it, while libraries are imported.

    An exception during PyTorch's initialization would make it call abort().
    """

    def end(number: int, frame: object) -> None:
        report_interrupt(arguments)
        os._exit(130)

    before = signal.getsignal(signal.SIGINT)
    handle_interrupts(end)
    try:
        yield
    finally:
        _set(before)


def report_interrupt(arguments: Sequence[str]) -> None:
    """Print that the command was interrupted; as JSON if --json is among its arguments."""
    from gradline.terminal.output import fail

    fail(arguments, "interrupted", "no incomplete output is left", "interrupted")


def _set(handler: Any) -> None:
    with contextlib.suppress(ValueError):  # only the main thread gets signals
        signal.signal(signal.SIGINT, handler)
