"""Learn the levels of categories and the means that fill missing numbers, in a pass of its own.

Both come from the training rows only: a row that is held out, dropped or of weight 0 adds no
level and nothing to a mean.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from gradline.columns.categories import PlaceOf
from gradline.columns.encoding import in_order
from gradline.columns.kinds import NULLS, NUMBER_NULLS, Column
from gradline.columns.plan import Plan
from gradline.errors import InputError, in_quotes
from gradline.scoring.engine import Engine
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import TrainingTable
from gradline_trainer.rows.counts import Counts
from gradline_trainer.rows.passes import Progress, silent
from gradline_trainer.rows.rows import RowReader, Rows
from gradline_trainer.rows.sharding import each_shard

NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


@dataclass
class Tally:
    """Counts of one column's training rows: a category's levels, or a number's sum."""

    places: dict[str, int] = field(default_factory=dict)  # numbered as they appear
    counts: Counter[str] = field(default_factory=Counter)  # training rows with each text
    sums: list[float] = field(default_factory=list)  # of numbers times weights, per block
    weights: list[float] = field(default_factory=list)  # their weight, per block

    def place_of(self, text: str) -> int:
        """Look up a text's number; a new text gets the next one."""
        return self.places.setdefault(text, len(self.places))

    def add(self, rows: Rows, j: int, kind: str) -> None:
        """Count column j of a block's training rows."""
        values = np.ascontiguousarray(rows.features[:, j])  # a sum's bits depend on the layout
        if kind == "category":
            counts = np.bincount(values.astype(np.intp), minlength=len(self.places))
            self.counts.update(dict(zip(self.places, counts.tolist(), strict=True)))
            return
        present = ~np.isnan(values)
        weights = np.ones(len(values)) if rows.weights is None else rows.weights
        with np.errstate(over="ignore"):  # `mean` checks for infinity
            self.sums.append(float(np.sum((values * weights)[present])))
        self.weights.append(float(np.sum(weights[present])))

    def merge(self, later: Tally) -> None:
        """Add the counts of later rows."""
        self.counts.update(later.counts)
        self.sums += later.sums
        self.weights += later.weights

    def levels(self) -> dict[str, int]:
        """Count the training rows of each level that has any."""
        return {text: count for text, count in self.counts.items() if count}

    def mean(self, name: str) -> float:
        """Compute the weighted mean of the column `name`."""
        weight = math.fsum(self.weights)
        if not weight:
            raise InputError(
                f"the column {name!r} has no value in the training rows, so it has no mean to "
                "fill with",
                code="missing-value",
                hint=f"--exclude {in_quotes(name)}",
            )
        total = math.fsum(self.sums) if all(map(math.isfinite, self.sums)) else math.inf
        if not math.isfinite(total / weight):
            raise InputError(
                f"the column {name!r} has infinite values, or values too large to add up",
                code="out-of-range",
                hint="correct or remove these rows, or divide the column first",
            )
        return total / weight


def learn_encoding(
    reader: RowReader, max_categories: int, report: Progress, engine: Engine | None
) -> RowReader:
    """Learn levels and fill values; return a reader whose table and columns use them."""
    table, columns, options = reader.table, reader.columns, reader.options
    tallies = _tally(reader, max_categories, report, engine)
    inputs = []
    for column in columns.inputs:
        if column.kind == "category":
            found = tallies[column.name].levels()
            check_levels(column.name, list(found), max_categories, table)
            column = _category(column.name, found, options)
        elif options.missing == "mean":
            column = replace(column, fill=tallies[column.name].mean(column.name))
        inputs.append(column)
    _check_names(inputs, table)
    known = {c.name: _finder(c.levels) for c in inputs if c.kind == "category"}
    plan = Plan.of_columns(inputs)
    return RowReader(table.with_categories(known), replace(columns, plan=plan), options)


def in_format_2(plan: Plan, nulls: Sequence[str]) -> Plan:
    """Describe the columns of format 1 as format 2 does; `nulls` are those of the caller."""
    columns = []
    for column in plan.columns:
        standard = NULLS if column.kind == "category" else NUMBER_NULLS
        tokens = dict.fromkeys((*standard, *nulls))
        null = tuple(token for token in tokens if token and token not in column.levels)
        columns.append(replace(column, levels=tuple(sorted(column.levels)), null=null))
    return Plan(tuple(columns), plan.terms)


