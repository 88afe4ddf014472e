"""Describe a loaded model in a few lines of text or HTML: equations and metrics, never a row."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from gradline import markup
from gradline.columns.targets import learned_names
from gradline.formatting import count, equation_lines, equation_sides, label, number
from gradline.package.graph import Graph
from gradline.presentation.sections import TITLES, unit_sides
from gradline.presentation.selection import Shown, seven_digits, standardized, tolerances
from gradline.presentation.statistics import r_squared

WIDTH = 100
INCOMPLETE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
Sides = list[tuple[str, str]]


def equation(graph: Graph, manifest: Mapping[str, Any]) -> str:
    """Write one equation for each target, and how a logged target follows from its logarithm."""
    places = range(len(graph.targets))
    return "\n".join(equation_lines(_equations(graph, manifest, places)) + _scales(graph, places))


def _equations(graph: Graph, manifest: Mapping[str, Any], places: Sequence[int]) -> Sides:
    names = learned_names(graph.targets, graph.functions)
    chosen = list(places)
    weights, bias = graph.weights[chosen], graph.bias[chosen]
    targets = [graph.targets[j] for j in chosen]
    importance, limits = None, seven_digits(weights, bias)
    with suppress(*INCOMPLETE):  # of a bare ONNX file, or of a model learned elsewhere
        importance = standardized(weights, manifest["columns"], graph.features, targets)
        limits = tolerances(manifest, graph.features, targets)
    learned = [names[j] for j in chosen]
    return equation_sides(weights, bias, graph.features, learned, importance, tolerances=limits)


def _scales(graph: Graph, places: Sequence[int]) -> list[str]:
    functions = [graph.functions[j] for j in places]
    return equation_lines(unit_sides(functions, [graph.targets[j] for j in places]))


def coefficients(graph: Graph) -> dict[str, dict[str, float]]:
    """List each target's weights by term, and its bias."""
    bias = "bias" if "bias" not in graph.features else "(bias)"
    return {
        target: dict(zip([*graph.features, bias], [*map(float, row), float(offset)], strict=True))
        for target, row, offset in zip(graph.targets, graph.weights, graph.bias, strict=True)
    }


def _title(graph: Graph, version: int | None) -> str:
    name = graph.name if version is None else f"{graph.name} {version}"
    columns = count(len(graph.plan.columns), "column")
    targets = ", ".join(map(label, graph.targets[:8])) + ", …" * (len(graph.targets) > 8)
    return f"gradline.Model {name}: {columns} -> {targets}"


def _metrics(manifest: Mapping[str, Any], targets: Sequence[str]) -> list[list[str]]:
    """Tabulate RMSE and R²: a head, and a line for each target on each kind of rows."""
    lines = [["", "RMSE", "R²"]]
    try:
        for which, title in TITLES.items():
            found = manifest["metrics"].get(which) or {}
            known = [(target, found[target]) for target in targets if target in found]
            lines += [
                [f"{label(target)}, {title}", number(m["rmse"]), r_squared(m["r2"])]
                for target, m in known
            ]
    except INCOMPLETE:
        return lines[:1]
    return lines


def _targets(graph: Graph, manifest: Mapping[str, Any]) -> list[int]:
    try:
        return Shown.targets_of(manifest, graph.targets)
    except INCOMPLETE:
        return list(range(len(graph.targets)))[:8]


def as_text(graph: Graph, manifest: Mapping[str, Any], version: int | None) -> str:
    """Describe a model in a few lines."""
    places = _targets(graph, manifest)
    lines = [_title(graph, version)]
    for line in (*equation_lines(_equations(graph, manifest, places)), *_scales(graph, places)):
        lines += textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent=" " * 6)
    found = _metrics(manifest, [graph.targets[j] for j in places])
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    for name, *figures in found if len(found) > 1 else []:
        cells = [f"{cell:>{width}}" for cell, width in zip(figures, widths[1:], strict=True)]
        lines.append("  " + "  ".join([f"{name:<{widths[0]}}", *cells]))
    return "\n".join(lines)


def as_html(graph: Graph, manifest: Mapping[str, Any], version: int | None) -> str:
    """Describe a model for a notebook."""
    places = _targets(graph, manifest)
    targets = [graph.targets[j] for j in places]
    sides = _equations(graph, manifest, places)
    sides += unit_sides([graph.functions[j] for j in places], targets)
    head, *rows = _metrics(manifest, targets)
    figures = [markup.table(head, rows)] if rows else []
    return markup.block(_title(graph, version), markup.equations(sides), *figures)
