"""Find default terms that add nothing: constant ones, and twins of an earlier term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.moments.moments import ColumnMoments, Moments, one_value
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.passes import Pass, Walk
from gradline_trainer.rows.rows import Rows

CLOSE = 1e-9  # the relative difference that rounding may leave between the moments of equal columns


class SuperfluousError(Exception):
    """Default terms that must be left out before the run goes on.

    Attributes:
        reasons: Why, by the term's name.
    """

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


def refuse_superfluous(walk: Walk, moments: Moments | ColumnMoments) -> None:
    """Raise for default terms that are constant or equal an earlier one in every training row."""
    features, optional = walk.columns.features, walk.columns.optional
    reasons = constant_terms(walk.columns, moments)
    places = [j for j, name in enumerate(features) if name in optional and name not in reasons]
    for first, second in _twins(walk, moments, places):
        reasons[features[second]] = f"the same as {features[first]}"
    if reasons:
        raise SuperfluousError(reasons)


def constant_terms(columns: Columns, moments: Moments | ColumnMoments) -> dict[str, str]:
    """Find the default terms and products of levels that are the same in every row, and say so."""
    constant = one_value(moments)
    reasons = {}
    for j, name in enumerate(columns.features):
        if constant[j] and name in columns.combined:
            reasons[name] = "no training row has it"
        elif constant[j] and name in columns.optional:
            reasons[name] = "constant"
    return reasons


def _twins(
    walk: Walk, moments: Moments | ColumnMoments, places: Sequence[int]
) -> list[tuple[int, int]]:
    """Pair each term with the earlier one that it equals in every row."""
    groups = [group for group in alike(moments, places) if len(group) > 1]
    found: list[tuple[int, int]] = []
    while groups:
        pairs = [(group[0], later) for group in groups for later in group[1:]]
        same = walk.total(Pass(partial(_Equal.of, pairs=pairs), walk.chunk_rows))
        assert same is not None  # noqa: S101 - tables without rows are refused earlier
        equal = {pair for pair, alike in zip(pairs, same.equal.tolist(), strict=True) if alike}
        found += sorted(equal)
        rest = [[j for j in group[1:] if (group[0], j) not in equal] for group in groups]
        groups = [group for group in rest if len(group) > 1]
    return found


def alike(moments: Moments | ColumnMoments, places: Sequence[int]) -> list[list[int]]:
    """Group columns, in order, whose moments differ by no more than rounding."""
    found: list[list[int]] = []
    ranged: dict[tuple[float, float], list[int]] = {}  # the groups of columns with the same ends
    for j in places:
        numbers = ranged.setdefault((float(moments.minimum[j]), float(moments.maximum[j])), [])
        close = np.flatnonzero(_are_close(moments, [found[number][0] for number in numbers], j))
        if len(close):
            found[numbers[close[0]]].append(j)
        else:
            numbers.append(len(found))
            found.append([j])
    return found


def _are_close(
    moments: Moments | ColumnMoments, earlier: Sequence[int], j: int
) -> NDArray[np.bool_]:
    """Compare a column with earlier ones."""
    sums = moments.squares[earlier] + moments.squares[j]
    differences = np.abs(moments.squares[earlier] - moments.squares[j])
    if isinstance(moments, Moments):
        differences = np.abs(sums - 2 * moments.comoment[earlier, j])
    close: NDArray[np.bool_] = differences <= CLOSE * sums
    return close


@dataclass(frozen=True)
class _Equal:
    """Whether the two columns of each pair are equal in all rows, shape (pairs,)."""

    equal: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Rows, pairs: Sequence[tuple[int, int]]) -> _Equal:
        """Compare the columns in some rows."""
        features = rows.features
        return cls(np.array([(features[:, i] == features[:, j]).all() for i, j in pairs]))

    def merge(self, other: _Equal) -> _Equal:
        """Compare in two sets of rows."""
        return _Equal(self.equal & other.equal)