def read_in_format_2(reader: RowReader, nulls: Sequence[str]) -> RowReader:
    """Replace a reader's plan of format 1 by one of format 2; see `in_format_2`."""
    columns = reader.columns
    plan = in_format_2(columns.plan, nulls)
    table = reader.table
    if columns.categories:
        levels = {c.name: c.levels for c in plan.columns if c.kind == "category"}
        table = table.with_categories({name: _finder(own) for name, own in levels.items()})
    return replace(reader, table=table, columns=replace(columns, plan=plan))


def _tally(
    whole: RowReader, max_categories: int, report: Progress, engine: Engine | None
) -> dict[str, Tally]:
    columns = whole.columns
    # With `error`, no row is dropped, so only the category columns are needed.
    if whole.options.missing == "error":
        only = Plan.of_columns([columns.inputs[j] for j in columns.categories])
        columns = replace(columns, plan=only)
    reader = replace(whole, columns=columns, raw=True)
    work = partial(_tally_reader, max_categories=max_categories)
    if engine is None:
        tallies, _ = work(reader, report=report)
        reader.refuse_faults()
        return tallies
    tallies = {column.name: Tally() for column in columns.inputs}
    for _, of_shard, _ in each_shard(work, reader, engine):
        report("rows", reader.counts.read)
        for name, tally in of_shard.items():
            tallies[name].merge(tally)
            _check_few(name, tallies[name].levels(), max_categories, whole.table)
    return tallies


def _tally_reader(
    reader: RowReader, max_categories: int, report: Progress = silent
) -> tuple[dict[str, Tally], Counts]:
    """Tally a reader's rows; faults are counted, not raised."""
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
            levels = tallies[column.name].levels()
            _check_few(column.name, levels, max_categories, reader.table)
    reader.counts = seen.counts
    return tallies, seen.counts


def _check_few(name: str, levels: Collection[str], most: int, table: TrainingTable) -> None:
    if len(levels) <= most:
        return
    _check_whole(name, list(levels), table)
    raise InputError(
        f"the column {name!r} has more than {most} categories",
        code="too-many-categories",
        hint=f"leave --one-hot {in_quotes(name)} out (an identifier is not a feature), or give "
        "--max-categories N: each becomes a feature",
    )


def _finder(levels: tuple[str, ...]) -> PlaceOf:
    places = {level: place for place, level in enumerate(levels)}
    return lambda text: places.get(text, -1)


def _category(name: str, counts: dict[str, int], options: Options) -> Column:
    levels = in_order(list(counts))
    # Without a bias, or with a penalty, the indicators of all levels are not redundant.
    dropped = options.bias and options.ridge == 0
    reference = min(levels, key=lambda level: (-counts[level], level)) if dropped else None
    return Column(name, "category", levels, reference)


def check_levels(
    name: str, levels: list[str], most: int, table: TrainingTable, *, has_missing: bool = False
) -> None:
    """Refuse fractions, less than two levels and more than `most` as a category of --one-hot."""
    _check_few(name, levels, most, table)
    _check_whole(name, levels, table)
    if len(levels) + has_missing < 2:
        found = f"one category only, {levels[0]!r}" if levels else "no category"
        raise InputError(
            f"the column {name!r} has {found}, in the training rows",
            code="constant-category",
            hint=f"leave --one-hot {in_quotes(name)} out",
        )


def _check_whole(name: str, levels: list[str], table: TrainingTable) -> None:
    """Refuse a numeric column with fractions; in a text column they may be names."""
    if table.kinds[name] != "number" or not all(map(NUMBER.fullmatch, levels)):
        return
    for level in levels:
        if not float(level.replace(",", ".")).is_integer():
            raise InputError(
                f"the column {name!r} holds numbers with fractions, such as {level}; categories "
                "must be integers or text",
                code="not-a-category",
                hint=f"leave --one-hot {in_quotes(name)} out, or store the column as text",
            )


def _check_names(inputs: list[Column], table: TrainingTable) -> None:
    """Raise if an indicator has the name of a column or of another indicator."""
    owners: dict[str, str] = {}
    for column in inputs:
        for level in column.levels:
            feature = f"{column.name}={level}"  # the reference level's name must be free too
            if feature in table.names or feature in owners:
                other = f"an indicator of {owners[feature]!r}" if feature in owners else "a column"
                raise InputError(
                    f"the indicator {feature!r} of the column {column.name!r} has the name of "
                    f"{other}",
                    code="name-clash",
                    hint="rename one of the columns",
                )
            owners[feature] = column.name
