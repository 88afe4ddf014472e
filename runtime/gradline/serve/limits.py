"""What the application accepts from its clients."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gradline.errors import InputError
from gradline.serve.protocol.errors import RequestError

CHALLENGE = (b"www-authenticate", b"Bearer")
PUBLIC = ("/v2/health/live", "/v2/health/ready")  # need no token


@dataclass(frozen=True)
class Limits:
    """What the application accepts and logs."""

    body: int = 16 << 20  # bytes of a request's body, decompressed
    token: bytes | None = None  # that requests must have
    hosts: frozenset[str] | None = None  # in the Host header, in lower case; None for any
    access_log: bool = False  # whether each request is logged on stderr as a line of JSON


def read_token(file: Path) -> bytes:
    """Read a token from its file."""
    try:
        token = file.read_bytes().strip()
    except OSError as error:
        raise InputError(
            f"the token file {file} cannot be read: {error.strerror}", code="bad-token"
        ) from error
    if len(token) < 16 or not token.isascii() or len(token.split()) != 1:
        raise InputError(
            f"the token in {file} is not one word of 16 or more characters",
            code="bad-token",
            hint="make one with openssl rand -hex 32",
        )
    return token


def check_access(limits: Limits, path: str, headers: dict[bytes, bytes]) -> None:
    """Refuse a request with a wrong Host header (400) or a missing or wrong token (401)."""
    host = headers.get(b"host", b"")
    if limits.hosts is not None and _without_port(host) not in limits.hosts:
        raise RequestError(f"Host {host.decode('latin-1')!r} is not allowed")
    if limits.token is None or path in PUBLIC:
        return
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), limits.token):
        message = "missing or wrong token; send the header Authorization: Bearer TOKEN"
        raise RequestError(message, 401, [CHALLENGE])


@lru_cache(maxsize=64)
def _without_port(host: bytes) -> str:
    return re.sub(r":\d*$", "", host.decode("latin-1").lower())
