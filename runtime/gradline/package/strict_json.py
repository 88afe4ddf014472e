"""Read strict JSON: text that every reader understands in the same way."""

from __future__ import annotations

import json
import math
from typing import Any

#: Enough for a manifest of 65,000 columns. Each value may take 300 bytes of memory.
VALUES = 400_000


def parse_strict(text: str, most: int = VALUES) -> Any:
    """Read a JSON text (RFC 8259) with at most `most` commas and opening brackets.

    Refuse, with a ValueError, what readers understand differently: a repeated key, NaN, a number
    beyond float64, half a surrogate pair. Deep nesting raises a RecursionError.
    """
    if sum(map(text.count, "[{,")) > most:
        raise ValueError(f"it has more than {most} values")
    value = json.loads(
        text,
        object_pairs_hook=_unique,
        parse_constant=_no_constant,
        parse_float=_finite,
        parse_int=_integer,
    )
    if "\\ud" in text or "\\uD" in text:  # only such an escape can give a surrogate
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


def _integer(text: str) -> int:
    _finite(text)
    return int(text)
