"""Moments of a model's terms, as a linear map of saved ones.

A term of the model is a sum of saved terms: a level itself, the levels that share `(rare)`, or a
filled value whose fill moves. With y = Ax, the mean of y is A·mean and its co-moments A·C·Aᵀ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import RARE, Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor, Term
from gradline_trainer.moments.moments import Moments
from gradline_trainer.saved.whole import filled_columns

Array = NDArray[np.float64]
RISING = (None, "time", "log", "log1p", "sqrt", "hinge")  # functions that keep the order


@dataclass(frozen=True)
class Combination:
    """A sum of saved terms.

    Attributes:
        parts: The places of saved terms that are added up. No row has more than one that is not 0.
        moves: Places and factors of the terms that move a fill.
        is_ranged: Whether the range follows from the parts' ranges, although the fill moves.
        is_float32: Whether the new fill gives a float32.
    """

    parts: tuple[int, ...]
    moves: tuple[tuple[int, float], ...] = ()
    is_ranged: bool = True
    is_float32: bool = True

    @property
    def weighted(self) -> list[tuple[int, float]]:
        """Places and factors of all saved terms."""
        return [*((place, 1.0) for place in self.parts), *self.moves]


@dataclass(frozen=True)
class LinearMap:
    """Turns the moments of saved columns into those of sums of them.

    Attributes:
        rows: The sum that each column becomes.
    """

    rows: tuple[Combination, ...]

    def apply(self, moments: Moments) -> Moments:
        """Compute the moments of the sums."""
        if all(len(row.parts) == 1 and not row.moves for row in self.rows):
            return _selected(moments, np.array([row.parts[0] for row in self.rows], np.intp))
        means = np.array([_mean(row, moments) for row in self.rows])
        comoment = self._over_rows(self._over_rows(moments.comoment).T)
        ranges = np.array([_range(row, moments) for row in self.rows])
        return replace(
            moments,
            mean=means[:, 0],
            mean_rest=means[:, 1],
            comoment=(comoment + comoment.T) / 2,
            minimum=ranges[:, 0],
            maximum=ranges[:, 1],
            float32=np.array(
                [
                    row.is_float32 and bool(moments.float32[list(row.parts)].all())
                    for row in self.rows
                ]
            ),
        )

    @property
    def unranged(self) -> NDArray[np.intp]:
        """The places of sums whose range is only bounded."""
        places = [j for j, row in enumerate(self.rows) if not row.is_ranged]
        return np.array(places, np.intp)

    def _over_rows(self, matrix: Array) -> Array:
        """Multiply the map by a matrix."""
        weighted = [row.weighted for row in self.rows]
        used = [j for j, some in enumerate(weighted) if some]
        found = np.zeros((len(self.rows), matrix.shape[1]))
        if not used:
            return found
        places = np.array([place for some in weighted for place, _ in some], np.intp)
        factors = np.array([factor for some in weighted for _, factor in some])
        starts = np.cumsum([0, *(len(weighted[j]) for j in used[:-1])])
        found[used] = np.add.reduceat(matrix[places] * factors[:, None], starts, axis=0)
        return found


def linear_map(
    terms: Sequence[Term], columns: Mapping[str, Column], saved: Plan
) -> tuple[list[Combination], list[Term]]:
    """Write terms as sums of the saved ones; return the terms that are none, too.

    Args:
        terms: The terms to write.
        columns: Their columns; a level that the saved columns lack is in no row.
        saved: The plan of the saved moments.
    """
    places = {frozenset(term): place for place, term in reversed(list(enumerate(saved.terms)))}
    known = {column.name: column for column in saved.columns}
    rows, unknown = [], []
    for term in terms:
        row = _combination(term, columns, known, places)
        if row is None:
            unknown.append(term)
        else:
            rows.append(row)
    return rows, unknown


def _combination(
    term: Term,
    columns: Mapping[str, Column],
    known: Mapping[str, Column],
    places: Mapping[frozenset[Factor], int],
) -> Combination | None:
    if not {factor.column for factor in term} <= known.keys():
        return None
    choices = [_choices(factor, columns[factor.column], known[factor.column]) for factor in term]
    parts, moves = [], []
    steps = _steps(term, columns, known)
    for factors in product(*choices):
        place = places.get(frozenset(factors))
        if place is None:
            return None
        parts.append(place)
        for names in _subsets(list(steps)):
            moved = frozenset(
                Factor(f.column, "missing") if f.column in names and not f.is_indicator else f
                for f in factors
            )
            if moved not in places:
                return None
            moves.append((places[moved], math.prod(steps[name] for name in names)))
    if not moves:
        return Combination(tuple(parts))
    fill = columns[term[0].column].fill
    exactly = len(term) == 1 and fill is not None and _is_float32(_value(term, fill))
    return Combination(tuple(parts), tuple(moves), _keeps_range(term), exactly)


def _choices(factor: Factor, column: Column, known: Column) -> list[Factor]:
    """List the saved factors that add up to a factor."""
    if known.kind != "category":
        absent = factor.function == "missing" and known.fill is None
        return [] if absent else [factor]
    if factor.function == "missing":
        return [factor] * known.missing
    shared = column.rare if factor.level == RARE and column.rare else (str(factor.level),)
    levels = set(known.levels)
    return [replace(factor, level=level) for level in shared if level in levels]


def _steps(
    term: Term, columns: Mapping[str, Column], known: Mapping[str, Column]
) -> dict[str, float]:
    """Compute by how much each moved fill changes the term's factors of its column."""
    steps = {}
    for name in filled_columns(term, known):
        old, new = known[name].fill, columns[name].fill
        if old is None or new is None or old == new:
            continue
        own = [f for f in term if f.column == name and not f.is_indicator]
        steps[name] = _value(own, new) - _value(own, old)
    return steps


