"""Describe a fit and its statistics in a few lines of text or HTML, never a row."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradline import markup
from gradline.columns.targets import learned_names
from gradline.errors import in_python
from gradline.formatting import and_more, count, equation_sides, label
from gradline.presentation.sections import metrics, scales
from gradline.presentation.selection import standardized, tolerances
from gradline.presentation.statistics import of_target
from gradline.terminal.layout import Element, Facts, Grid, Heading, as_text
from gradline_trainer.statistics.figures import column_record

if TYPE_CHECKING:
    from gradline_trainer.result import Fit
    from gradline_trainer.statistics.summary import Summary

MOST_TARGETS = 3
MOST_TERMS = 10  # of an equation
MOST_ROWS = 12  # of the tables of coefficients, together
MOST_WARNINGS = 3
WIDTH = 100


def to_text(parts: Sequence[Element]) -> str:
    """Write the parts as text, with equations and warnings wrapped."""
    lines: list[str] = []
    for part in parts:
        found = as_text([part]).splitlines() or [""]
        wrapped = isinstance(part, Facts) and bool(part.pairs)
        for line in found:
            lines += textwrap.wrap(line, WIDTH, subsequent_indent=" " * 6) if wrapped else [line]
    return "\n".join(lines).rstrip()


def to_html(parts: Sequence[Element]) -> str:
    """Write the parts as HTML; a first heading is the title."""
    title = parts[0] if isinstance(parts[0], Heading) else ""
    return markup.block(title, *map(_html, parts[1:] if title else parts))


def _html(part: Element) -> str:
    if isinstance(part, Grid):
        head, *rows = part.rows
        return markup.table(head, rows)
    if isinstance(part, Facts):
        sides = [(name, text.removeprefix("= ")) for name, text in part.pairs if text[:2] == "= "]
        others = [f"{name}: {text}" for name, text in part.pairs if text[:2] != "= "]
        return (markup.equations(sides) if sides else "") + "".join(map(markup.paragraph, others))
    return markup.paragraph(part.strip()) if part.strip() else ""


def fit_elements(fit: Fit) -> list[Element]:
    """Lay out the equations, the metrics, what was left out, and the warnings."""
    targets = fit.targets[:MOST_TARGETS]
    k, found = len(targets), _records(fit)
    figures = column_record(fit)
    sides = equation_sides(
        *(fit.weights.numpy()[:k], fit.bias.numpy()[:k], fit.features),
        learned_names(fit.targets, fit.target_functions or [None] * len(fit.targets))[:k],
        standardized(fit.weights.numpy()[:k], figures, fit.features, targets),
        tolerances=tolerances({"columns": figures, "metrics": found}, fit.features, targets),
        most=MOST_TERMS,
    )
    size = f"{count(len(fit.features), 'feature')}, {count(fit.moments.rows, 'row')}"
    left = len(fit.targets) - k
    return [
        Heading(f"Fit of {and_more([label(t) for t in fit.targets])}: {size}"),
        Facts([(name, f"= {right}") for name, right in sides], width=0, gap=1),
        *([f"  … and {count(left, 'more target')}"] if left else []),
        *_without_gaps(scales(fit.target_functions, targets)),
        *_without_gaps(metrics(found, targets)),
        Facts([*_left_out(fit), *_warnings(fit)], width=0),
    ]


def _without_gaps(parts: list[Element]) -> list[Element]:
    return [part for part in parts if part != ""]


def _records(fit: Fit) -> dict[str, Any]:
    return {
        which: by_target and {name: one.record() for name, one in by_target.items()}
        for which, by_target in fit.metrics.items()
    }


def _left_out(fit: Fit) -> list[tuple[str, str]]:
    """Name the columns that were left out, and why."""
    found = [
        f"{label(one.column)} ({one.what.removeprefix('left out: ')})"
        for one in fit.columns.decisions
        if not one.taken
    ]
    found += [label(name) for name in fit.columns.left_out]
    return [("left out", and_more(found))] if found else []


def _warnings(fit: Fit) -> list[tuple[str, str]]:
    shown = fit.warnings[:MOST_WARNINGS]
    more = len(fit.warnings) - len(shown)
    rest = [("warnings", f"{count(more, 'more')} in Fit.warnings")] if more else []
    return [*(("warning", in_python(text)) for text in shown), *rest]


def summary_elements(summary: Summary) -> list[Element]:
    """Lay out the coefficients that matter most, and how well each target is predicted."""
    found = summary.to_dict()
    targets = list(summary.targets)[:MOST_TARGETS]
    names = (summary.learned or list(summary.targets))[: len(targets)]
    size = f"{count(summary.rows, 'row')}, {100 * summary.level:g} % intervals"
    parts: list[Element] = [
        Heading(f"Summary of {and_more([label(t) for t in summary.targets])}: {size}")
    ]
    for target, name in zip(targets, names, strict=True):
        known = found["targets"][target]
        places = _largest(known["standardized"], MOST_ROWS // len(targets))
        parts += [*of_target(name, known, found, places), ""]
    left = len(summary.targets) - len(targets)
    if left:
        parts.append(f"  … and {count(left, 'more target')}")
    if left or len(summary.terms) > MOST_ROWS // len(targets):
        parts.append("  print() shows all, frame() makes a data frame")
    return parts if parts[-1] != "" else parts[:-1]


def _largest(standardized: list[float | None], most: int) -> list[int]:
    """Choose the places of the terms with the largest standardized weights, in order."""
    sizes = [-1.0 if x is None else abs(x) for x in standardized]
    return sorted(sorted(range(len(sizes)), key=lambda j: -sizes[j])[:most])
