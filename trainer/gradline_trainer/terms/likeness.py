"""Take the columns and terms of a package that was published before, instead of deciding anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gradline.columns.kinds import Column
from gradline.columns.matrix import match_names
from gradline.columns.plan import Plan
from gradline.columns.targets import learned_names
from gradline.errors import InputError
from gradline.package.reading import read_package
from gradline.scoring.engine import Engine
from gradline.tables import FrameTable
from gradline_trainer.options import Options
from gradline_trainer.rows.arrays import ArrayTable
from gradline_trainer.rows.columns import (
    Columns,
    Names,
    TrainingTable,
    checked_names,
    split_targets,
)
from gradline_trainer.rows.encoding import in_format_2
from gradline_trainer.rows.passes import Progress
from gradline_trainer.terms.deciding import Asked
from gradline_trainer.terms.survey import find_roles


def refuse_with_like(given: Mapping[str, Any]) -> None:
    """Raise for an option that chooses terms: the package has them. `given` is by option."""
    for name, value in given.items():
        if value:
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"{option} chooses terms, but --like takes those of the package",
                code="bad-option",
                hint=f"leave out one of {option} and --like",
            )


def columns_like(
    package: Any,
    table: TrainingTable,
    targets: Names,
    weight: str | None,
    asked: Asked,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> tuple[FrameTable, Columns]:
    """Choose the columns and terms of a package; return the table that reads them, too.

    Args:
        package: The package's path.
        table: The table, which must have the package's columns.
        targets: The targets; None for the package's.
        weight: The column of sample weights.
        asked: Further texts that mean a missing value in a target.
        options: Of the run.
        report: Called with ("rows", count).
        engine: Reads the rows; None for this process.

    Raises:
        InputError: If the table lacks one of the columns, or is a pair of arrays.
        PackageError: If the package cannot be read.
    """
    if isinstance(table, ArrayTable):
        raise InputError(
            "--like needs a table with names, not a pair of arrays",
            code="bad-option",
            hint="give a data frame or a file",
        )
    graph = read_package(package).graph
    names = [column.name for column in graph.plan.columns]
    table.check_names(names)
    match_names(table.names, names, extra="ignore")
    taken = dict.fromkeys(names, "feature")
    own = learned_names(graph.targets, graph.functions)
    chosen, functions = split_targets(own if targets is None else targets, table.names)
    chosen = checked_names(table.names, "target", chosen)
    for name in (*chosen, *([weight] if weight else [])):
        if name in taken:
            raise InputError(
                f"{name!r} is a feature of the package that --like names",
                code="repeated-column",
                hint="give another target or weight",
            )
    plan = graph.plan
    if functions and plan.format == 1:
        plan = in_format_2(plan, asked.nulls)
    columns = Columns(plan, chosen, weight, [], are_given=True)
    roles = find_roles(table, columns, asked, options, report, engine)
    reading = table.with_columns((*_readings(plan, asked), *roles.readings), "zero")
    return reading, replace(
        columns, functions=functions, readings=roles.readings, notes=roles.notes
    )


def _readings(plan: Plan, asked: Asked) -> list[Column]:
    """List how the columns are read; those of format 1 that are plain numbers as always."""
    return [
        replace(column, null=tuple(dict.fromkeys((*column.null, *asked.nulls))))
        for column in plan.columns
        if column.null or column.kind != "number"
    ]
