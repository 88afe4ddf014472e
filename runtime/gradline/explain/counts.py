"""Count the rows that were predicted, and the rows that deserve a warning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import Gaps, compute_inputs
from gradline.columns.kinds import Column
from gradline.columns.parsing import values_of
from gradline.columns.rows import Rows
from gradline.columns.unreadable import UnknownCategoryError
from gradline.formatting import and_more, count, label

FEW = 16  # answers that Python checks faster than NumPy


@dataclass
class Unknown:
    """Rows with levels of a column that no training row had."""

    rows: int
    example: str  # one of the levels


@dataclass
class Counts:
    """What a prediction has counted so far. A row without an answer counts once."""

    rows: int = 0
    missing: int = 0  # rows with a missing value and without a prediction
    undefined: int = 0  # other rows outside a function's domain, without a prediction
    infinite: int = 0  # other rows with a prediction that is not finite
    outside: int = 0  # rows outside the training ranges, if that was checked
    filled: int = 0  # rows with a missing value that was filled
    unknown: dict[str, Unknown] = field(default_factory=dict)  # by column
    lacking: dict[str, None] = field(default_factory=dict)  # the columns of `missing`, in order

    def add(self, later: Counts) -> None:
        """Add the counts of further rows."""
        for name, value in vars(later).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        for name, unknown in later.unknown.items():
            self.note_unknown(name, unknown.rows, unknown.example)
        self.lacking |= later.lacking

    def note_unknown(self, name: str, rows: int, example: str) -> None:
        """Count rows with an unknown level of a column."""
        self.unknown.setdefault(name, Unknown(0, example)).rows += rows

    def note(
        self,
        values: NDArray[Any],
        lack_inputs: Callable[[NDArray[np.bool_]], NDArray[np.bool_]],
        answers: NDArray[Any],
        gaps: Gaps,
        examples: dict[str, str],
    ) -> None:
        """Count a block's rows: the columns' values (n, m), the answers, and see `ReadRows`."""
        self.rows += len(answers)
        self._note_gaps(gaps, examples)
        if np.isfinite(answers).all():
            return
        odd = ~np.isfinite(answers).all(axis=1)
        values, no_answer = values[odd], lack_inputs(odd)
        lacking = np.isnan(values) & ~gaps.filled[odd]
        missing = no_answer & lacking.any(axis=1)
        unknown = no_answer & ~missing & gaps.unknown[odd].any(axis=1)
        undefined = no_answer & ~missing & ~unknown & ~np.isinf(values).any(axis=1)
        self.missing += int(missing.sum())
        places = np.flatnonzero(lacking[missing].any(axis=0)).tolist()
        self.lacking |= dict.fromkeys(gaps.columns[j] for j in places)
        self.undefined += int(undefined.sum())
        self.infinite += int((~missing & ~unknown & ~undefined).sum())

    def _note_gaps(self, gaps: Gaps, examples: dict[str, str]) -> None:
        if gaps.filled.any():
            self.filled += int(gaps.filled.any(axis=1).sum())
        if gaps.unknown.any():
            for j in np.flatnonzero(gaps.unknown.any(axis=0)):
                name = gaps.columns[j]
                self.note_unknown(name, int(gaps.unknown[:, j].sum()), examples[name])

    def warnings(self, unknown_category: str) -> Iterator[str]:
        """Say what needs a word, a sentence for each kind."""
        for name, unknown in self.unknown.items():
            effect = "no prediction" if unknown_category == "missing" else "its indicators are 0"
            rows_told = count(unknown.rows, "row")
            yield (
                f"{rows_told} with a category of {name!r} that no training row had, such as "
                f"{unknown.example!r}: {effect}"
            )
        columns = and_more([label(name) for name in self.lacking])
        for rows, what in (
            (self.filled, "with missing values that were filled with training means"),
            (self.missing, f"with missing values got no prediction (missing: {columns})"),
            (self.undefined, "with a number outside a function's domain got no prediction"),
            (self.infinite, "with infinite or huge values got infinite or no predictions"),
            (self.outside, "outside the ranges that the model was trained on, alone or together"),
        ):
            if rows:
                yield f"{count(rows, 'row')} {what}"


def warnings_about(rows: Rows, answers: NDArray[Any]) -> Iterator[str]:
    """Write the warnings about a caller's rows that `gradline predict` prints."""
    values, plan = rows.values, rows.plan
    gaps = Gaps(values, plan)
    if _all_finite(answers) and not (plan.has_gaps and gaps.rows.any()):
        return

    def lack_inputs(odd: NDArray[np.bool_]) -> NDArray[np.bool_]:
        found = compute_inputs(values[odd], plan, rows.unknown)
        missing: NDArray[np.bool_] = np.isnan(found).any(axis=1)
        return missing

    strange = np.flatnonzero(gaps.unknown.any(axis=0)).tolist()
    examples = {plan.columns[j].name: _example(rows, plan.columns[j]) for j in strange}
    counts = Counts()
    counts.note(values, lack_inputs, answers, gaps, examples)
    yield from counts.warnings(rows.unknown)


def _all_finite(answers: NDArray[Any]) -> bool:
    """Check answers; for a row or two NumPy would take a tenth of the prediction's time."""
    if answers.size < FEW:
        return all(map(math.isfinite, answers.ravel().tolist()))
    return bool(np.isfinite(answers).all())


def _example(rows: Rows, column: Column) -> str:
    """Find a column's first unknown level, by reading it again."""
    try:
        values_of(column, rows.columns[column.name], "error")
    except UnknownCategoryError as error:
        return error.text
    return ""
