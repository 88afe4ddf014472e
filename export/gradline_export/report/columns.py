"""Describe the table's columns over the training rows: ranges, or levels with their shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradline.columns.kinds import Column
from gradline.columns.terms import Factor
from gradline.formatting import count, isolated, number
from gradline_export.report.effects import Effect, part_name
from gradline_export.report.figures import day_of, mean_of, moment_of, unmarked
from gradline_trainer.result import Fit

MOST_LEVELS = 8
FIGURES = ("mean", "deviation", "minimum", "maximum")


def described(
    fit: Fit, effects: Sequence[Effect], figures: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Make a row for each column: four figures, or a text.

    Args:
        fit: The fit.
        effects: Its effects, the strongest first.
        figures: The manifest's, of each feature.
    """
    known = {column.name: column for column in fit.columns.plan.columns}
    alone = {effect.name: effect for effect in effects if len(effect.group.columns) == 1}
    rows = []
    for name in dict.fromkeys(name for effect in effects for name in effect.group.columns):
        column = known[name]
        if name not in alone:
            rows.append({"name": name, "text": f"{column.kind}, in products alone"})
        elif column.kind == "category":
            rows.append({"name": name, "text": _levels(fit, alone[name], column, figures)})
        elif column.kind == "time":
            rows.append({"name": name, **_time(fit, column, figures)})
        else:
            rows += _numbers(fit, alone[name], figures)
    return rows


def _numbers(fit: Fit, effect: Effect, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Make the row of a number; if it is not itself a term, a row for each of its terms."""
    terms = fit.columns.plan.terms
    places = [j for j in effect.group.terms if not terms[j][0].is_indicator]
    alone = [j for j in places if terms[j] == (Factor(effect.name),)]
    rows = []
    for j in alone or places or effect.group.terms:
        found = figures[fit.features[j]]
        cells = [mean_of(found), number(found["deviation"])]
        cells += [unmarked(found[end]) for end in ("minimum", "maximum")]
        rows.append({"name": fit.features[j], "cells": cells})
    return rows


def _time(fit: Fit, column: Column, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a time by its first and last day, if they are known."""
    for feature, term in zip(fit.features, fit.columns.plan.terms, strict=True):
        if term == (Factor(column.name, "time"),):
            found = figures[feature]
            cells = [day_of(found[figure]) for figure in ("mean", "minimum", "maximum")]
            return {"cells": [cells[0], f"{number(found['deviation'])} days", *cells[1:]]}
    survey = fit.columns.survey
    for seen in survey.found if survey else ():
        if seen.column.name == column.name and seen.present:
            ends = [moment_of(end)[:10] for end in (seen.minimum, seen.maximum)]
            return {"cells": [moment_of(seen.mean)[:10], number(None), *ends]}
    return {"text": "time"}


def _levels(fit: Fit, effect: Effect, column: Column, figures: Mapping[str, Any]) -> str:
    """List the levels with the share of the rows that have them, the most frequent first."""
    terms = fit.columns.plan.terms
    shares = [
        (figures[fit.features[j]]["mean"], part_name(terms[j]))
        for j in effect.group.terms
        if terms[j][0].is_indicator
    ]
    if column.reference is not None:
        shares.append((max(1 - sum(share for share, _ in shares), 0.0), column.reference))
    shares.sort(key=lambda pair: -pair[0])
    listed = ", ".join(
        f"{isolated(name)} {100 * share:.0f} %" for share, name in shares[:MOST_LEVELS]
    )
    more = len(shares) - MOST_LEVELS
    return listed + (f" and {count(more, 'further level')}" if more > 0 else "")
