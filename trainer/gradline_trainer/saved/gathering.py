"""Gather the moments that are saved of a table with terms, in a further pass over its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradline.scoring.engine import Engine
from gradline.tables import FrameTable
from gradline_trainer.moments.gathering import gather_moments
from gradline_trainer.moments.moments import one_value
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.moments.superfluous import twins
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.encoding import in_format_2
from gradline_trainer.rows.passes import Progress, Walk
from gradline_trainer.rows.rows import RowReader
from gradline_trainer.rows.survey import Asked, survey_given
from gradline_trainer.rows.surveyed import Survey
from gradline_trainer.saved.whole import whole_plan


def to_save(columns: Columns, options: Options) -> Columns:
    """Replace the plan by one of all levels.

    Raises:
        InputError: For too many terms.
    """
    survey = columns.survey
    assert survey is not None  # noqa: S101 - terms are decided from a survey
    if options.missing == "drop":  # the rows of a model depend on its columns
        survey = _restricted(survey, {column.name for column in columns.inputs})
    return replace(columns, plan=whole_plan(survey), survey=survey)


def with_given_terms(
    table: FrameTable,
    columns: Columns,
    asked: Asked,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> Columns:
    """Count what the columns hold whose terms were given, as by --like."""
    plan = columns.plan
    whole = plan if plan.format == 2 else in_format_2(plan, asked.nulls)
    found = survey_given(table, replace(columns, plan=whole), asked, options, report, engine)
    survey = Survey((), (), asked.most, options.missing, tuple(found), whole.terms, plan)
    return replace(columns, survey=survey)


def _restricted(survey: Survey, names: set[str]) -> Survey:
    return replace(
        survey,
        found=tuple(one for one in survey.found if one.column.name in names),
        terms=tuple(t for t in survey.terms if names.issuperset(f.column for f in t)),
    )


def gather_to_save(
    table: FrameTable,
    columns: Columns,
    options: Options,
    folds: int | None,
    report: Progress,
    engine: Engine | None,
) -> SavedMoments:
    """Gather the moments of `to_save`'s terms, and of each fold."""
    reading = table.with_columns((*columns.inputs, *columns.readings), "zero")
    walk = Walk(RowReader(reading, columns, options, folds=folds), report, engine)
    moments, of_folds = gather_moments(walk)
    names, counts = columns.features, walk.counts
    numeric = [
        j
        for j, term in enumerate(columns.plan.terms)
        if not all(factor.is_indicator for factor in term)
    ]
    varying = np.flatnonzero(~one_value(moments))
    pairs = twins(walk, moments, sorted(set(numeric) & set(varying.tolist())))
    groups: dict[int, list[int]] = {}
    for first, second in pairs:
        groups.setdefault(first, [first]).append(second)
    return SavedMoments(
        moments,
        of_folds if len(of_folds) > 1 else [],
        columns,
        counts.read,
        counts.dropped,
        counts.held_out,
        counts.filled,
        equal=tuple(tuple(names[j] for j in group) for group in groups.values()),
    )
