"""The earlier pass: which levels the categories have, and what fills missing numbers.

Both come from the training rows alone: those held out, dropped or of weight 0 add no level and
nothing to a mean.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from gradline.columns.categories import PlaceOf
from gradline.columns.encoding import Column, in_order
from gradline.errors import InputError
from gradline.scoring.engine import Engine
from gradline_trainer.options import MAX_CATEGORIES, Options
from gradline_trainer.rows.columns import Columns, Table
from gradline_trainer.rows.passes import Progress, each_share
from gradline_trainer.rows.rows import Counts, RowReader
from gradline_trainer.rows.tally import Tally

__all__ = ["MAX_CATEGORIES", "learn_encoding"]

NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


def learn_encoding(
    table: Table,
    columns: Columns,
    options: Options,
    max_categories: int,
    report: Progress,
    engine: Engine | None,
) -> tuple[Table, Columns]:
    """Return the table and the columns, with levels and fill values learned where asked for.

    Where there are none to learn, both are returned as they are, and no row is read.

    Args:
        table: To be read once.
        columns: Some perhaps categories, as yet without levels.
        options: Of the run.
        max_categories: The most levels that a column may have.
        report: Called with ("rows", how many were read so far).
        engine: That reads the rows; None for this process.

    Raises:
        InputError: For missing values that `options.missing` does not allow, a category column
            with too many levels, fractions or one level only, a column without any value, and
            names that clash.
    """
    if type(max_categories) is not int or max_categories < 2:
        raise InputError(
            f"max_categories = {max_categories!r}, expected 2 or more", code="bad-option"
        )
    if options.missing != "mean" and all(column.kind == "number" for column in columns.inputs):
        return table, columns
    tallies = _tally(RowReader(table, columns, options), max_categories, report, engine)
    inputs = []
    for column in columns.inputs:
        if column.kind == "category":
            column = _category(column.name, tallies[column.name].levels(), options, table)
        elif options.missing == "mean":
            column = replace(column, fill=tallies[column.name].mean(column.name))
        inputs.append(column)
    _check_names(inputs, table)
    known = {c.name: _finder(c.levels) for c in inputs if c.kind == "category"}
    return table.with_categories(known), replace(columns, inputs=inputs)


def _tally(
    whole: RowReader, max_categories: int, report: Progress, engine: Engine | None
) -> dict[str, Tally]:
    """Return what one pass sees of each column, by its name."""
    columns = whole.columns
    # With `error`, no other column decides which rows are trained on.
    if whole.options.missing == "error":
        inputs = [column for column in columns.inputs if column.kind == "category"]
        columns = replace(columns, inputs=inputs)
    reader = replace(whole, columns=columns)
    work = partial(_tally_of, max_categories=max_categories)
    if engine is None:
        tallies, _ = work(reader, report=report)
        reader.refuse_faults()
        return tallies
    tallies = {column.name: Tally() for column in columns.inputs}
    for _, (of_share, _) in each_share(work, reader, report, engine):
        for name, tally in of_share.items():
            tallies[name].add_all(tally)
            _check_few(name, tallies[name], max_categories, whole.table)
    return tallies


def _tally_of(
    reader: RowReader, max_categories: int, report: Progress = lambda stage, count: None
) -> tuple[dict[str, Tally], Counts]:
    """Return what is seen of each column of a reader's rows, faults being counted alone."""
    inputs = reader.columns.inputs
    tallies = {column.name: Tally() for column in inputs}
    growing: dict[str, PlaceOf] = {
        c.name: tallies[c.name].place_of for c in inputs if c.kind == "category"
    }
    seen = replace(reader, table=reader.table.with_categories(growing))
    for _, rows, _ in seen.blocks():
        report("rows", seen.counts.read)
        for j, column in enumerate(inputs):
            tallies[column.name].add(rows, j, column.kind)
            _check_few(column.name, tallies[column.name], max_categories, reader.table)
    reader.counts = seen.counts
    return tallies, seen.counts


def _check_few(name: str, tally: Tally, most: int, table: Table) -> None:
    if sum(map(bool, tally.counts)) <= most:
        return
    _check_whole(name, list(tally.levels()), table)
    raise InputError(
        f"the column {name!r} has more than {most} categories",
        code="too-many-categories",
        hint=f"leave --one-hot {name!r} out (an identifier is no feature), or give "
        "--max-categories N: each is a feature",
    )


def _finder(levels: tuple[str, ...]) -> PlaceOf:
    places = {level: place for place, level in enumerate(levels)}
    return lambda text: places.get(text, -1)


def _category(name: str, counts: dict[str, int], options: Options, table: Table) -> Column:
    _check_whole(name, list(counts), table)
    if len(counts) < 2:
        found = f"one category only, {next(iter(counts))!r}" if counts else "no category"
        raise InputError(
            f"the column {name!r} has {found}, in the rows to train on",
            code="constant-category",
            hint=f"leave --one-hot {name!r} out",
        )
    levels = in_order(list(counts))
    # A penalty tells apart what is linearly dependent, and so treats every level alike.
    dropped = options.bias and options.ridge == 0
    reference = min(levels, key=lambda level: (-counts[level], level)) if dropped else None
    return Column(name, "category", levels, reference)


def _check_whole(name: str, levels: list[str], table: Table) -> None:
    """Raise for a column of numbers with fractions; text that looks like them may be names."""
    if table.kinds[name] != "number" or not all(map(NUMBER.fullmatch, levels)):
        return
    for level in levels:
        if not float(level.replace(",", ".")).is_integer():
            raise InputError(
                f"the column {name!r} holds numbers with fractions, such as {level}, which are no "
                "categories",
                code="not-a-category",
                hint=f"leave --one-hot {name!r} out, or store the column as text",
            )


def _check_names(inputs: list[Column], table: Table) -> None:
    """Raise where an indicator is named as a column of the table or another indicator."""
    owners: dict[str, str] = {}
    for column in inputs:
        if column.kind == "number":
            continue
        for level in column.levels:
            feature = f"{column.name}={level}"  # the reference's too: it would be taken for one
            if feature in table.names or feature in owners:
                other = f"an indicator of {owners[feature]!r}" if feature in owners else "a column"
                raise InputError(
                    f"the indicator {feature!r} of the column {column.name!r} has the name of "
                    f"{other}",
                    code="name-clash",
                    hint="rename one of the columns",
                )
            owners[feature] = column.name
