"""What a client is told where its request can't be answered: a status, and one sentence."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["RequestError"]

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
