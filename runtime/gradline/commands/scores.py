"""Show the scores of models: a table for people, an object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gradline.formatting import label
from gradline.presentation.scores import HEAD, cells, skipped
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
    rows = [["package", "version", *HEAD]]
    for one, of_targets in zip(named, scores, strict=True):
        version = "–" if one.version is None else str(one.version)
        first = label(one.name if one.version is not None else one.path)
        rows += [[first, version, *cells(*item)] for item in of_targets.items()]
    return [Grid(rows, indent=0), *skipped(scores[0], several=len(named) > 1)]
