"""JSON as a package holds it: the same value to every reader."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["parse"]


def parse(text: str) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Raises:
        ValueError: Where it is no JSON, or readers may differ on what it says: a key that stands
            twice, NaN, a number beyond float64, half of a surrogate pair.
        RecursionError: Where it is nested too deeply.
    """
    value = json.loads(
        text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
    )
    if "\\ud" in text.lower():  # a surrogate can only come from such an escape
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
