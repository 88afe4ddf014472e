"""The error that becomes an HTTP answer: a status and one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from gradline.columns.unreadable import UnknownCategoryError
from gradline.errors import GradlineError, nearest

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


NOT_JSON = re.compile(rb"NaN|-?Infinity")
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # of a decoder


def decode(decoder: Any, data: Any, what: str, place: str = "") -> Any:
    """Decode JSON; errors say `what` was expected, and the `place`, such as ".inputs[0]"."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        reason += f" - at `${place}{at or '`'}" if place or at else ""
        raise RequestError(f"not {what}: {reason}") from error
    except FAULTS as error:
        raise RequestError(f"the body is not JSON: {_malformed(error, data)}") from error


def _malformed(error: Exception, data: Any) -> str:
    """Describe a fault in JSON, such as the NaN of Python's json module and of tritonclient."""
    at = re.search(r"\(byte (\d+)\)$", str(error))
    start = int(at[1]) if at else 0
    token = NOT_JSON.match(
        bytes(memoryview(data)[max(0, start - 1) : start + 9]).lstrip(b"[,: \t\r\n")
    )
    if at is None or token is None:
        return str(error)
    hint = "send null for a missing value, or binary tensors to infer"
    return f"{token[0].decode()} (byte {start}) is not JSON: {hint}"


def excerpt(value: str | list[Any]) -> str:
    """Format a value of a request for an error message; cut it off if it is long."""
    most = 200 if isinstance(value, str) else 8
    return repr(value) if len(value) <= most else f"{value[:most]!r}…"


def as_request_error(where: str, error: GradlineError) -> RequestError:
    """Turn a model's error into an HTTP error; `where` names a member of the request, or none."""
    hint = f" ({error.hint})" if error.hint else ""
    return RequestError(f"{where}: {error}{hint}".removeprefix(": ")[:2000])


def unknown_category(place: str, error: UnknownCategoryError) -> RequestError:
    """Build the error for a level that no training row had."""
    where = "the model's metadata list all of them in properties.encoding"
    return RequestError(f"{place} ({nearest(error.text, error.known)}; {where})")
