"""What a client is told where its request can't be answered: a status, and one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["RequestError", "shown"]

Header = tuple[bytes, bytes]


class RequestError(Exception):
    """A request that is answered with {"error": "…"}.

    Attributes:
        status: 400 to 503.
        headers: Further ones of the answer.
        close: Whether the connection is closed after it.
    """

    def __init__(
        self, status: int, message: str, headers: Sequence[Header] = (), *, close: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.close = close


def shown(value: str | list[Any]) -> str:
    """Return what a request holds as an error repeats it: the beginning of what is long."""
    most = 200 if isinstance(value, str) else 8
    return repr(value) if len(value) <= most else f"{value[:most]!r}…"
