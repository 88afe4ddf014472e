"""The deadlines of all connections, looked at now and then: cheaper than a timer for each."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Sweep"]

EVERY = 0.25  # seconds


class Expiring(Protocol):
    """What has a deadline."""

    def expire(self, now: float, late: float) -> None:
        """End where the deadline, put off by `late`, is over."""


class Sweep:
    """Tells each connection of the time, and for how long the loop did nothing but be busy.

    What was sent in that while lies unread, and is not late for it.
    """

    def __init__(self) -> None:
        self._watched: set[Expiring] = set()
        self._next: asyncio.TimerHandle | None = None

    def watch(self, connection: Expiring, loop: asyncio.AbstractEventLoop) -> None:
        """Tell a connection of the time from now on."""
        self._watched.add(connection)
        if self._next is None:
            self._again(loop)

    def forget(self, connection: Expiring) -> None:
        """Tell it no more."""
        self._watched.discard(connection)

    def _again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next = loop.call_later(EVERY, self._run, loop, loop.time() + EVERY)

    def _run(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        for connection in list(self._watched):
            connection.expire(now, max(now - due, 0.0))
        self._next = None
        if self._watched:
            self._again(loop)
