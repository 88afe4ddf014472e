"""Write whole answers to a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

CONTINUE = b"HTTP/1.1 100 "


def last_answer(status: int, message: str, headers: bytes = b"") -> bytes:
    """Encode an error as a whole answer that says that the connection closes."""
    body = json.dumps({"error": message}).encode()
    head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n"
    return STATUS_LINE[status] + headers + head % len(body) + b"\r\n" + body


class JoinedTransport:
    """A transport that sends an answer's head and body in one system call."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.is_closing = transport.is_closing
        self.close = close
        self._write = transport.write
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send bytes, but hold back a head until its body follows."""
        if self._head:
            data, self._head = self._head + data, b""
        elif not data.startswith(CONTINUE):
            self._head = data
            return
        self._write(data)
