"""Check the deadlines of all connections periodically: cheaper than a timer for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EVERY = 0.25  # seconds
Expire = Callable[[float, float], None]  # a connection's method, with the arguments now and late


class Sweep:
    """Calls `expire` of each connection periodically, which may end it.

    `late` is how long the event loop was busy beyond the period. Data that arrived meanwhile are
    not read yet, so the client is not late: deadlines are extended by it.
    """

    def __init__(self) -> None:
        self._watched: set[Expire] = set()
        self._next: asyncio.TimerHandle | None = None

    def watch(self, expire: Expire, loop: asyncio.AbstractEventLoop) -> None:
        """Start checking a connection."""
        self._watched.add(expire)
        if self._next is None:
            self._schedule(loop)

    def forget(self, expire: Expire) -> None:
        """Stop checking a connection."""
        self._watched.discard(expire)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next = loop.call_later(EVERY, self._run, loop, loop.time() + EVERY)

    def _run(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        for expire in list(self._watched):
            expire(now, max(now - due, 0.0))
        self._next = None
        if self._watched:
            self._schedule(loop)
