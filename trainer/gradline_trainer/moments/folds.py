"""The moments of every fold, gathered in the same pass as those of all rows.

The moments of all rows are gathered from the rows, not merged from the folds. So they and the model
have the same bits as without folds. That costs a second co-moment product, but no second read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.rows import Rows


@dataclass(frozen=True)
class FoldedMoments:
    """The moments of some rows, and of each fold's part of them.

    Attributes:
        whole: Of all the rows.
        folds: Of each fold's rows; None for a fold without rows.
    """

    whole: Moments
    folds: list[Moments | None]

    @classmethod
    def of(cls, rows: Rows, folds: int, device: str = "cpu") -> FoldedMoments:
        """Gather the moments of [features, targets] of at least one row."""
        whole = Moments.of(rows.pieces, rows.weights, device)
        assert rows.folds is not None  # noqa: S101 - the reader deals them
        values = rows.values
        order = np.argsort(rows.folds, kind="stable")
        cuts = np.searchsorted(rows.folds[order], np.arange(1, folds))
        return cls(whole, [_of(values, rows.weights, part) for part in np.split(order, cuts)])

    def merge(self, other: FoldedMoments) -> FoldedMoments:
        """Merge the moments of two sets of rows."""
        pairs = zip(self.folds, other.folds, strict=True)
        return FoldedMoments(
            self.whole.merge(other.whole), [a.merge(b) if a and b else a or b for a, b in pairs]
        )


def _of(
    values: NDArray[np.float64], weights: NDArray[np.float64] | None, places: NDArray[np.intp]
) -> Moments | None:
    if not len(places):
        return None
    return Moments.of(values[places], None if weights is None else weights[places])


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
