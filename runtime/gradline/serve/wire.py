"""HTTP/1.1 as bytes: check a request's head, write whole answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gradline.serve.protocol.errors import RequestError

CONTINUE = b"HTTP/1.1 100 "


def check_head(
    parser: httptools.HttpRequestParser, url: bytes, headers: list[tuple[bytes, bytes]], limit: int
) -> None:
    """Refuse a head that is longer than `limit` bytes, or that others might read differently."""
    hosts = lengths = codings = 0
    size = len(url)
    for name, value in headers:
        size += len(name) + len(value)
        hosts += name == b"host"
        lengths += name == b"content-length"
        codings += name == b"transfer-encoding"
    if parser.get_method() == b"CONNECT":
        raise RequestError("CONNECT is not supported")
    if size > limit:
        raise head_too_long(limit)
    if hosts > 1 or (not hosts and parser.get_http_version() == "1.1"):
        raise RequestError(f"expected one Host header, found {hosts}")
    if lengths > 1 or (lengths and codings):
        raise RequestError("the length of the body is given twice")
    if codings and dict(headers)[b"transfer-encoding"].lower() != b"chunked":
        raise RequestError("expected Transfer-Encoding: chunked")


def head_too_long(limit: int) -> RequestError:
    """Return the error for a head longer than `limit` bytes."""
    return RequestError(f"the request's headers are longer than {limit} bytes", 431)


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
