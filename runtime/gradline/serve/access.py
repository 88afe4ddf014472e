"""Check a request's Host header and token."""

from __future__ import annotations

import hmac
import re
from functools import lru_cache

from gradline.serve.limits import Limits
from gradline.serve.protocol.errors import RequestError

CHALLENGE = (b"www-authenticate", b"Bearer")
PUBLIC = ("/v2/health/live", "/v2/health/ready")  # need no token


def check_access(limits: Limits, path: str, headers: dict[bytes, bytes]) -> None:
    """Refuse a request with a wrong Host header (400) or a missing or wrong token (401)."""
    if limits.hosts is not None and not _is_allowed(
        limits.hosts, host := headers.get(b"host", b"")
    ):
        raise RequestError(400, f"Host {host.decode('latin-1')!r} is not allowed")
    if limits.token is None or path in PUBLIC:
        return
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), limits.token):
        message = "missing or wrong token; send the header Authorization: Bearer TOKEN"
        raise RequestError(401, message, [CHALLENGE])


@lru_cache(maxsize=64)
def _is_allowed(hosts: frozenset[str], host: bytes) -> bool:
    """Return whether a Host header names one of the hosts, at any port."""
    return re.sub(r":\d*$", "", host.decode("latin-1").lower()) in hosts
