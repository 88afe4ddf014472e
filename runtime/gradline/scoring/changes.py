"""Comparison of two models' predictions on a table's rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import in_units
from gradline.errors import InputError
from gradline.explain.counts import Counts
from gradline.package.files import Package
from gradline.package.graph import Graph
from gradline.scoring.rows import table_inputs
from gradline.tables import FrameTable

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """How much predictions change between two models, on the rows that both answer.

    Attributes:
        figures: Each target's `rms`, `largest` (absolute) and `rows`.
        skipped: The rows without an answer from both models.
        counts: Each model's counts.
    """

    figures: dict[str, dict[str, float]]
    skipped: int
    counts: tuple[Counts, Counts]


def measure(first: Package, second: Package, table: FrameTable, targets: Sequence[str]) -> Change:
    """Measure each target's change between two models; all indicators of an unknown level are 0."""
    rows = skipped = 0
    squares, largest = np.zeros((2, len(targets)))
    counts = Counts(), Counts()
    answers = (
        _answers(package.graph, table, targets, counted)
        for package, counted in zip((first, second), counts, strict=True)
    )
    for before, after in zip(*answers, strict=True):
        change = after - before
        known = np.isfinite(change).all(axis=1)
        skipped += int((~known).sum())
        change = change[known]
        if len(change):
            rows += len(change)
            squares += (change**2).sum(axis=0)
            largest = np.maximum(largest, np.abs(change).max(axis=0))
    if not rows:
        what = "no row of the table has every value that the models take"
        raise InputError(what, code="no-data", hint="give --data a table with complete rows")
    rms = np.sqrt(squares / rows)
    figures = {
        target: {"rms": float(rms[j]), "largest": float(largest[j]), "rows": rows}
        for j, target in enumerate(targets)
    }
    return Change(figures, skipped, counts)


def _answers(
    graph: Graph, table: FrameTable, targets: Sequence[str], counts: Counts
) -> Iterator[Array]:
    places = [graph.targets.index(target) for target in targets]
    weights = graph.weights[places].astype(np.float64)
    bias = graph.bias[places].astype(np.float64)
    functions = [graph.functions[place] for place in places]
    for read in table_inputs(table, graph.plan, "zero"):
        found = in_units(read.inputs @ weights.T + bias, functions)
        counts.note(read.values, read.lack_inputs, found, read.gaps, read.examples)
        yield found
