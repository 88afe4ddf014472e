"""What the application accepts from its clients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gradline.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What the application accepts."""

    body: int = 16 << 20  # bytes of a request's body, decompressed
    token: bytes | None = None  # that requests must have
    hosts: frozenset[str] | None = None  # in the Host header, in lower case; None for any
    access_log: bool = False  # whether each request is logged on stderr as a line of JSON


def read_token(file: Path) -> bytes:
    """Read a token from its file.

    Raises:
        InputError: The file cannot be read, or its content is not a token.
    """
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
