"""A typical value of each column, for examples of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from gradline.columns.calendar import DAY
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_2000 = 946_684_800.0  # for a time whose range no term tells
# From the mean of a term of a column alone to a value of the column.
BACK: dict[str | None, Callable[[float], float]] = {
    None: float,
    "log": math.exp,
    "log1p": math.expm1,
    "sqrt": lambda x: x * x,
    "time": lambda days: days * DAY,
}


def typical_row(plan: Plan, figures: Mapping[str, Any]) -> dict[str, float | str]:
    """Make one row of the plan's columns as a table has it.

    `figures` are the manifest's, of each feature; empty if none is known.
    """
    return {
        column.name: written_value(column, typical_value(column, figures, plan))
        for column in plan.columns
    }


def typical_value(column: Column, figures: Mapping[str, Any], plan: Plan) -> float | str:
    """Choose a category's reference; a number's or a time's mean, in seconds, if it is known."""
    if column.levels:
        return column.reference or column.levels[0]
    found = _mean(column, figures, plan)
    if found is None:
        found = column.fill
    if column.kind == "number":
        if found is None:
            return 1.0
        whole = is_whole(figures.get(column.name, {}))
        return math.floor(found + 0.5) if whole else float(f"{found:.4g}")
    found = YEAR_2000 if found is None else found
    step = 60 if _has_hours(column, plan) else DAY
    return found // step * step


def _mean(column: Column, figures: Mapping[str, Any], plan: Plan) -> float | None:
    for (factor, *others), feature in zip(plan.terms, plan.features, strict=True):
        alone = figures and factor.column == column.name and not others
        if alone and factor.function in BACK:
            return BACK[factor.function](figures[feature]["mean"])
    return None


def is_whole(figures: Mapping[str, Any]) -> bool:
    """Guess from a column's figures over the training rows whether it holds whole numbers.

    It does if its minimum and maximum are whole, unless they are 0 and 1, which a share has, too.
    The values of a flag are 0 or 1 alone, which gives the largest possible deviation (Bhatia and
    Davis, 2000). panel.html guesses in the same way.
    """
    low, high = figures.get("minimum"), figures.get("maximum")
    if low is None or high is None or not (float(low).is_integer() and float(high).is_integer()):
        return False
    if high - low > 1:
        return True
    most = (high - figures["mean"]) * (figures["mean"] - low)
    return bool(abs(figures.get("deviation", math.inf) ** 2 - most) <= 1e-9 * most)


def _has_hours(column: Column, plan: Plan) -> bool:
    factors = (factor for term in plan.terms for factor in term)
    return any(f.column == column.name and f.function == "hour" for f in factors)


def written_value(column: Column, value: float | str) -> float | str:
    """Write a value as a table has it."""
    if column.kind != "time":
        return value
    moment = EPOCH + timedelta(seconds=float(value))
    if column.zone is not None:
        moment = moment.replace(tzinfo=_zone(column.zone))
    if column.format is not None:
        return moment.strftime(column.format)
    if column.zone is not None:
        return moment.isoformat()
    return moment.strftime("%Y-%m-%d" if float(value) % DAY == 0 else "%Y-%m-%dT%H:%M")


def _zone(name: str) -> tzinfo | None:
    """Look up a zone by its name, or by its offset, such as +02:00."""
    return datetime.strptime(name, "%z").tzinfo if name[0] in "+-" else ZoneInfo(name)
