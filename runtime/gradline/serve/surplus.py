"""A connection too many, and the answers after which any connection ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gradline.serve.application import Application
from gradline.serve.sweeping import Sweep

__all__ = ["Surplus", "last_answer"]


def last_answer(status: int, message: str, headers: bytes = b"") -> bytes:
    """Return a whole answer after which the connection is closed."""
    body = json.dumps({"error": message}).encode()
    head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n"
    return STATUS_LINE[status] + headers + head % len(body) + b"\r\n" + body


FULL = last_answer(503, "too many connections", b"retry-after: 1\r\n")


class Surplus(asyncio.Protocol):
    """A connection too many: whatever it asks is answered 503, without being read."""

    held: ClassVar[set[Surplus]] = set()  # what is open, or to be opened

    def __init__(self, app: Any, sweep: Sweep, seconds: float) -> None:
        self.app = app
        self.sweep = sweep
        self.seconds = seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give it a while to ask."""
        self.transport = cast("asyncio.Transport", transport)  # what TCP and TLS give
        loop = asyncio.get_running_loop()
        self.deadline = loop.time() + self.seconds
        self.sweep.watch(self, loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.sweep.forget(self)
        self.held.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer, once."""
        if not self.transport.is_closing():
            self.transport.write(FULL)
            self.transport.close()
            if isinstance(self.app, Application):
                self.app.refused("", b"", b"", 503)

    def expire(self, now: float, late: float) -> None:
        """Close the connection where it asked nothing, or does not read the answer."""
        self.deadline += late
        if now > self.deadline:
            self.transport.abort()
