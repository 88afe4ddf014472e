"""Survey a table's columns: what kind each is, and what the training rows hold.

Training rows are those that have their targets and weight and are not held out. One pass finds the
kinds of text, another counts. Targets and weights that are text take a pass of their own before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import NULLS, Column, Kind
from gradline.scoring.engine import Engine
from gradline.tables import FrameTable
from gradline.tables.agreement import SAME_TYPES
from gradline.tables.lazy_polars import pl
from gradline.tables.parts import mixed_schemas
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.counts import Counts
from gradline_trainer.rows.passes import Progress, silent
from gradline_trainer.rows.refusals import too_few
from gradline_trainer.rows.rows import RowReader
from gradline_trainer.rows.surveyed import Surveyed, runs_of
from gradline_trainer.terms.counted import Counted, Statistics
from gradline_trainer.terms.deciding import Asked, decide, differing, needs_counts, own_kind
from gradline_trainer.terms.kinds import Found
from gradline_trainer.terms.reading import odd_note
from gradline_trainer.terms.surveying import Roles, find_kinds, runner

Array = NDArray[np.float64]


def survey(
    table: FrameTable,
    columns: Columns,
    names: Sequence[str],
    asked: Asked,
    options: Options,
    report: Progress = silent,
    engine: Engine | None = None,
) -> tuple[Roles, list[Surveyed], list[str]]:
    """Survey the columns `names`, in their order; see the module.

    Args:
        table: The table.
        columns: Names its targets and its weight.
        names: The columns to survey.
        asked: What is known of them already.
        options: Of the run; its holdout decides the training rows.
        report: Called with ("rows", count).
        engine: Reads the rows; None for this process.

    Returns:
        How targets and weight are read; what each column holds; warnings.

    Raises:
        InputError: For a target or weight that is no number, and for less than two training rows.
    """
    run = runner(table, columns, options, report, engine)
    roles = _roles(table, columns, asked, run)
    texts = [name for name in names if needs_counts(table, name, asked)]
    kinds = find_kinds(table, texts, roles, asked, run)
    found = {name: decide(table, name, kinds.found, asked) for name in names}
    numeric = [f.column for f in found.values() if f.column.kind != "category" and not f.reason]
    statistics = run(Statistics, partial(_count, columns=numeric, roles=roles))
    if statistics.rows < 2:
        _refuse_rows(table.with_columns(roles.readings, "zero"), columns, options)
    notes = [odd_note(one) for one in found.values() if one.odd and one.column.kind == "number"]
    own = {name: one.column.kind for name, one in found.items()}
    own |= {n: own_kind(table, n, kinds.found, asked) for n in names if n in asked.categories}
    return roles, [_surveyed(found[name], own[name], statistics, table) for name in names], notes


def _refuse_rows(table: FrameTable, columns: Columns, options: Options) -> None:
    """Raise for too few training rows, or for the weights that are the reason."""
    reader = RowReader(table, columns, options)
    rows = sum(len(training) for _, training, _ in reader.blocks())
    reader.refuse_faults()
    raise too_few(rows, reader.counts)


def survey_given(
    table: FrameTable,
    columns: Columns,
    asked: Asked,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> list[Surveyed]:
    """Count what a plan's columns hold; how to read them is known.

    A category gets the levels of the plan and those of the table; see `survey` for the arguments.
    """
    run = runner(table, columns, options, report, engine)
    roles = _roles(table, columns, asked, run)
    plan = columns.plan.columns
    names = [column.name for column in plan if column.kind == "category"]
    nulls = {text for column in plan if column.kind == "category" for text in column.null}
    asked = Asked(tuple(sorted({*nulls, *asked.nulls} - {*NULLS})), most=asked.most)
    kinds = find_kinds(table, names, roles, asked, run)
    by_function = {
        f.column for term in columns.plan.terms for f in term if f.function == "category"
    }
    numeric = [column for column in plan if column.kind != "category"]
    statistics = run(Statistics, partial(_count, columns=numeric, roles=roles))
    found = []
    for column in plan:
        if column.kind != "category":
            one = _surveyed(Found(column), column.kind, statistics, table)
        else:
            own = kinds.found[column.name].decide(column.name, as_category=True)
            kind: Kind = "number" if column.name in by_function else "category"
            one = _surveyed(own, kind, statistics, table)
            levels = tuple(sorted({*column.levels, *one.counts}))
            column = replace(column, levels=levels, reference=None, rare=())
        found.append(replace(one, column=column))
    return found


def find_roles(
    table: FrameTable,
    columns: Columns,
    asked: Asked,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> Roles:
    """Find how the targets and the weight are read; see `survey`."""
    return _roles(table, columns, asked, runner(table, columns, options, report, engine))


def _roles(table: FrameTable, columns: Columns, asked: Asked, run: Any) -> Roles:
    """Find how targets and weight are read; their own text decides, over all rows."""
    names = [*columns.targets, *([columns.weight] if columns.weight else [])]
    texts = [name for name in names if table.is_text(name)]
    nobody = Roles((), None)
    kinds = find_kinds(table, texts, nobody, asked, run)
    read: dict[str, Column] = {}
    notes: list[str] = []
    for name in names:
        if told := differing(table, name):
            raise mixed_schemas(f"the column {name!r} has {told}", SAME_TYPES)
        if table.dtype(name) == pl.Boolean:  # true is 1, without a token for a missing value
            read[name] = Column(name)
            continue
        role = "sample weight" if name == columns.weight else "target"
        found = decide(table, name, kinds.found, replace(asked, categories=frozenset()))
        if not found.present and name in kinds.found:  # no value at all
            found = Found(Column(name, null=found.column.null))
        if found.column.kind != "number":
            raise table.not_numbers(name, role)
        if found.odd:
            notes.append(odd_note(found))
        read[name] = found.column
    weight = read[columns.weight] if columns.weight else None
    return Roles(tuple(read[name] for name in columns.targets), weight, tuple(notes))


def _count(reader: RowReader, columns: Sequence[Column], roles: Roles) -> tuple[Statistics, Counts]:
    found, counts = Statistics(0, {column.name: Counted() for column in columns}), Counts()
    assert isinstance(reader.table, FrameTable)  # noqa: S101 - arrays are not surveyed
    every = (*roles.readings, *columns)
    names = [column.name for column in every]
    for block in reader.table.with_columns(every, "missing").blocks(names):
        values = dict(zip(names, block.values.T, strict=True))
        read = {column.name: values[column.name] for column in roles.readings}
        training, weights = roles.training(read, block, reader.options)
        counts.read += len(block)
        found.rows += int(training.sum())
        w = None if weights is None else weights[training]
        for column in columns:
            found.found[column.name].add(column, values[column.name][training], w)
    return found, counts


def _surveyed(found: Found, own: Kind, statistics: Statistics, table: FrameTable) -> Surveyed:
    column = found.column
    place = table.names.index(column.name)
    if column.kind == "category":
        return Surveyed(
            column=column,
            kind=own,
            place=place,
            rows=statistics.rows,
            missing=found.missing,
            counts=found.counts,
            reason=found.reason,
        )
    counted = statistics.found.get(column.name, Counted(missing=statistics.rows))
    column = replace(column, fill=counted.fill(column))
    empty = counted.missing == statistics.rows
    return Surveyed(
        column=column,
        kind=column.kind,
        place=place,
        rows=statistics.rows,
        missing=counted.missing,
        parts=counted.parts,
        minimum=math.nan if empty else counted.minimum,
        maximum=math.nan if empty else counted.maximum,
        days=len(counted.days),
        runs=runs_of(counted.days),
        mean=counted.mean,
        reason=found.reason,
    )
