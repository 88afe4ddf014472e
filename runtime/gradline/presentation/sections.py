"""Describe a model, in the order in which a person asks: for inspect and for a run's summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import Column
from gradline.formatting import count, equation_sides, label, number, reached
from gradline.package.graph import Graph
from gradline.presentation.selection import Shown
from gradline.presentation.statistics import of_target, r_squared
from gradline.presentation.t_quantile import half_width
from gradline.terminal.layout import Element, Facts, Grid, Heading, Verbatim

Array = NDArray[Any]
TITLES = {"training": "training rows", "held_out": "held-out rows"}
FIGURES = ("minimum", "mean", "maximum", "deviation")
MOST_INPUTS = 8  # in the example of a row


def equation_facts(
    weights: Array,
    bias: Array,
    features: Sequence[str],
    targets: Sequence[str],
    importance: Array | None = None,
) -> list[Element]:
    """Write one equation for each target; see `gradline.formatting.equation_sides`."""
    both = equation_sides(weights, bias, features, targets, importance)
    return [Facts([(left, f"= {right}") for left, right in both], width=0, gap=1), ""]


def metrics(found: Mapping[str, Any], targets: Sequence[str]) -> list[Element]:
    """Tabulate the targets' metrics on the training rows, and on the held-out rows if any.

    Beside the R² of the training rows stands the cross-validated one.
    """
    parts: list[Element] = []
    for which, title in TITLES.items():
        by_target = found.get(which)
        if not by_target:
            continue
        validated = found.get("cross_validated") if which == "training" else None
        heads = [title, "RMSE", "MAE", "R²", *(["5-fold R²"] if validated else [])]
        rows = []
        for target in targets:
            m = by_target[target]
            row = [label(target), number(m["rmse"]), number(m["mae"]), r_squared(m["r2"])]
            rows.append([*row, *([r_squared(validated[target]["r2"])] if validated else [])])
        parts.append(Grid([heads, *rows]))
        if any(by_target[target]["mae"] is None for target in targets):
            parts.append("  MAE needs a second pass over the data and was not computed")
        parts.append("")
    return parts


def coefficients(graph: Graph, manifest: Mapping[str, Any], shown: Shown) -> list[Element]:
    """Tabulate each target's coefficients, with errors and 95 % intervals if these are known."""
    statistics = manifest.get("statistics", {})
    parts: list[Element] = [Heading("Coefficients")]
    if not statistics:
        parts += [f"  {_why_bare(manifest)}", ""]
    terms = statistics.get("terms", [*graph.features, "bias"])
    training = manifest["training"]
    found = {
        **statistics,
        "terms": terms,
        "bias": training["options"]["bias"],
        "weighted": training["sample_weight"] is not None,
        "level": 0.95,
    }
    for j in shown.targets:
        target = graph.targets[j]
        standardized = [x if np.isfinite(x) else None for x in shown.standardized[j].tolist()]
        known = {
            "coefficient": [*graph.weights[j].tolist(), float(graph.bias[j])][: len(terms)],
            "standardized": [*standardized, None][: len(terms)],
        }
        if statistics:
            known |= statistics["targets"][target]
            known |= _interval(known, statistics["residual_dof"])
        places = [*shown.features_of(j), *range(len(graph.features), len(terms))]
        parts += [*of_target(target, known, found, places), ""]
    return parts


def _why_bare(manifest: Mapping[str, Any]) -> str:
    """Say why there are no standard errors; see `gradline_trainer.Fit.summary`."""
    training = manifest["training"]
    if training["options"]["ridge"]:
        return "no standard errors: the ridge penalty draws the weights towards 0"
    if not manifest["certificates"]["optimality"]["converged"]:
        return f"no standard errors: the run {reached(manifest['certificates']['optimality'])}"
    if training["rows"]["trained"] <= len(manifest["schema"]["features"]):
        return "no standard errors: no more rows than coefficients"
    return "no standard errors are recorded, because there are too many coefficients"


def _interval(known: Mapping[str, Any], dof: int) -> dict[str, list[float | None]]:
    half = half_width(dof) if dof > 0 else 0.0  # otherwise no error is known
    pairs = list(zip(known["coefficient"], known["standard_error"], strict=True))
    return {
        end: [None if error is None else c + sign * half * error for c, error in pairs]
        for end, sign in (("lower", -1), ("upper", 1))
    }


def ranges(
    columns: Mapping[str, Any], features: Sequence[str], targets: Sequence[str]
) -> list[Element]:
    """Tabulate the ranges of the training rows, from the manifest's columns."""
    rows = [
        [label(name), *(number(columns[name][figure]) for figure in FIGURES)]
        for name in (*features, *targets)
    ]
    more = len(columns) - len(rows)
    rest = [f"  … ({count(more, 'more column')})"] if more else []
    return [Heading("Ranges"), Grid([["trained on", *FIGURES], *rows]), *rest, ""]


def how_to_predict(
    package: str,
    inputs: Sequence[Column],
    features: Sequence[str],
    means: Array,
    table: str,
    reading: Sequence[str] = (),
) -> list[Element]:
    """Write lines to copy that predict a table, and in Python a row of the features' means (d,).

    `reading` are the options that the table needs.
    """
    import shlex

    shown = [f"{mean:.4g}" for mean in means]
    if not inputs or list(features) == [column.name for column in inputs]:
        row = f"[[{', '.join(shown)}]]"
    else:
        by_name = dict(zip(features, shown, strict=True))
        values = [repr(c.levels[0]) if c.levels else by_name.get(c.name) for c in inputs]
        pairs = [f"{c.name!r}: [{value}]" for c, value in zip(inputs, values, strict=True)]
        row = "rows" if None in values else f"{{{', '.join(pairs)}}}"
    row = row if len(inputs or features) <= MOST_INPUTS else "rows"
    code = f"gradline.load({package!r}).predict({row})"
    command = shlex.join(["gradline", "predict", package, table, *reading])
    return [Verbatim(f"  predict  {command}"), Verbatim(f"  Python   {code}")]
