"""Comparison of two models' predictions on a table's rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gradline.columns.encoding import fill_values
from gradline.columns.targets import in_units
from gradline.errors import InputError
from gradline.package.files import Package
from gradline.package.graph import Graph
from gradline.scoring.rows import table_inputs
from gradline.tables import FrameTable

Array = NDArray[np.float64]


def measure(
    first: Package, second: Package, table: FrameTable, targets: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Measure each target's change between two models: `rms`, `largest` (absolute) and `rows`.

    All indicators of an unknown category are 0. Rows without an answer from both models are left
    out. The change of a logged target is in its units, too.
    """
    rows = 0
    squares, largest = np.zeros((2, len(targets)))
    answers = (_answers(package.graph, table, targets) for package in (first, second))
    for before, after in zip(*answers, strict=True):
        change = after - before
        change = change[np.isfinite(change).all(axis=1)]
        if len(change):
            rows += len(change)
            squares += (change**2).sum(axis=0)
            largest = np.maximum(largest, np.abs(change).max(axis=0))
    if not rows:
        what = "no row of the table has every value that the models take"
        raise InputError(what, code="no-data", hint="give --data a table with complete rows")
    rms = np.sqrt(squares / rows)
    return {
        target: {"rms": float(rms[j]), "largest": float(largest[j]), "rows": rows}
        for j, target in enumerate(targets)
    }


def _answers(graph: Graph, table: FrameTable, targets: Sequence[str]) -> Iterator[Array]:
    places = [graph.targets.index(target) for target in targets]
    weights = graph.weights[places].astype(np.float64)
    bias = graph.bias[places].astype(np.float64)
    functions = [graph.functions[place] for place in places]
    fills = fill_values(graph.columns)
    for inputs, _ in table_inputs(table, graph.columns, graph.features, "zero"):
        rows = inputs if fills is None else np.where(np.isnan(inputs), fills, inputs)
        yield in_units(rows @ weights.T + bias, functions)
