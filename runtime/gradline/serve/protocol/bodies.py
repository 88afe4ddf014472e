"""Read and decompress a request's body, both within the same size limit."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gradline.serve.protocol.errors import RequestError

GZIP, DEFLATE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
WINDOW_BITS = {b"gzip": GZIP, b"x-gzip": GZIP, b"deflate": DEFLATE}
MAX_MEMBERS = 1000  # of a gzip body: decompressing many empty ones would block other requests
CHUNK = 1 << 16  # compressed bytes per step
CONTENT_TYPES = (
    b"application/json",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",  # curl's default
    b"text/plain",
)


Message = MutableMapping[str, Any]  # of ASGI
Receive = Callable[[], Awaitable[Message]]


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """Read the whole body, still compressed, of at most `limit` bytes."""
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind not in CONTENT_TYPES:
        wrong = f"Content-Type {kind.decode('latin-1')!r}; expected application/json"
        raise RequestError(wrong, 415, close=True)
    coding = headers.get(b"content-encoding", b"identity").lower()
    if coding != b"identity" and coding not in WINDOW_BITS:
        wrong = f"Content-Encoding {coding.decode('latin-1')!r}; expected gzip or deflate"
        accepted = (b"accept-encoding", b"gzip, deflate")
        raise RequestError(wrong, 415, [accepted], close=True)
    if int(headers.get(b"content-length", b"0")) > limit:
        raise _too_long(limit)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("the connection closed before the end of the body", close=True)
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_long(limit)
        if not message.get("more_body"):
            return bytes(body)


def decompress(body: bytes, coding: bytes, limit: int) -> bytes:
    """Decompress a body of a known coding to at most `limit` bytes."""
    coding = coding.lower()
    if coding == b"identity":
        return body
    found = _decompress(body, WINDOW_BITS[coding], limit)
    if found is None and coding == b"deflate":
        found = _decompress(body, -zlib.MAX_WBITS, limit)  # many clients omit the zlib header
    if found is None:
        raise RequestError(f"the body is not {coding.decode()} data")
    return found


def _decompress(body: bytes, window_bits: int, limit: int) -> bytes | None:
    """Decompress a body; return None if it is not of this format.

    A gzip body may consist of several members, one after another (RFC 1952, 2.2).
    """
    found = bytearray()
    place = 0
    for _ in range(MAX_MEMBERS if window_bits == GZIP else 1):
        reader = zlib.decompressobj(window_bits)
        while not reader.eof:
            chunk = body[place : place + CHUNK]
            try:
                found += reader.decompress(chunk, limit + 1 - len(found))
            except zlib.error:
                return None
            if len(found) > limit:
                raise _too_long(limit)
            place += len(chunk) - len(reader.unused_data)
            if not chunk:
                return None
        if place == len(body):
            return bytes(found)
    return None


def _too_long(limit: int) -> RequestError:
    return RequestError(f"the body is longer than {limit} bytes", 413, close=True)
