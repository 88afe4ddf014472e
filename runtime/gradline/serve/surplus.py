"""Connections above the limit."""

from __future__ import annotations

import asyncio
from typing import ClassVar, cast

from gradline.serve.application import Application
from gradline.serve.sweeping import Sweep
from gradline.serve.wire import last_answer

FULL = last_answer(503, "too many connections", b"retry-after: 1\r\n")


class Surplus(asyncio.Protocol):
    """A connection above the limit: its request gets 503 without being read."""

    held: ClassVar[set[Surplus]] = set()  # open, or being opened

    def __init__(self, app: Application, sweep: Sweep, seconds: float) -> None:
        self.app = app
        self.sweep = sweep
        self.seconds = seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the deadline for a request."""
        self.transport = cast("asyncio.Transport", transport)  # TCP and TLS give this one
        loop = asyncio.get_running_loop()
        self.deadline = loop.time() + self.seconds
        self.sweep.watch(self.expire, loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.sweep.forget(self.expire)
        self.held.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer 503, once."""
        if not self.transport.is_closing():
            self.transport.write(FULL)
            self.transport.close()
            self.app.note_refusal("", b"", b"", 503)

    def expire(self, now: float, late: float) -> None:
        """Close the connection if no request comes or the answer is not read in time."""
        self.deadline += late
        if now > self.deadline:
            self.transport.abort()