def _value(factors: Sequence[Factor], fill: float) -> float:
    return math.prod(float(factor.apply(np.array([fill]))[0]) for factor in factors)


def _subsets(names: Sequence[str]) -> list[frozenset[str]]:
    """List the subsets that are not empty."""
    found: list[frozenset[str]] = [frozenset()]
    for name in names:
        found += [some | {name} for some in found]
    return found[1:]


def _keeps_range(term: Term) -> bool:
    """Check whether the fill, a mean, gives a value in the range of the others."""
    (first, *others) = term
    odd = first.function == "power" and int(first.argument or 0) % 2 == 1
    return not others and (first.function in RISING or odd)


def _selected(moments: Moments, places: NDArray[np.intp]) -> Moments:
    by_column = ("mean", "mean_rest", "minimum", "maximum", "float32")
    chosen = {name: getattr(moments, name)[places] for name in by_column}
    return replace(moments, **chosen, comoment=moments.comoment[np.ix_(places, places)])


def _mean(row: Combination, moments: Moments) -> tuple[float, float]:
    """Compute a sum's mean, and what rounding leaves of it."""
    if len(row.parts) == 1 and not row.moves:
        return float(moments.mean[row.parts[0]]), float(moments.mean_rest[row.parts[0]])
    parts = [
        factor * float(values[place])
        for place, factor in row.weighted
        for values in (moments.mean, moments.mean_rest)
    ]
    mean = math.fsum(parts)
    return mean, math.fsum([*parts, -mean])


def _range(row: Combination, moments: Moments) -> tuple[float, float]:
    """Find a sum's least and largest value; with a moved fill, bounds of them."""
    if not row.parts:
        return 0.0, 0.0
    places = list(row.parts)
    least, most = float(moments.minimum[places].min()), float(moments.maximum[places].max())
    if not row.is_ranged:
        for place, factor in row.moves:
            ends = factor * moments.minimum[place], factor * moments.maximum[place]
            least, most = least + min(0.0, *ends), most + max(0.0, *ends)
    return least, most


def _is_float32(value: float) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.float32(value) == value)
