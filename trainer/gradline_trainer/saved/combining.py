"""Bring saved moments of tables with terms to the same columns and terms.

Each file has the levels of its own table, and fills missing values with its own mean. Together they
get all levels, and one fill.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.surveyed import Survey, Surveyed, fill_of
from gradline_trainer.saved.differences import asked_of, fixed_of, found_of, missing_of
from gradline_trainer.saved.mapping import Combination, LinearMap, linear_map
from gradline_trainer.saved.whole import (
    expanded,
    level_function,
    own_patterns,
    whole_column,
)

Run = tuple[int, int]
K = TypeVar("K", str, int)


def combined(saved: Sequence[SavedMoments]) -> Columns:
    """Combine the columns of files that do not differ."""
    surveys = [survey for one in saved if (survey := one.columns.survey)]
    first = saved[0].columns
    found = [
        _combined_column([found_of(one.columns)[name] for one in saved], saved, name)
        for name in found_of(first)
    ]
    deciding = sorted(saved, key=lambda one: (asked_of(one) is None, fixed_of(one) is None))
    leader = deciding[0].columns
    assert leader.survey is not None  # noqa: S101 - see `with_terms`
    missing = next((m for one in saved if (m := missing_of(one))), leader.survey.missing)
    survey = replace(
        leader.survey,
        most=max(survey.most for survey in surveys),
        missing=missing,
        found=tuple(found),
    )
    columns = replace(leader, targets=first.targets, functions=first.functions)
    return with_found(columns, survey, saved[0].columns.plan)


def with_found(columns: Columns, survey: Survey, decided: Plan) -> Columns:
    """Make the plan of all levels of what was found; `decided` has the terms."""
    known = {one.column.name: whole_column(one, survey.missing) for one in survey.found}
    functions = {one.column.name: level_function(one) for one in survey.found}
    terms = expanded(own_patterns(decided), known, functions)
    plan = Plan(tuple(known.values()), terms)
    return replace(columns, plan=plan, survey=survey)


def mapped(saved: SavedMoments, columns: Columns) -> tuple[SavedMoments, LinearMap]:
    """Compute the moments of other levels and fills; an absent level is in no row."""
    plan, targets = saved.columns.plan, saved.columns.targets
    known = {column.name: column for column in columns.plan.columns}
    rows, unknown = linear_map(columns.plan.terms, known, plan)
    assert not unknown  # noqa: S101 - the terms have the same patterns
    d = len(plan.terms)
    rows += [Combination((d + targets.index(name),)) for name in columns.targets]
    by = LinearMap(tuple(rows))
    folds = [by.apply(fold) for fold in saved.folds]
    return replace(saved, moments=by.apply(saved.moments), folds=folds, columns=columns), by


def weight_with(saved: SavedMoments, name: str) -> float:
    """Compute the total weight of the rows that have a value in a column."""
    moments, marker = saved.moments, (Factor(name, "missing"),)
    if marker not in saved.columns.plan.terms:
        return moments.weight
    place = saved.columns.plan.terms.index(marker)
    return moments.weight * (1 - float(moments.mean[place]))


def _combined_column(
    found: Sequence[Surveyed], saved: Sequence[SavedMoments], name: str
) -> Surveyed:
    """Add up what several tables show of a column."""
    first = found[0]
    column = replace(
        first.column,
        levels=tuple(sorted({level for one in found for level in one.column.levels})),
        missing=any(one.column.missing for one in found),
        null=tuple(dict.fromkeys(text for one in found for text in one.column.null)),
    )
    weights = [weight_with(one, name) for one in saved]
    mean = sum(w * one.mean for w, one in zip(weights, found, strict=True) if w) / (
        sum(weights) or math.nan
    )
    fills = {one.column.fill for one in found} - {None}
    fixed = all(map(fixed_of, saved))
    if fills and not (fixed and len(fills) == 1):
        column = replace(column, fill=fill_of(column, mean))
    elif fills:
        column = replace(column, fill=fills.pop())
    counts = summed(one.counts for one in found)
    runs = joined(run for one in found for run in one.runs)
    return replace(
        first,
        column=with_reference(column, counts),
        rows=sum(one.rows for one in found),
        missing=sum(one.missing for one in found),
        counts=counts,
        parts={part: summed(one.parts.get(part, {}) for one in found) for part in first.parts},
        minimum=_extreme(min, [one.minimum for one in found]),
        maximum=_extreme(max, [one.maximum for one in found]),
        mean=mean,
        runs=runs,
        days=sum(last - start + 1 for start, last in runs),
        reason=next((one.reason for one in found if one.reason), None),
        flag=next((one.flag for one in found if one.reason), ""),
    )


def with_reference(column: Column, counts: Mapping[str, int]) -> Column:
    """Choose the most frequent level, as a survey does."""
    reference = min(counts, key=lambda level: (-counts[level], level), default=None)
    return replace(column, reference=reference)


def summed(counts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    """Add up counts."""
    total: Counter[K] = Counter()
    for some in counts:
        total.update(some)
    return dict(total)


def _extreme(choose: Callable[[Sequence[float]], float], ends: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, ends)) else choose(ends)


def joined(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Join runs of days that touch or overlap."""
    found: list[Run] = []
    for first, last in sorted(runs):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)
