"""The error that becomes an HTTP answer: a status and one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Headers = Sequence[tuple[bytes, bytes]]


class RequestError(Exception):
    """A request that gets {"error": "…"} with a status; the connection may close after it."""

    def __init__(
        self, message: str, status: int = 400, headers: Headers = (), close: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.close = close


def excerpt(value: str | list[Any]) -> str:
    """Format a value of a request for an error message; cut it off if it is long."""
    most = 200 if isinstance(value, str) else 8
    return repr(value) if len(value) <= most else f"{value[:most]!r}…"
