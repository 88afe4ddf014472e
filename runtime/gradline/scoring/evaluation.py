"""Score models on labelled rows, in one pass over the table.

Truth and predictions are compared in float64, in the targets' units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import checked_unknown
from gradline.columns.kinds import Column
from gradline.columns.python_numbers import hint_for_prediction
from gradline.errors import InputError
from gradline.explain.counts import Counts
from gradline.model import Model
from gradline.scoring.errors import Score, Sums
from gradline.scoring.rows import ReadRows, answers_of, plan_for
from gradline.scoring.truth import check_truth, plain_readings, surveyed_readings
from gradline.tables import Block, FrameTable

Array = NDArray[np.float64]


def common_targets(models: Sequence[Model]) -> list[str]:
    """List the targets that all models have, in the first one's order."""
    first, *others = models
    return [name for name in first.targets if all(name in other.targets for other in others)]


def of_moments(
    models: Sequence[Model], path: Path, targets: Sequence[str], sample_weight: str | None
) -> tuple[list[dict[str, Score]], list[str]]:
    """Score models on saved moments; return warnings, too.

    Raises:
        InputError: For moments that don't fit the models.
        ModuleNotFoundError: If the trainer is not installed.
    """
    from importlib.metadata import entry_points

    for wing in entry_points(group="gradline", name="evaluate-moments"):
        found: tuple[list[dict[str, Score]], list[str]] = wing.load()(
            models, path, targets, sample_weight
        )
        return found
    raise ModuleNotFoundError("saved moments need the trainer", name="gradline_trainer")


def refuse_empty(scores: Mapping[str, Score], rows: int, *, several: bool = False) -> None:
    """Refuse a table without a row, or with a target that no row can score."""
    if not rows:
        what, hint = "the table has no rows", "give a table with rows"
        raise InputError(what, code="no-data", hint=hint)
    for target, score in scores.items():
        if score.rows:
            continue
        hint = f"fill in the column {target!r}" if score.without_truth == rows else ""
        hint = hint or "give a table with complete rows"
        what = f"no row can be scored: {score.why_skipped(target, several=several)}"
        raise InputError(what, code="no-data", hint=hint)


