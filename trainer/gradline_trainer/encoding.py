"""The earlier pass: which levels the categories have, and what fills missing numbers.

Both come from the training rows alone: those held out, dropped or of weight 0 add no level and
nothing to a mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from gradline.categories import PlaceOf
from gradline.encoding import Column, in_order
from gradline.errors import InputError
from gradline_trainer.columns import Columns, Table
from gradline_trainer.options import Options
from gradline_trainer.rows import RowReader, Rows

__all__ = ["MAX_CATEGORIES", "learn_encoding"]

MAX_CATEGORIES = 1_000  # each is a feature
NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


@dataclass
class Tally:
    """What the pass has seen of one column's training rows.

    Attributes:
        places: For a category, each text's number in the order of appearance.
        counts: The training rows that have each.
        sums, weights: For a number, one block's weighted sum, and its weight, after the other.
    """

    places: dict[str, int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def place_of(self, text: str) -> int:
        """Return the number of a text, a new one for a text not seen before."""
        return self.places.setdefault(text, len(self.places))

    def add(self, rows: Rows, j: int, kind: str) -> None:
        """Count the training rows of one block in its column j."""
        values = np.ascontiguousarray(rows.features[:, j])  # the order of a sum is its layout's
        if kind == "category":
            counts = np.bincount(values.astype(np.intp), minlength=len(self.places))
            before = np.array(self.counts + [0] * (len(counts) - len(self.counts)), np.int64)
            self.counts = (before + counts).tolist()
            return
        present = ~np.isnan(values)
        weights = np.ones(len(values)) if rows.weights is None else rows.weights
        with np.errstate(over="ignore"):  # the mean is checked
            self.sums.append(float(np.sum((values * weights)[present])))
        self.weights.append(float(np.sum(weights[present])))

    def levels(self) -> dict[str, int]:
        """Return how many training rows have each level; levels that none has are left out."""
        return {t: n for t, n in zip(self.places, self.counts, strict=False) if n}


def learn_encoding(
    table: Table,
    columns: Columns,
    options: Options,
    max_categories: int,
    report: Callable[[str, int], None],
) -> tuple[Table, Columns]:
    """Return the table and the columns, with levels and fill values learned where asked for.

    Where there are none to learn, both are returned as they are, and no row is read.

    Args:
        table: To be read once.
        columns: Some perhaps categories, as yet without levels.
        options: Of the run.
        max_categories: The most levels that a column may have.
        report: Called with ("rows", how many were read so far).

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
    tallies = _tally(table, columns, options, max_categories, report)
    inputs = []
    for column in columns.inputs:
        if column.kind == "category":
            column = _category(column.name, tallies[column.name].levels(), options, table)
        elif options.missing == "mean":
            column = replace(column, fill=_mean(column.name, tallies[column.name]))
        inputs.append(column)
    _check_names(inputs, table)
    known = {c.name: _finder(c.levels) for c in inputs if c.kind == "category"}
    return table.with_categories(known), replace(columns, inputs=inputs)


def _tally(
    table: Table,
    columns: Columns,
    options: Options,
    max_categories: int,
    report: Callable[[str, int], None],
) -> dict[str, Tally]:
    """Return what one pass sees of each column, by its name."""
    categories = [column for column in columns.inputs if column.kind == "category"]
    # With `error`, no other column decides which rows are trained on.
    wanted = replace(columns, inputs=categories) if options.missing == "error" else columns
    tallies = {column.name: Tally() for column in wanted.inputs}
    growing: dict[str, PlaceOf] = {c.name: tallies[c.name].place_of for c in categories}
    reader = RowReader(table.with_categories(growing), wanted, options)
    for rows, _ in reader:
        report("rows", reader.read)
        for j, column in enumerate(wanted.inputs):
            tally = tallies[column.name]
            tally.add(rows, j, column.kind)
            if sum(map(bool, tally.counts)) > max_categories:
                raise _too_many(column.name, tally, max_categories, table)
    return tallies


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


def _mean(name: str, tally: Tally) -> float:
    """Return the weighted mean of the training rows' values."""
    weight = math.fsum(tally.weights)
    if not weight:
        raise InputError(
            f"the column {name!r} has no value in the rows to train on: there is no mean to fill "
            "with",
            code="missing-value",
            hint=f"--exclude {name!r}",
        )
    total = math.fsum(tally.sums) if all(map(math.isfinite, tally.sums)) else math.inf
    if not math.isfinite(total / weight):
        raise InputError(
            f"the column {name!r} has infinite values, or values too large to add up",
            code="out-of-range",
            hint="mend or remove these rows, or divide the column first",
        )
    return total / weight


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


def _too_many(name: str, tally: Tally, most: int, table: Table) -> InputError:
    _check_whole(name, list(tally.levels()), table)
    return InputError(
        f"the column {name!r} has more than {most} categories",
        code="too-many-categories",
        hint=f"leave --one-hot {name!r} out (an identifier is no feature), or give "
        "--max-categories N: each is a feature",
    )


def _check_names(inputs: list[Column], table: Table) -> None:
    """Raise where an indicator is named as a column of the table or another indicator."""
    owners: dict[str, str] = {}
    for column in inputs:
        if column.kind == "number":
            continue
        for feature in column.features:
            if feature in table.names or feature in owners:
                other = f"of {owners[feature]!r} too" if feature in owners else "a column too"
                raise InputError(
                    f"the indicator {feature!r} of the column {column.name!r} is the name {other}",
                    code="name-clash",
                    hint="rename one of the columns",
                )
            owners[feature] = column.name
