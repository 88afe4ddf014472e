"""A request's body: read to its end within a limit, and inflated within the same."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gradline.serve.protocol.errors import RequestError

__all__ = ["READ", "inflated", "read_body"]

GZIP, DEFLATE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
WINDOW = {b"gzip": GZIP, b"x-gzip": GZIP, b"deflate": DEFLATE}
MEMBERS = 1000  # of a gzip body: one that is of nothing but empty ones would keep others waiting
PIECE = 1 << 16  # bytes that are inflated at once
READ = (  # curl's own kind of body among them
    b"application/json",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",
    b"text/plain",
)


async def read_body(
    headers: dict[bytes, bytes],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    limit: int,
) -> bytes:
    """Return the whole body as it was sent.

    Raises:
        RequestError: For one that is longer than `limit` bytes, of a kind that is not read, or cut.
    """
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind not in READ:
        raise RequestError(
            415, f"Content-Type {kind.decode('latin-1')!r}; expected application/json", close=True
        )
    coding = headers.get(b"content-encoding", b"identity").lower()
    if coding != b"identity" and coding not in WINDOW:
        raise RequestError(
            415,
            f"Content-Encoding {coding.decode('latin-1')!r}; expected gzip or deflate",
            [(b"accept-encoding", b"gzip, deflate")],
            close=True,
        )
    if int(headers.get(b"content-length", b"0")) > limit:
        raise _too_long(limit)
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(400, "the body ended before its length", close=True)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_long(limit)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def inflated(body: bytes, coding: bytes, limit: int) -> bytes:
    """Return a compressed body as it was before.

    Raises:
        RequestError: For one that is longer than `limit` bytes then, or not what it is said to be.
    """
    if coding.lower() == b"identity":
        return body
    found = _inflated(body, WINDOW[coding.lower()], limit)
    if found is None and coding.lower() == b"deflate":
        found = _inflated(body, -zlib.MAX_WBITS, limit)  # many clients leave the wrapping out
    if found is None:
        raise RequestError(400, f"the body is not {coding.decode('latin-1').lower()} data")
    return found


def _inflated(body: bytes, window: int, limit: int) -> bytes | None:
    """Return what a body inflates to; None where it is not of this kind.

    A gzip body may be of several members, one after another (RFC 1952, 2.2).
    """
    parts: list[bytes] = []
    place = size = 0
    for _ in range(MEMBERS if window == GZIP else 1):
        reader = zlib.decompressobj(window)
        while not reader.eof:
            piece = body[place : place + PIECE]
            try:
                parts.append(reader.decompress(piece, limit + 1 - size))
            except zlib.error:
                return None
            size += len(parts[-1])
            if size > limit:
                raise _too_long(limit)
            place += len(piece) - len(reader.unused_data)
            if not piece:
                return None
        if place == len(body):
            return b"".join(parts)
    return None


def _too_long(limit: int) -> RequestError:
    return RequestError(413, f"the body is longer than {limit} bytes", close=True)
