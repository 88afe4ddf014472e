"""What an interrupt (Ctrl-C) does to a command: it ends without a traceback, or it is done."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["ending_at_once", "handle_interrupts", "ignore_interrupts", "tell_of_interrupt"]


def handle_interrupts(handler: Callable[[int, Any], object]) -> None:
    """Call `handler` at an interrupt, unless the caller has them ignored (as `nohup` does)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        _set(handler)


def ignore_interrupts() -> None:
    """Ignore interrupts to the process's end."""
    _set(signal.SIG_IGN)


@contextlib.contextmanager
def ending_at_once(arguments: Sequence[str]) -> Iterator[None]:
    """End the process at an interrupt instead of raising it, while libraries are imported.

    An exception in the middle of PyTorch's initialization would make it call abort().
    """

    def end(number: int, frame: object) -> None:
        tell_of_interrupt(arguments)
        os._exit(130)

    before = signal.getsignal(signal.SIGINT)
    handle_interrupts(end)
    try:
        yield
    finally:
        _set(before)


def tell_of_interrupt(arguments: Sequence[str]) -> None:
    """Print what ended the command; as JSON with --json among its arguments."""
    from gradline.terminal.output import fail

    fail(arguments, "interrupted", "nothing is left half done", "interrupted")


def _set(handler: Any) -> None:
    with contextlib.suppress(ValueError):  # only the main thread has interrupts
        signal.signal(signal.SIGINT, handler)
