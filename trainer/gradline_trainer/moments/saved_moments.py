"""Saved moments: training data without the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from gradline.tables import TableFile
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.counts import Counts

PRIVATE = (
    "the moments of so few rows that the rows can be computed from them; show the file only to "
    "people who may see the rows"
)


@dataclass(frozen=True)
class MomentsFile:
    """A file that moments were loaded from.

    Attributes:
        name: The name without its folder.
        bytes: The size.
        sha256: The hash of its bytes, in hexadecimal.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SavedMoments:
    """The moments of a table; `fit` takes them instead of the table.

    Attributes:
        moments: The moments of the training rows, of [features, targets].
        folds: The moments of each fold, if `--ridge auto` dealt folds; else empty.
        columns: What the table's columns were used for, with the encoding that was learned. If
            terms were decided, the plan has them with all levels, and `survey` why.
        rows_read, rows_dropped, rows_held_out: Counts.
        filled: The number of missing values that were filled.
        file: The file that they were loaded from, if any.
    """

    moments: Moments
    folds: list[Moments]
    columns: Columns
    rows_read: int
    rows_dropped: int
    rows_held_out: int
    filled: int
    file: MomentsFile | None = None

    paths: ClassVar[list[TableFile]] = []

    @property
    def counts(self) -> Counts:
        """The counts of the pass that gathered the moments."""
        return Counts(
            read=self.rows_read,
            dropped=self.rows_dropped,
            held_out=self.rows_held_out,
            training=self.moments.rows,
            filled=self.filled,
        )

    @property
    def reconstructible(self) -> bool:
        """Whether some of the moments have at most one row more than columns.

        Then they determine the rows up to a rotation, and often further.
        """
        few = len(self.moments.mean) + 1
        return min(m.rows for m in (self.moments, *self.folds)) <= few

    def select(self, columns: Columns) -> SavedMoments:
        """Select the moments of some of the columns, in any order."""
        saved = [*self.columns.features, *self.columns.targets]
        wanted = [*columns.features, *columns.targets]
        if wanted == saved:
            return replace(self, columns=columns)
        place = {name: j for j, name in enumerate(saved)}
        places = np.array([place[name] for name in wanted])

        def of(moments: Moments) -> Moments:
            by_column = ("mean", "mean_rest", "minimum", "maximum", "float32")
            chosen = {name: getattr(moments, name)[places] for name in by_column}
            return replace(moments, **chosen, comoment=moments.comoment[np.ix_(places, places)])

        return replace(
            self, moments=of(self.moments), folds=[of(f) for f in self.folds], columns=columns
        )
