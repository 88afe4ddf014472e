"""Describe a model, in the order in which a person asks: for inspect and for a run's summary."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.columns.targets import Functions, learned_name, learned_names
from gradline.explain.t_quantile import t_quantile
from gradline.formatting import PLAIN, and_more, count, equation_sides, label, number, reached
from gradline.package.graph import Graph
from gradline.presentation.selection import Shown
from gradline.presentation.statistics import of_target, r_squared
from gradline.presentation.typical import typical_row
from gradline.terminal.layout import Element, Facts, Grid, Heading, Verbatim

Array = NDArray[Any]
TITLES = {"training": "training rows", "held_out": "held-out rows"}
HEADS = ("RMSE", "MAE", "R²")
FIGURES = ("minimum", "mean", "maximum", "deviation")
MOST_INPUTS = 20  # in the example of a row


def equation_facts(
    weights: Array,
    bias: Array,
    features: Sequence[str],
    targets: Sequence[str],
    importance: Array | None = None,
    tolerances: Array | None = None,
) -> list[Element]:
    """Write one equation for each target; see `gradline.formatting.equation_sides`."""
    both = equation_sides(weights, bias, features, targets, importance, tolerances=tolerances)
    return [Facts([(left, f"= {right}") for left, right in both], width=0, gap=1), ""]


def decisions(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Lay out a line for each decision about a column; plain numbers share one."""
    lines = [f"{name_of(d)}: {d['what']} ({d['flag']})" for d in found if d["what"] != PLAIN]
    plain = [name_of(d) for d in found if d["what"] == PLAIN]
    if lines and plain:
        flags = [d["flag"] for d in found if d["what"] == PLAIN]
        flag = flags[0] if len(plain) == 1 else "--exclude NAME"
        lines.append(f"{and_more(plain)}: {PLAIN}{'s' * (len(plain) > 1)} ({flag})")
    return list(zip(["columns", *[""] * len(lines)], lines, strict=False))


def name_of(decision: Mapping[str, Any]) -> str:
    """Write a column's name; the first one of a table may have none."""
    return label(decision["column"]) or "(no name)"


def metrics(found: Mapping[str, Any], targets: Sequence[str]) -> list[Element]:
    """Tabulate the targets' metrics on the training rows, and on the held-out rows if any.

    The R² of cross-validation has a column of its own, if it is known.
    """
    parts: list[Element] = []
    for which, title in TITLES.items():
        by_target = found.get(which)
        if not by_target:
            continue
        shown = [by_target[target] for target in targets]
        validated = found.get("cross_validated") if which == "training" else None
        folds = [validated[target] if validated else {} for target in targets]
        shares = [
            ("R² of log", [m.get("r2_log") for m in shown]),
            ("5-fold R²", [m.get("r2") for m in folds]),
            ("5-fold R² of log", [m.get("r2_log") for m in folds]),
        ]
        further = [(head, values) for head, values in shares if any(v is not None for v in values)]
        rows = [
            [label(target), number(m["rmse"]), number(m["mae"]), r_squared(m["r2"])]
            + [r_squared(values[j]) for _, values in further]
            for j, (target, m) in enumerate(zip(targets, shown, strict=True))
        ]
        parts.append(Grid([[title, *HEADS, *(head for head, _ in further)], *rows]))
        if any(m["rmse"] is None for m in shown):
            parts.append("  RMSE, MAE and R² need the rows; the model was learned from moments")
        elif any(m["mae"] is None for m in shown):
            parts.append("  MAE needs a second pass over the data and was not computed")
        parts.append("")
    return parts


def scales(functions: Functions, targets: Sequence[str]) -> list[Element]:
    """Write how the answer of each logged target follows from its logarithm."""
    pairs = [(left, f"= {right}") for left, right in unit_sides(functions, targets)]
    return [Facts(pairs, width=0, gap=1), ""] if pairs else []


def unit_sides(
    functions: Functions, targets: Sequence[str], written: Callable[[str], str] = label
) -> list[tuple[str, str]]:
    """Write both sides of the equation that turns each logarithm back to its target."""
    sides = []
    for target, function in zip(targets, functions, strict=False):
        if function is not None:
            learned = written(learned_name(target, function.function))
            ending = " - 1" if function.offset else ""
            known = function.scale_from == "rows"
            origin = "the training rows' sum is right" if known else "supposes normal errors"
            right = f"{function.scale:.6g}·exp({learned}){ending} ({origin})"
            sides.append((written(target), right))
    return sides


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
    names = learned_names(graph.targets, graph.functions)
    for j in shown.targets:
        target, learned = graph.targets[j], names[j]
        standardized = [x if np.isfinite(x) else None for x in shown.standardized[j].tolist()]
        known = {
            "coefficient": [*graph.weights[j].tolist(), float(graph.bias[j])][: len(terms)],
            "standardized": [*standardized, None][: len(terms)],
        }
        if statistics:
            known |= statistics["targets"][target]
            known |= _interval(known, statistics["residual_dof"])
        places = [*shown.features_of(j), *range(len(graph.features), len(terms))]
        parts += [*of_target(learned, known, found, places), ""]
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
    half = t_quantile(0.95, dof) if dof > 0 else 0.0  # otherwise no error is known
    pairs = list(zip(known["coefficient"], known["standard_error"], strict=True))
    return {
        end: [None if error is None else c + sign * half * error for c, error in pairs]
        for end, sign in (("lower", -1), ("upper", 1))
    }


def ranges(
    columns: Mapping[str, Any],
    features: Sequence[str],
    targets: Sequence[str],
    learned: Sequence[str],
    times: Collection[str] = (),
) -> list[Element]:
    """Tabulate the ranges of the training rows, from the manifest's columns.

    Those of a logged target are of its logarithm; `learned` names it so. `times` are the features
    in days since 1970, which are written as dates.
    """
    rows = [
        [label(shown), *(_figures(columns[name], name in times))]
        for name, shown in zip((*features, *targets), (*features, *learned), strict=True)
    ]
    more = len(columns) - len(rows)
    rest = [f"  … ({count(more, 'more column')})"] if more else []
    return [Heading("Ranges"), Grid([["trained on", *FIGURES], *rows]), *rest, ""]


def _figures(found: Mapping[str, float | None], is_time: bool) -> list[str]:
    if not is_time:
        return [number(found[figure]) for figure in FIGURES]
    days = [found[figure] for figure in FIGURES[:3]]
    dates = ["–" if day is None else str(np.datetime64(math.floor(day), "D")) for day in days]
    return [*dates, f"{number(found['deviation'])} days"]


def how_to_predict(
    package: str,
    plan: Plan,
    figures: Mapping[str, Any],
    table: str,
    reading: Sequence[str] = (),
) -> list[Element]:
    """Write lines to paste: predict a table, and a typical row in Python unless it is long.

    `figures` are the manifest's, of each feature, or empty if none is known; `reading` are the
    options that the table needs.
    """
    import shlex

    command = shlex.join(["gradline", "predict", package, table, *reading])
    lines: list[Element] = [Verbatim(f"  predict  {command}")]
    if len(plan.columns) > MOST_INPUTS:
        return lines
    typical = typical_row(plan, figures)
    row = [list(typical.values())] if plan.is_plain else typical
    code = f"import gradline; gradline.load({package!r}).predict({row})"
    return [*lines, Verbatim(f"  Python   {code}")]


def serving(package: str) -> Verbatim:
    """Write the line that serves a package."""
    import shlex

    return Verbatim(f"  serve    {shlex.join(['gradline', 'serve', package])}")
