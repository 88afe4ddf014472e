"""Gather the moments that are saved of a table with terms, in a further pass over its rows."""

from __future__ import annotations

from dataclasses import replace

from gradline.scoring.engine import Engine
from gradline.tables import FrameTable
from gradline_trainer.moments.gathering import gather_moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.encoding import in_format_2
from gradline_trainer.rows.passes import Progress, Walk
from gradline_trainer.rows.rows import RowReader
from gradline_trainer.rows.surveyed import Survey
from gradline_trainer.saved.whole import whole_plan
from gradline_trainer.terms.deciding import Asked
from gradline_trainer.terms.survey import survey_given


def to_save(columns: Columns) -> Columns:
    """Replace the plan by one of all levels; what was left out is not in it.

    Raises:
        InputError: For too many terms.
    """
    survey = columns.survey
    assert survey is not None  # noqa: S101 - terms are decided from a survey
    names = {column.name for column in columns.inputs}
    used = tuple(found for found in survey.found if found.column.name in names)
    survey = replace(survey, found=used)
    return replace(columns, plan=whole_plan(survey, columns.plan.terms), survey=survey)


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
    survey = Survey((), (), asked.most, options.missing, tuple(found), plan)
    return replace(columns, survey=survey)


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
    counts = walk.counts
    return SavedMoments(
        moments,
        of_folds if len(of_folds) > 1 else [],
        columns,
        counts.read,
        counts.dropped,
        counts.held_out,
        counts.filled,
    )
