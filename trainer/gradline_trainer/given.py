"""Open the first arguments of `fit`: a table and names of its columns, or X and y."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradline.columns.matrix import column_labels
from gradline.columns.records import is_records
from gradline.errors import InputError
from gradline.tables import FrameTable
from gradline.tables.frames import KNOWN
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import bad_option
from gradline_trainer.rows.arrays import ArrayTable, table_of_arrays
from gradline_trainer.rows.columns import Names, TrainingTable


@dataclass(frozen=True)
class Given:
    """The first arguments of `fit`, told apart."""

    X: Any  # a table, or the features alone
    y: Any  # the targets' values; None if they are columns of the table
    targets: Names
    features: Names
    sample_weight: Any

    @classmethod
    def of(cls, table: Any, targets: Any, features: Names, sample_weight: Any) -> Given:
        """Tell `fit(table, "y")`, `fit(X, y)` and `fit((X, y))` apart, and check the arguments.

        Raises:
            InputError: For an array X without y, and for y beside a file or saved moments.
        """
        features = _listed(features)
        if not (targets is None or are_names(targets)):
            _check_values(targets)
            given = cls(table, targets, None, features, sample_weight)
            given._check()
            return given
        targets = _listed(targets)
        if isinstance(table, tuple):
            if len(table) != 2:
                what = f"expected a pair (X, Y), got a tuple of {len(table)}"
                raise InputError(what, code="unknown-table", hint="give (X, Y)")
            given = cls(*table, targets, features, sample_weight)
        else:
            given = cls(table, None, targets, features, sample_weight)
        given._check()
        return given

    def _check(self) -> None:
        weight = self.sample_weight
        if isinstance(self.X, str | Path | SavedMoments | ArrayTable | FrameTable):
            if isinstance(self.X, str) and is_frame(self.y):
                what = f"expected a table first, got {self.X!r} and then a table"
                hint = f"fit(table, {self.X!r})"
                raise InputError(what, code="unknown-table", hint=hint)
            if self.y is not None:
                where = f"{str(self.X)!r}" if isinstance(self.X, str | Path) else "the moments"
                what = f"y is given beside {where}, which already has the targets"
                hint = 'name the column to predict: fit("sales.csv", "revenue")'
                raise InputError(what, code="unknown-table", hint=hint)
            if not (weight is None or isinstance(weight, str)):
                hint = "put the weights into the table, or give arrays: fit(X, y, sample_weight=w)"
                raise bad_option("sample_weight", weight, "the name of a column of the table", hint)
        elif not is_frame(self.X):
            if self.y is None:
                raise self._no_values()
            if isinstance(weight, str):
                hint = "an array X has no named columns"
                raise bad_option("sample_weight", weight, "an array of shape (n,)", hint)

    def _no_values(self) -> InputError:
        """Build the error for an X without names and without y."""
        kind = type(self.X).__name__
        names = [self.targets] if isinstance(self.targets, str) else [*(self.targets or ())]
        missing = f"column {names[0]!r}" if names else "y"
        what = f"X of type {kind} has no {missing}"
        if not isinstance(self.X, Iterable):
            what = f"a table of type {kind} is not known"
        hint = "make a frame of the records, such as pandas.DataFrame(rows)"
        hint = hint if is_records(self.X) else KNOWN
        return InputError(what, code="unknown-table", hint=hint)

    def open(self) -> tuple[TrainingTable, Names, Names, str | None]:
        """Open a table in memory; return it with the names of targets, features and weight.

        Raises:
            InputError: For values that are no numbers, and for a different number of rows.
        """
        source, targets, weight = self.X, self.targets, self.sample_weight
        if isinstance(source, ArrayTable):
            return source, targets, self.features, weight
        if not isinstance(source, FrameTable):
            if not is_frame(source):
                return table_of_arrays((source, self.y), targets, self.features, weight)
            from gradline_trainer.rows.joining import join

            source, targets, weight = join(source, self.y, targets, weight)
        for names in (targets, self.features, weight):
            source.check_names([names] if isinstance(names, str) else names or ())
        return source, targets, self.features, weight


def is_frame(table: object) -> bool:
    """Check for named columns in memory: a data frame, or a mapping of columns."""
    kind = type(table)
    if kind in (np.ndarray, list, tuple):
        return False
    is_lazy = hasattr(kind, "collect_schema") and not hasattr(kind, "get_column")
    return isinstance(table, Mapping) or is_lazy or column_labels(table) is not None


def are_names(given: object) -> bool:
    """Check for a text or several texts; a series or frame of texts is none."""
    if isinstance(given, str | bytes):
        return isinstance(given, str)
    if isinstance(given, np.ndarray) and not (given.dtype.kind in "UO" and given.size):
        return False
    is_series = type(given).__name__ == "Series"
    if is_series or isinstance(given, Iterator) or not isinstance(given, Iterable):
        return False
    return not is_frame(given) and all(isinstance(name, str) for name in given)


def check_arguments(separator: Any, max_categories: Any, **names: Any) -> None:
    """Check the arguments of `fit` that are not options; `names` holds those that name columns."""
    for role, given in names.items():
        if not (given is None or are_names(given)):
            hint = "a column labelled 0 is called '0'"
            raise bad_option(role, given, "text, or a list of texts", hint)
    if type(max_categories) is not int or max_categories < 2:
        raise bad_option("max_categories", max_categories, "2 or more")
    if not (separator is None or isinstance(separator, str)):
        raise bad_option("separator", separator, "one character", "such as ';'")


def _listed(names: Any) -> Names:
    """Make a list of names, which may be an index of pandas."""
    return names if names is None or isinstance(names, str) else [str(name) for name in names]


def _check_values(y: object) -> None:
    """Raise if y cannot hold a value for each row."""
    is_one = isinstance(y, bytes | Iterator) or not isinstance(y, Iterable)
    if is_one or getattr(y, "ndim", 1) == 0:
        hint = "a column labelled 0 is called '0'"
        raise bad_option("targets", y, "names of columns, or an array of values", hint)
