"""JSON as a package holds it: the same value to every reader."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["VALUES", "parse"]

#: A manifest of 65,000 columns has as many values; each may take 300 bytes while it is read.
VALUES = 400_000


def parse(text: str, most: int = VALUES) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Args:
        text: The JSON.
        most: How many commas and opening brackets it may have, and so how many values.

    Raises:
        ValueError: Where it is no JSON, has too many values, or readers may differ on what it
            says: a key that stands twice, NaN, a number beyond float64, half a surrogate pair.
        RecursionError: Where it is nested too deeply.
    """
    if sum(map(text.count, "[{,")) > most:
        raise ValueError(f"it has more than {most} values")
    value = json.loads(
        text,
        object_pairs_hook=_unique,
        parse_constant=_no_constant,
        parse_float=_finite,
        parse_int=_within_float64,
    )
    if "\\ud" in text or "\\uD" in text:  # a surrogate can only come from such an escape
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is beyond float64")
    return value


def _within_float64(text: str) -> int:
    value = int(text)
    try:
        float(value)
    except OverflowError:
        raise ValueError("a number is beyond float64") from None
    return value
