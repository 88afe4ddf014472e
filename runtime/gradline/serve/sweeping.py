"""Check the deadlines of all connections periodically: cheaper than a timer for each."""

from __future__ import annotations

import asyncio
from typing import Protocol

EVERY = 0.25  # seconds


class Expiring(Protocol):
    """A connection with a deadline."""

    def expire(self, now: float, late: float) -> None:
        """Extend the deadline by `late` seconds; end the connection if it has passed."""


class Sweep:
    """Calls `expire` of each connection periodically.

    `late` is how long the event loop was busy beyond the period. Data that arrived meanwhile are
    not read yet, so the client is not late.
    """

    def __init__(self) -> None:
        self._watched: set[Expiring] = set()
        self._next: asyncio.TimerHandle | None = None

    def watch(self, connection: Expiring, loop: asyncio.AbstractEventLoop) -> None:
        """Start checking a connection."""
        self._watched.add(connection)
        if self._next is None:
            self._schedule(loop)

    def forget(self, connection: Expiring) -> None:
        """Stop checking a connection."""
        self._watched.discard(connection)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next = loop.call_later(EVERY, self._run, loop, loop.time() + EVERY)

    def _run(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        for connection in list(self._watched):
            connection.expire(now, max(now - due, 0.0))
        self._next = None
        if self._watched:
            self._schedule(loop)
