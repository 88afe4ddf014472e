"""The moments of every fold, gathered in the same pass as those of all rows.

The moments of all rows are gathered from the rows, not merged from the folds. So they and the model
have the same bits as without folds. That costs a second co-moment product, but no second read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from gradline_trainer.moments.grouped import GroupSums, is_grouped
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.rows import Rows


@dataclass(frozen=True)
class FoldedMoments:
    """The moments of some rows, and of each fold's part of them, as sums that merge.

    Attributes:
        sums: Of all the rows.
        parts: Of each fold's rows; None for a fold without rows.
    """

    sums: GroupSums
    parts: list[GroupSums | None]

    @classmethod
    def of(cls, rows: Rows, folds: int, device: str = "cpu") -> FoldedMoments:
        """Gather the moments of [features, targets] of at least one row."""
        sums = GroupSums.of(rows, device)
        dealt = rows.folds
        assert dealt is not None  # noqa: S101 - the reader deals them
        if not is_grouped(rows):
            rows = replace(rows, pieces=(rows.values,), plan=None)
        order = np.argsort(dealt, kind="stable")
        cuts = np.searchsorted(dealt[order], np.arange(1, folds))
        parts = np.split(order, cuts)
        return cls(sums, [GroupSums.of(rows.take(part)) if len(part) else None for part in parts])

    def merge(self, other: FoldedMoments) -> FoldedMoments:
        """Merge the moments of two sets of rows."""
        pairs = zip(self.parts, other.parts, strict=True)
        return FoldedMoments(
            self.sums.merge(other.sums), [a.merge(b) if a and b else a or b for a, b in pairs]
        )

    @property
    def whole(self) -> Moments:
        """The moments of all the rows."""
        return self.sums.moments

    @property
    def folds(self) -> list[Moments | None]:
        """The moments of each fold's rows; None for a fold without rows."""
        return [None if part is None else part.moments for part in self.parts]


def training_moments(folds: Sequence[Moments]) -> Iterator[Moments]:
    """Yield, for each of two or more folds, the moments of all other folds together.

    Running merges from both ends keep the number of merges proportional to the number of folds.
    """
    before = list(accumulate(folds[:-1], Moments.merge))
    after = list(accumulate(folds[:0:-1], lambda merged, fold: fold.merge(merged)))[::-1]
    yield after[0]
    for first, second in zip(before[:-1], after[1:], strict=True):
        yield first.merge(second)
    yield before[-1]
