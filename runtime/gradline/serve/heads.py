"""Check the head of a request: its line and headers."""

from __future__ import annotations

import httptools

from gradline.serve.protocol.errors import RequestError


def check_head(
    parser: httptools.HttpRequestParser,
    url: bytes,
    headers: list[tuple[bytes, bytes]],
    limit: int,
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
        raise RequestError(400, "CONNECT is not supported")
    if size > limit:
        raise head_too_long(limit)
    if hosts > 1 or (not hosts and parser.get_http_version() == "1.1"):
        raise RequestError(400, f"expected one Host header, found {hosts}")
    if lengths > 1 or (lengths and codings):
        raise RequestError(400, "the length of the body is given twice")
    if codings and dict(headers)[b"transfer-encoding"].lower() != b"chunked":
        raise RequestError(400, "expected Transfer-Encoding: chunked")


def head_too_long(limit: int) -> RequestError:
    """Return the error for a head longer than `limit` bytes."""
    return RequestError(431, f"the request's headers are longer than {limit} bytes")