@dataclass
class Evaluation:
    """Scores models on labelled rows.

    Attributes:
        models: The models. A target is scored on the rows for which all of them have an answer.
        table: The rows, with the targets under their names.
        sample_weight: The column of the rows' weights; None if all weigh the same.
        targets: The targets to score; by default those that all models have.
        unknown_category: As for `Model.predict`.
        counts: Each model's counts; `scores` sets them.
        notes: Warnings about how the targets were read; `scores` sets them.
    """

    models: Sequence[Model]
    table: FrameTable
    sample_weight: str | None = None
    targets: Sequence[str] | None = None
    unknown_category: str | None = None
    counts: list[Counts] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def scores(
        self, report: Callable[[str, int], object] = lambda *_: None
    ) -> list[dict[str, Score]]:
        """Score each model on each target; report ("rows", the count so far).

        Raises:
            InputError: For a table without a target's column, values that can't be read, weights
                that are negative or all 0, and errors too large to square.
        """
        targets = common_targets(self.models) if self.targets is None else list(self.targets)
        weight = self.sample_weight
        check_truth(self.table, targets, weight)
        readings = plain_readings(self.table, [*targets, *([weight] if weight else [])])
        try:
            return self._scores(targets, readings, report)
        except InputError as error:
            hint_for_prediction(error)
            if error.code != "not-numeric":
                raise
            surveyed = surveyed_readings(self.table, readings, weight)
            if surveyed is None or surveyed[0] == readings:
                raise
        readings, self.notes = surveyed
        return self._scores(targets, readings, report)

    def _scores(
        self,
        targets: Sequence[str],
        readings: Sequence[Column],
        report: Callable[[str, int], object],
    ) -> list[dict[str, Score]]:
        self.counts = [Counts() for _ in self.models]
        sums = [Sums(len(self.models)) for _ in targets]
        for read, truth in self._read(readings):
            answers = self._answers(read, targets)
            self._check(read[0].block, readings, truth)
            weights = truth[:, -1] if self.sample_weight else None
            for j, one in enumerate(sums):
                one.add(truth[:, j], answers[:, :, j], weights)
            report("rows", self.counts[0].rows)
        if self.sample_weight and any(one.rows and not one.weight for one in sums):
            what = f"all sample weights in {self.sample_weight!r} are 0"
            raise InputError(what, code="bad-weight", hint="give some rows a positive weight")
        found = [one.scores(name) for name, one in zip(targets, sums, strict=True)]
        return [dict(zip(targets, of_model, strict=True)) for of_model in zip(*found, strict=True)]

    def _answers(self, read: Sequence[ReadRows], targets: Sequence[str]) -> Array:
        """Predict a block with every model, shape (models, n, targets)."""
        answers = np.empty((len(self.models), len(read[0].values), len(targets)))
        for place, (model, found) in enumerate(zip(self.models, read, strict=True)):
            every = answers_of(model, found, self.table)
            self.counts[place].note(
                found.values, found.lack_inputs, every, found.gaps, found.examples
            )
            answers[place] = every[:, [model.targets.index(name) for name in targets]]
        return answers

    def _check(self, block: Block, readings: Sequence[Column], truth: Array) -> None:
        """Refuse infinite values and negative weights, which no score can have."""
        wrong = np.isinf(truth)
        if self.sample_weight:
            wrong[:, -1] |= truth[:, -1] < 0
        if not wrong.any():
            return
        row, column = np.argwhere(wrong)[0].tolist()
        name, value = readings[column].name, float(truth[row, column])
        place = f"row {block.start + row + 1} of {self.table.label(block.part)}"
        if name == self.sample_weight:
            what = f"sample weights must be 0 or more: {name!r} holds {value:g} in {place}"
            raise InputError(what, code="bad-weight", hint="correct or remove these rows")
        what = f"the column {name!r} holds {value:g} in {place}, expected a finite number"
        raise InputError(what, code="out-of-range", hint="correct it, or leave it empty")

    def _read(self, truth: Sequence[Column]) -> Iterator[tuple[list[ReadRows], Array]]:
        """Yield each block's rows for every model, and the true values (n, k or k + 1).

        A column that several models read in the same way is read once.
        """
        passes: list[_Pass] = []
        plans = [plan_for(model.plan, self.table) for model in self.models]
        unknown = [checked_unknown(self.unknown_category, model.plan) for model in self.models]
        asked = ["error" if one == "error" else "zero" for one in unknown]
        of_truth = _join(passes, truth, asked[0])
        of_models = [
            _join(passes, plan.columns, one) for plan, one in zip(plans, asked, strict=True)
        ]
        tables = [self.table.with_columns(list(p.columns.values()), p.unknown) for p in passes]
        for table in tables:
            table.row_groups_ahead = 2  # reading takes longer than predicting
        blocks = (t.blocks(list(p.columns)) for t, p in zip(tables, passes, strict=True))
        for parts in zip(*blocks, strict=True):
            rows = []
            for plan, place, one in zip(plans, of_models, unknown, strict=True):
                block, names = parts[place], [column.name for column in plan.columns]
                values = passes[place].take(block, names)
                rows.append(ReadRows(block, values, plan, one, tables[place].strange))
            names = [column.name for column in truth]
            yield rows, passes[of_truth].take(parts[of_truth], names).astype(np.float64)


@dataclass
class _Pass:
    """Columns that are read in one pass, by name."""

    unknown: str
    columns: dict[str, Column] = field(default_factory=dict)

    def fits(self, columns: Sequence[Column]) -> bool:
        return all(self.columns.get(column.name, column) == column for column in columns)

    def take(self, block: Block, names: Sequence[str]) -> NDArray[Any]:
        """Take some of a block's columns, shape (n, columns)."""
        (values,) = block.pieces
        if names == list(self.columns):
            return values
        order = {name: place for place, name in enumerate(self.columns)}
        return values[:, [order[name] for name in names]]


def _join(passes: list[_Pass], columns: Sequence[Column], unknown: str) -> int:
    """Add columns to the first pass that reads them in the same way; return its place."""
    fitting = (j for j, one in enumerate(passes) if one.unknown == unknown and one.fits(columns))
    place = next(fitting, len(passes))
    if place == len(passes):
        passes.append(_Pass(unknown))
    passes[place].columns |= {column.name: column for column in columns}
    return place
