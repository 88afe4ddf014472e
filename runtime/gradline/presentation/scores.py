"""Lay out the scores of targets: cells of a table, and which rows were skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gradline.formatting import label, number

if TYPE_CHECKING:
    from gradline.scoring.errors import Score

HEAD = ("target", "rows", "RMSE", "MAE", "R²", "bias")


def cells(target: str, score: Score) -> list[str]:
    """Write the cells of a target's score, as in `HEAD`."""
    learned = label(target) if score.scale == "units" else f"{score.scale}({label(target)})"
    limit = score.below_resolution
    rmse = number(score.rmse) if limit is None else f"< {number(limit)}"
    r2 = "–" if score.r2 is None else f"{score.r2:.4f}"
    return [learned, f"{score.rows:,}", rmse, number(score.mae), r2, number(score.bias)]


def skipped(scores: Mapping[str, Score], *, several: bool = False) -> list[str]:
    """Say which rows of each target were skipped, and why."""
    return [
        f"{label(target)}: {score.why_skipped(label(target), several=several)}"
        for target, score in scores.items()
        if score.skipped
    ]
