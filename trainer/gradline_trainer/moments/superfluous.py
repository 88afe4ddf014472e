"""Find default terms that add nothing: constant ones, and twins of an earlier term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    groups = [group for group in _alike(moments, places) if len(group) > 1]
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


def _alike(moments: Moments | ColumnMoments, places: Sequence[int]) -> list[list[int]]:
    """Group columns, in order, whose moments differ from the first's by no more than rounding."""
    ranged: dict[tuple[float, float], list[int]] = {}  # columns with the same ends
    for j in places:
        ranged.setdefault((float(moments.minimum[j]), float(moments.maximum[j])), []).append(j)
    found: list[list[int]] = []
    for columns in ranged.values():
        rest = np.array(columns)
        while len(rest):
            first, later = int(rest[0]), rest[1:]
            close = _are_close(moments, first, later)
            found.append([first, *later[close].tolist()])
            rest = later[~close]
    return sorted(found)


def _are_close(
    moments: Moments | ColumnMoments, first: int, later: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Compare a column with later ones."""
    squares = moments.squares[later]
    sums = squares + moments.squares[first]
    differences = np.abs(squares - moments.squares[first])
    if isinstance(moments, Moments):
        differences = np.abs(sums - 2 * moments.comoment[first, later])
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


def superfluous_terms(columns: Columns, moments: Moments) -> dict[str, str]:
    """Find default terms that are constant or equal an earlier one, from moments alone.

    Numbers with the same moments may still differ in a row. Those that do not were left out when
    the moments were saved.
    """
    reasons = constant_terms(columns, moments)
    features = columns.features
    binary = [all(factor.is_indicator for factor in term) for term in columns.plan.terms]
    places = [j for j, n in enumerate(features) if n in columns.optional and n not in reasons]
    for group in _alike(_ranged(moments), places):
        rest = group
        while rest:
            (first, *others), rest = rest, []
            for j in others:
                if (binary[first] or binary[j]) and _same_mean(moments, first, j):
                    reasons[features[j]] = f"the same as {features[first]}"
                else:
                    rest.append(j)
    return reasons


def _ranged(moments: Moments) -> Moments:
    """Make unknown ranges equal, so that columns are compared without them."""
    unknown = np.isnan(moments.minimum)
    return replace(
        moments,
        minimum=np.where(unknown, 0.0, moments.minimum),
        maximum=np.where(unknown, 0.0, moments.maximum),
    )


def _same_mean(moments: Moments, i: int, j: int) -> bool:
    size = np.sqrt(moments.squares[i] / moments.weight) + abs(moments.mean[i])
    return bool(abs(moments.mean[i] - moments.mean[j]) <= CLOSE * size)
