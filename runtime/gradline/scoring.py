"""A table's rows as a graph's inputs and as predictions, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.by_column import has_columns
from gradline.categories import place_finder
from gradline.encoding import Column, expand
from gradline.errors import InputError, nearest, needs_extra
from gradline.inputs import match_names

if TYPE_CHECKING:
    import polars as pl

    from gradline.model import Model
    from gradline.ranges import Outside
    from gradline.tables import FrameTable

__all__ = ["Scoring", "table_inputs"]

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
    outside: int = 0
    rows: int = 0
    missing: int = 0
    infinite: int = 0

    def __post_init__(self) -> None:
        for name in self.keep:
            if name not in self.table.names:
                raise InputError(
                    f"no column {name!r} to keep",
                    code="unknown-column",
                    hint=nearest(name, self.table.names),
                )
            if name in self.model.targets:
                raise InputError(
                    f"the column {name!r} can't be kept: its prediction has the same name",
                    code="same-name",
                    hint="leave it out of --keep, or rename it",
                )

    def schema(self) -> dict[str, pl.DataType]:
        """Return the columns of the answer: those kept, and one for each target."""
        with needs_extra():
            import polars as pl
        number = pl.Float32() if self.model.dtype.itemsize == 4 else pl.Float64()
        kept = self.table.kept_schema(self.keep) if self.keep else {}
        parts = dict.fromkeys(self._parts(), pl.Float64())
        flags = {OUTSIDE: pl.String()} if self.check else {}
        return {**kept, **dict.fromkeys(self.model.targets, number), **parts, **flags}

    def _parts(self) -> list[str]:
        """Return the names of the columns that explain the predictions."""
        if not self.explain:
            return []
        names = ("baseline", *self.model.features)
        return [f"{target}: {name}" for target in self.model.targets for name in names]

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the kept columns and the predictions; null where a prediction is NaN.

        Raises:
            InputError: For a missing feature, values that are not numbers, or an unknown category.
        """
        import polars as pl

        schema = self.schema()
        predicted = {target: schema[target] for target in self.model.targets}
        kept = {name: schema[name] for name in self.keep}
        model = self.model
        for inputs, frame in table_inputs(
            self.table, model.columns, model.features, self.unknown_category, self.keep
        ):
            answers, outside = self._predict(inputs)
            self.rows += len(answers)
            self._count(inputs, answers)
            found = pl.DataFrame(answers, schema=predicted, orient="row").fill_nan(None)
            found = found.hstack(self._further(inputs, outside))
            yield found if frame is None else frame.cast(dict(kept)).hstack(found)  # type: ignore[arg-type]

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
                for name, part in zip(self._parts(), parts.T, strict=True)
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


def table_inputs(
    table: FrameTable,
    columns: Sequence[Column],
    features: Sequence[str],
    unknown_category: str,
    keep: Sequence[str] = (),
) -> Iterator[tuple[NDArray[np.float64], pl.DataFrame | None]]:
    """Yield a table's rows as the graph's inputs, shape (rows, d), and their kept columns.

    A missing value is NaN.

    Args:
        table: With the columns that were trained on, or the graph's own inputs.
        columns: What was trained on; none where they are the graph's inputs.
        features: The graph's d inputs.
        unknown_category: "error", or "zero" for a category that no training row had.
        keep: Columns to yield as they are.

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
        yield expand(block.pieces[0], read), block.kept
