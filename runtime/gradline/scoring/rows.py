"""Encoding and prediction of a table's rows, block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gradline.columns.by_name import has_columns
from gradline.columns.categories import place_finder
from gradline.columns.encoding import Column, expand
from gradline.columns.matrix import match_names
from gradline.errors import InputError, nearest_column
from gradline.tables.lazy_polars import pl
from gradline.tables.passthrough import as_kept, kept_types

if TYPE_CHECKING:
    from gradline.explain.ranges import Outside
    from gradline.model import Model
    from gradline.tables import Block, FrameTable

OUTSIDE = "outside"


@dataclass
class Scoring:
    """A lazy prediction of a table's rows, and counts over the rows predicted so far.

    Attributes:
        model: The model.
        table: The table.
        keep: Columns of the table to put before the predictions.
        unknown_category: See `Model.predict`.
        explain: Whether to add each feature's contribution to each prediction.
        check: Whether to add a column `outside` that names values outside the training ranges.
        kept: The types of `keep`; by default types that can hold all of the table's values.
        outside: Rows with a value outside the training ranges.
        rows: Rows predicted.
        missing: Rows with a missing value and without a prediction.
        infinite: Other rows with a prediction that is not finite.
    """

    model: Model
    table: FrameTable
    keep: Sequence[str] = ()
    unknown_category: str = "error"
    explain: bool = False
    check: bool = False
    kept: dict[str, pl.DataType] | None = None
    outside: int = 0
    rows: int = 0
    missing: int = 0
    infinite: int = 0

    def __post_init__(self) -> None:
        made = Counter(made_names(self.model, explain=self.explain, check=self.check))
        there = Counter(self.table.names)
        for name, times in made.items():
            if times > 1:
                raise InputError(
                    f"two columns of the answer would be named {name!r}",
                    code="same-name",
                    hint=f"leave out --{'check' if name == OUTSIDE else 'explain'}",
                )
        for name in self.keep:
            if name not in there:
                hint = nearest_column(name, self.table.names)
                raise InputError(f"no column {name!r} to keep", code="unknown-column", hint=hint)
            if name in made:
                raise InputError(
                    f"the column {name!r} can't be kept: a column of the answer has the same name",
                    code="same-name",
                    hint="leave it out of --keep, or rename it",
                )
            if there[name] > 1:
                raise InputError(
                    f"the table has {there[name]} columns named {name!r}: which is to be kept?",
                    code="duplicate-column",
                    hint="rename them in the table, or keep others by name",
                )
        if self.kept is None:
            self.kept = kept_types(self.table.parts, self.keep) if self.keep else {}

    def schema(self) -> dict[str, pl.DataType]:
        """List the result's columns with their types, kept ones first."""
        number = pl.Float32() if self.model.dtype.itemsize == 4 else pl.Float64()
        made = dict.fromkeys(self.model.targets, number)
        explained = dict.fromkeys(_contributions(self.model) * self.explain, pl.Float64())
        flags = {OUTSIDE: pl.String()} if self.check else {}
        return {**(self.kept or {}), **made, **explained, **flags}

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield kept columns and predictions; a NaN prediction becomes null.

        Raises:
            InputError: For a missing feature, a value that is not a number or too large, an
                unknown category, or a kept value that the other files' type can't hold.
        """
        schema = self.schema()
        model = self.model
        predicted = {target: schema[target] for target in model.targets}
        for inputs, block in table_inputs(
            self.table, model.columns, model.features, self.unknown_category, self.keep
        ):
            outside: Outside | None = None
            try:
                if self.check:
                    answers, outside = model.predict(inputs, check=True)
                else:
                    answers = model.predict(inputs)
            except InputError as error:
                raise self._located(error, inputs, block) from None
            self._count(inputs, answers)
            found = pl.DataFrame(answers, schema=predicted, orient="row").fill_nan(None)
            found = found.hstack(self._further(inputs, outside))
            if block.kept is None:
                yield found
            else:
                label = self.table.label(block.part)
                yield as_kept(block.kept, self.kept or {}, label).hstack(found)

    def _located(self, error: InputError, inputs: NDArray[np.float64], block: Block) -> InputError:
        """Add the value's place to an out-of-range error."""
        if error.code != "out-of-range":
            return error
        with np.errstate(over="ignore"):
            beyond = np.isinf(inputs.astype(self.model.dtype)) & np.isfinite(inputs)
        row, column = np.argwhere(beyond)[0].tolist()
        return InputError(
            f"the column {self.model.features[column]!r} holds {inputs[row, column]:g} in row "
            f"{block.start + row + 1} of {self.table.label(block.part)}, outside the range of "
            f"{self.model.dtype}",
            code=error.code,
            hint=error.hint,
        )

    def _further(self, inputs: NDArray[np.float64], outside: Outside | None) -> list[pl.Series]:
        """Compute the columns of `explain` and `check`."""
        columns = []
        if self.explain:
            found = self.model.explain(inputs)
            n, k, d = found.contributions.shape
            baseline = np.broadcast_to(found.baseline[None, :, None], (n, k, 1))
            parts = np.concatenate([baseline, found.contributions], axis=2).reshape(n, k * (d + 1))
            columns += [
                pl.Series(name, part).fill_nan(None)
                for name, part in zip(_contributions(self.model), parts.T, strict=True)
            ]
        if outside is not None:
            self.outside += len(outside)
            flags = pl.Series(OUTSIDE, [None], pl.String).new_from_index(0, len(inputs))
            if len(outside):
                flags = flags.scatter(outside.rows, [*map(outside.told, range(len(outside)))])
            columns.append(flags)
        return columns

    def _count(self, inputs: NDArray[np.float64], answers: NDArray[np.float64]) -> None:
        self.rows += len(answers)
        if np.isfinite(answers).all():
            return
        finite = np.isfinite(answers).all(axis=1)
        lacking = np.isnan(inputs).any(axis=1) & ~finite
        self.missing += int(lacking.sum())
        self.infinite += int((~lacking & ~finite).sum())


def made_names(model: Model, *, explain: bool, check: bool) -> list[str]:
    """List the names of the columns that prediction computes."""
    return [*model.targets, *(_contributions(model) * explain), *([OUTSIDE] * check)]


def _contributions(model: Model) -> list[str]:
    return [
        f"{target}: {name}" for target in model.targets for name in ("baseline", *model.features)
    ]


def table_inputs(
    table: FrameTable,
    columns: Sequence[Column],
    features: Sequence[str],
    unknown_category: str,
    keep: Sequence[str] = (),
) -> Iterator[tuple[NDArray[np.float64], Block]]:
    """Yield the graph's inputs, shape (rows, d), NaN if missing, and their block.

    The table has the training table's `columns` or the graph's inputs, named `features`.

    Raises:
        InputError: For a missing column, values that are not numbers, or an unknown category.
    """
    by_columns = has_columns(table.names, columns, features)
    read = columns if by_columns else [Column(name) for name in features]
    names = [column.name for column in read]
    match_names(table.names, names, extra="ignore")
    categories = [column for column in read if column.kind == "category"]
    coded = table.with_categories({c.name: place_finder(c, unknown_category) for c in categories})
    coded.row_groups_ahead = 2  # reading takes longer than predicting
    for block in coded.blocks(names, keep=keep):
        yield expand(block.pieces[0], read), block
