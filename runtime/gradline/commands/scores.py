"""Show the scores of models: a table for people, an object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gradline.formatting import count, label, number
from gradline.terminal.layout import Element, Grid

if TYPE_CHECKING:
    from gradline.scoring.errors import Score

Scores = dict[str, "Score"]
FIGURES = ("rows", "rmse", "mae", "r2", "bias", "skipped", "scale")


@dataclass(frozen=True)
class Named:
    """A package's path, name and version, for messages."""

    path: str
    name: str
    version: int | None

    def __str__(self) -> str:
        return self.path if self.version is None else f"{self.name} version {self.version}"


def record(one: Named, scores: Scores) -> dict[str, Any]:
    """Build the JSON object of a model's scores."""
    targets = {target: figures_of(score) for target, score in scores.items()}
    return {"package": one.name, "version": one.version, "targets": targets}


def figures_of(score: Score) -> dict[str, Any]:
    """Build the JSON object of a score."""
    found = asdict(score)
    optional = {"below_resolution": score.below_resolution}
    return {key: found[key] for key in FIGURES} | {k: v for k, v in optional.items() if v}


def parts_of(named: Sequence[Named], scores: Sequence[Scores]) -> list[Element]:
    """Tabulate the scores, and say which rows were skipped."""
    rows = [["package", "version", "target", "rows", "RMSE", "MAE", "R²", "bias"]]
    for one, of_targets in zip(named, scores, strict=True):
        version = "–" if one.version is None else str(one.version)
        first = label(one.name if one.version is not None else one.path)
        rows += [[first, version, *_cells(*item)] for item in of_targets.items()]
    parts: list[Element] = [Grid(rows, indent=0)]
    parts += [
        f"{label(target)}: {skipped_rows(label(target), score, several=len(named) > 1)}"
        for target, score in scores[0].items()
        if score.skipped
    ]
    return parts


def _cells(target: str, score: Score) -> list[str]:
    learned = label(target) if score.scale == "units" else f"{score.scale}({label(target)})"
    limit = score.below_resolution
    rmse = number(score.rmse) if limit is None else f"< {number(limit)}"
    r2 = "–" if score.r2 is None else f"{score.r2:.4f}"
    return [learned, f"{score.rows:,}", rmse, number(score.mae), r2, number(score.bias)]


def skipped_rows(target: str, score: Score, *, several: bool) -> str:
    """Say how many rows of a target were skipped, and why."""
    said = f"{score.skipped:,} of {count(score.skipped + score.rows, 'row')} skipped"
    if score.without_truth is None:
        return said
    whose = " from all of the models" if several else ""
    reasons = [
        f"{rows:,} without {what}"
        for rows, what in (
            (score.without_truth, f"a value of {target}"),
            (score.skipped - score.without_truth, f"a prediction{whose}"),
        )
        if rows
    ]
    return f"{said}: {', '.join(reasons)}"
