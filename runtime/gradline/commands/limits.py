"""Parse an option that limits a figure of the targets, such as --max-rmse."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradline.errors import InputError, nearest


def parse_limits(option: str, texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """Parse texts such as "0.5", for all targets, and "apples=0.5", for one.

    Raises:
        InputError: For a limit that is no number or negative, and for an unknown target.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, sign, figure = text.rpartition("=")
        try:
            limit = float(figure)
        except ValueError:
            limit = math.nan
        if not limit >= 0:
            raise InputError(
                f"{option} {text!r}: expected a number that is not negative",
                code="bad-option",
                hint=f"such as {option} 0.5, or {option} TARGET=0.5",
            )
        if sign and name not in targets:
            raise InputError(
                f"{option} names {name!r}, which is not a target of the models",
                code="bad-option",
                hint=nearest(name, targets),
            )
        found.update({name: limit} if sign else dict.fromkeys(targets, limit))
    return found
