"""A table's rows as a graph's inputs and as predictions, block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.by_name import has_columns
from gradline.columns.categories import place_finder
from gradline.columns.encoding import Column, expand
from gradline.columns.matrix import match_names
from gradline.errors import InputError, nearest_column, needs_extra
from gradline.tables.passthrough import as_kept

if TYPE_CHECKING:
    import polars as pl

    from gradline.explain.ranges import Outside
    from gradline.model import Model
    from gradline.tables import Block, FrameTable

__all__ = ["Scoring", "made_names", "table_inputs"]

OUTSIDE = "outside"


@dataclass
class Scoring:
    """The predictions of a table's rows, made as they are asked for.

    Attributes:
        model: That predicts.
        table: To predict.
        keep: Columns of the table that stand before the predictions.
        unknown_category: See `Model.predict`.
        explain: Whether each feature's part of each prediction stands behind the predictions.
        check: Whether a column `outside` says what leaves the training ranges.
        kept: The types of `keep`; by default those that have room for all of the table's values.
        outside: The number of rows that do.
        rows: How many were predicted so far.
        missing: The number of rows with a missing value and without a prediction.
        infinite: The number of further rows with a prediction that is not finite.
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
        made, there = Counter(self.made), Counter(self.table.names)
        for name, times in made.items():
            if times > 1:
                raise InputError(
                    f"two columns of the answer would be named {name!r}",
                    code="same-name",
                    hint=f"leave out --{'check' if name == OUTSIDE else 'explain'}",
                )
        for name in self.keep:
            if name not in there:
                raise InputError(
                    f"no column {name!r} to keep",
                    code="unknown-column",
                    hint=nearest_column(name, self.table.names),
                )
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
            self.kept = self.table.kept_types(self.keep) if self.keep else {}

    @property
    def made(self) -> list[str]:
        """The names of the answer's columns that are none of the table's."""
        return made_names(self.model, explain=self.explain, check=self.check)

    def schema(self) -> dict[str, pl.DataType]:
        """Return the columns of the answer: those kept, and one for each target."""
        with needs_extra():
            import polars as pl
        number = pl.Float32() if self.model.dtype.itemsize == 4 else pl.Float64()
        made = dict.fromkeys(self.model.targets, number)
        parts = dict.fromkeys(_parts(self.model) if self.explain else [], pl.Float64())
        flags = {OUTSIDE: pl.String()} if self.check else {}
        return {**(self.kept or {}), **made, **parts, **flags}

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the kept columns and the predictions; null where a prediction is NaN.

        Raises:
            InputError: For a missing feature, values that are not numbers or too large a one, an
                unknown category, or a kept value that the other files' type can't hold.
        """
        import polars as pl

        schema = self.schema()
        predicted = {target: schema[target] for target in self.model.targets}
        model = self.model
        for inputs, block in table_inputs(
            self.table, model.columns, model.features, self.unknown_category, self.keep
        ):
            try:
                answers, outside = self._predict(inputs)
            except InputError as error:
                raise self._located(error, inputs, block) from None
            self.rows += len(answers)
            self._count(inputs, answers)
            found = pl.DataFrame(answers, schema=predicted, orient="row").fill_nan(None)
            found = found.hstack(self._further(inputs, outside))
            if block.kept is None:
                yield found
            else:
                label = self.table.label(block.part)
                yield as_kept(block.kept, self.kept or {}, label).hstack(found)

    def _located(self, error: InputError, inputs: NDArray[np.float64], block: Block) -> InputError:
        """Return the error with the place of the value that it is about, where that is one."""
        if error.code != "out-of-range":
            return error
        with np.errstate(over="ignore"):
            beyond = np.isinf(inputs.astype(self.model.dtype)) & np.isfinite(inputs)
        row, column = (int(place) for place in np.argwhere(beyond)[0])
        return InputError(
            f"the column {self.model.features[column]!r} holds {inputs[row, column]:g} in row "
            f"{block.start + row + 1} of {self.table.label(block.part)}, outside the range of "
            f"{self.model.dtype}",
            code=error.code,
            hint=error.hint,
        )

    def _predict(self, inputs: NDArray[np.float64]) -> tuple[NDArray[Any], Outside | None]:
        if self.check:
            return self.model.predict(inputs, check=True)
        return self.model.predict(inputs), None

    def _further(self, inputs: NDArray[np.float64], outside: Outside | None) -> list[pl.Series]:
        """Return the columns that explain or flag the rows."""
        import polars as pl

        columns = []
        if self.explain:
            found = self.model.explain(inputs)
            n, k, d = found.contributions.shape
            baseline = np.broadcast_to(found.baseline[None, :, None], (n, k, 1))
            parts = np.concatenate([baseline, found.contributions], axis=2).reshape(n, k * (d + 1))
            columns += [
                pl.Series(name, part).fill_nan(None)
                for name, part in zip(_parts(self.model), parts.T, strict=True)
            ]
        if outside is not None:
            self.outside += len(outside)
            told = pl.Series(OUTSIDE, [None], pl.String).new_from_index(0, len(inputs))
            if len(outside):
                told = told.scatter(outside.rows, [*map(outside.told, range(len(outside)))])
            columns.append(told)
        return columns

    def _count(self, inputs: NDArray[np.float64], answers: NDArray[np.float64]) -> None:
        if np.isfinite(answers).all():
            return
        finite = np.isfinite(answers).all(axis=1)
        lacking = np.isnan(inputs).any(axis=1) & ~finite
        self.missing += int(lacking.sum())
        self.infinite += int((~lacking & ~finite).sum())


def made_names(model: Model, *, explain: bool, check: bool) -> list[str]:
    """Return the names of the columns that predicting makes, beside those of the table."""
    return [*model.targets, *(_parts(model) * explain), *([OUTSIDE] * check)]


def _parts(model: Model) -> list[str]:
    """Return the names of the columns that explain the predictions."""
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
    """Yield a table's rows as the graph's inputs, shape (rows, d), and the block that has them.

    A missing value is NaN.

    Args:
        table: With the columns that were trained on, or the graph's own inputs.
        columns: What was trained on; none where they are the graph's inputs.
        features: The graph's d inputs.
        unknown_category: "error", or "zero" for a category that no training row had.
        keep: Columns that the blocks have as they are.

    Raises:
        InputError: For a missing column, values that are not numbers, or an unknown category.
    """
    by_columns = has_columns(table.names, columns, features)
    read = columns if by_columns else [Column(name) for name in features]
    names = [column.name for column in read]
    match_names(table.names, names, extra="ignore")
    categories = [column for column in read if column.kind == "category"]
    coded = table.with_categories({c.name: place_finder(c, unknown_category) for c in categories})
    coded.row_groups_ahead = 2  # to predict takes less time than to read
    for block in coded.blocks(names, keep=keep):
        yield expand(block.pieces[0], read), block
