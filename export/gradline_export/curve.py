"""The picture of a ridge path, as the numbers that report.html draws it from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradline.wording import number

__all__ = ["Curve", "curve_of"]

LEFT, RIGHT, TOP, BOTTOM = 60.0, 630.0, 15.0, 205.0  # of the plane, in a picture of 640 × 240
TICKS = 3  # decades from one mark of a penalty to the next
LEVELS = 4  # marks of the error


@dataclass(frozen=True)
class Curve:
    """Error over penalty, the penalty's axis logarithmic, in an SVG's own units.

    Attributes:
        line: The points of the errors, "x,y x,y …".
        band: The points around one standard error either way.
        chosen: The chosen penalty's x and y.
        penalties: x and text of the marks below.
        errors: y and text of the marks at the left.
    """

    line: str
    band: str
    chosen: tuple[float, float]
    penalties: list[tuple[float, str]]
    errors: list[tuple[float, str]]


def curve_of(path: Mapping[str, Any]) -> Curve:
    """Return the picture of a manifest's `ridge_path`."""
    decades = np.log10(path["penalties"])
    error, spread = np.array(path["errors"]), np.array(path["standard_errors"])
    under, over = np.maximum(error - spread, 0), error + spread
    least, most = float(under.min()), float(over.max())
    x = np.interp(decades, (decades[-1], decades[0]), (LEFT, RIGHT))
    least, most = (least, most) if most > least else (least - 1, most + 1)
    low, line, high = (
        np.interp(values, (least, most), (BOTTOM, TOP)) for values in (under, error, over)
    )
    place = path["penalties"].index(path["chosen"])
    marks = range(math.ceil(decades[-1]), math.floor(decades[0]) + 1, TICKS)
    places = np.interp(marks, (decades[-1], decades[0]), (LEFT, RIGHT))
    levels = np.linspace(least, most, LEVELS)
    return Curve(
        line=_points(x, line),
        band=_points([*x, *x[::-1]], [*low, *high[::-1]]),
        chosen=(round(float(x[place]), 1), round(float(line[place]), 1)),
        penalties=[(round(float(p), 1), f"1e{m}") for p, m in zip(places, marks, strict=True)],
        errors=[
            (round(float(y), 1), number(float(level)))
            for y, level in zip(np.linspace(BOTTOM, TOP, LEVELS), levels, strict=True)
        ],
    )


def _points(x: Iterable[float], y: Iterable[float]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
