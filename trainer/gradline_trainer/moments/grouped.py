"""Moments of rows with indicators: their co-moments are counts and group sums.

A group of m indicators is a code per row. The products of two groups are a contingency table, and
those of a group with a column are the column's sums by code: n additions instead of n·m
multiplications, with the counts exact. These sums are far fewer numbers than the co-moments, so
blocks of rows merge as sums, and become a matrix once, at the end.

A level that most rows have is a column like any other: its variance is far below its mean square,
so it needs the shift.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradline.columns.grouping import Group, Grouped
from gradline_trainer.moments.crossproducts import cross_products
from gradline_trainer.moments.moments import COMPENSATED, Moments, add_outer, are_float32
from gradline_trainer.rows.rows import Rows

Array = NDArray[np.float64]
Places = NDArray[np.intp]


def is_grouped(rows: Rows) -> bool:
    """Check whether `GroupSums` uses groups; the size and the plan alone decide."""
    plan, k = rows.plan, rows.targets.shape[1]
    return (
        plan is not None and len(rows) * (rows.split + k) ** 2 > COMPENSATED and plan.layout.pays(k)
    )


@dataclass(frozen=True)
class GroupSums:
    """The moments of [features, targets] of some rows, with the sums of m indicators apart.

    Without indicators all p columns are dense. Indicators are summed about 0, not their mean.

    Attributes:
        dense: The moments of the q columns in no group.
        places: Their places among the p columns, shape (q,).
        terms: The places of the terms in groups, shape (m,).
        sums: Σw·t of these terms t, shape (m,).
        mixed: Σw·(z − mean)·t of dense columns z and terms, shape (q, m).
        pairs: Σw·t·u of two groups' terms: their places, which broadcast, and the sums.
        minimum: Of the terms, shape (m,).
        maximum: Likewise.
        float32: Whether every value of a term is a float32, shape (m,).
    """

    dense: Moments
    places: Places
    terms: Places
    sums: Array
    mixed: Array
    pairs: list[tuple[Places, Places, Array]]
    minimum: Array
    maximum: Array
    float32: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Rows, device: str = "cpu") -> GroupSums:
        """Gather the sums of at least one row; see `Moments.of`."""
        if rows.plan is None or not is_grouped(rows):
            return cls._of_dense(Moments.of(rows.expanded().pieces, rows.weights, device))
        grouped = _without_dominant(rows.plan.group(rows.pieces[0]), rows.weights)
        groups, pieces = grouped.groups, [grouped.dense, rows.targets]
        d, k = rows.split, rows.targets.shape[1]
        float32 = np.concatenate([are_float32(piece) for piece in pieces])
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as an infinity
            products = cross_products(pieces, rows.weights, device)
            dense = Moments.of_products(len(rows), rows.weights, products, float32)
            columns = [*grouped.dense.T, *rows.targets.T]
            centred = [c - centre for c, centre in zip(columns, dense.mean, strict=True)]
            sums = _joined(_totals(group, rows.weights) for group in groups)
            mixed = np.array(
                [_joined(_totals(g, rows.weights, c) for g in groups) for c in centred]
            )
            mixed -= np.outer(dense.mean_rest, sums)
            pairs = [_pair(a, b, rows.weights) for i, a in enumerate(groups) for b in groups[i:]]
        least, most = zip(*map(_extremes, groups), strict=True)
        return cls(
            dense,
            np.append(grouped.places, np.arange(d, d + k)),
            _joined(map(_terms, groups)),
            sums,
            mixed,
            pairs,
            _joined(least),
            _joined(most),
            _joined(map(_are_float32, groups)),
        )

    @classmethod
    def _of_dense(cls, moments: Moments) -> GroupSums:
        p, none = len(moments.mean), np.empty(0)
        places, terms = np.arange(p), np.empty(0, np.intp)
        mixed = np.empty((p, 0))
        return cls(moments, places, terms, none, mixed, [], none, none, none.astype(np.bool_))

    def merge(self, other: GroupSums) -> GroupSums:
        """Merge the sums of two sets of rows; as matrices, if other columns are dense."""
        if not np.array_equal(self.terms, other.terms):
            return self._of_dense(self.moments.merge(other.moments))
        dense = self.dense.merge(other.dense)
        with np.errstate(over="ignore", invalid="ignore"):
            return replace(
                self,
                dense=dense,
                sums=self.sums + other.sums,
                mixed=self._mixed_about(dense) + other._mixed_about(dense),
                pairs=[
                    (rows, columns, mine + more)
                    for (rows, columns, mine), (*_, more) in zip(
                        self.pairs, other.pairs, strict=True
                    )
                ],
                minimum=np.minimum(self.minimum, other.minimum),
                maximum=np.maximum(self.maximum, other.maximum),
                float32=self.float32 & other.float32,
            )

    def _mixed_about(self, dense: Moments) -> Array:
        """Compute `mixed` about another mean of the dense columns."""
        step = (self.dense.mean - dense.mean) + (self.dense.mean_rest - dense.mean_rest)
        return self.mixed + np.outer(step, self.sums)

    @cached_property
    def moments(self) -> Moments:
        """The moments as a matrix."""
        if not len(self.terms):
            return self.dense
        p = len(self.places) + len(self.terms)
        means, comoment = np.zeros(p), np.zeros((p, p))
        comoment[np.ix_(self.places, self.places)] = self.dense.comoment
        comoment[np.ix_(self.places, self.terms)] = self.mixed
        comoment[np.ix_(self.terms, self.places)] = self.mixed.T
        for rows, columns, sums in self.pairs:
            comoment[rows, columns] = comoment[columns, rows] = sums
        with np.errstate(over="ignore", invalid="ignore"):
            means[self.terms] = self.sums / (self.dense.weight or 1.0)
            add_outer(comoment, -self.dense.weight, means)
        order = np.argsort(np.append(self.places, self.terms))
        return replace(
            self.dense,
            mean=np.append(self.dense.mean, means[self.terms])[order],
            mean_rest=np.append(self.dense.mean_rest, np.zeros(len(self.terms)))[order],
            comoment=comoment,
            minimum=np.append(self.dense.minimum, self.minimum)[order],
            maximum=np.append(self.dense.maximum, self.maximum)[order],
            float32=np.append(self.dense.float32, self.float32)[order],
        )


def numbers_of(rows: Rows) -> int:
    """Count the numbers that a pass over the rows goes through."""
    if rows.plan is not None and is_grouped(rows):
        return len(rows) * int(rows.plan.layout.width + rows.targets.shape[1])
    return len(rows) * int(rows.split + rows.targets.shape[1])


def product_of(rows: Rows, sides: Array) -> Array:
    """Compute the rows' features times a matrix (d, r), shape (n, r)."""
    if rows.plan is None or not is_grouped(rows):
        return _product(rows.features, sides)
    grouped = rows.plan.group(rows.pieces[0])
    found = _product(grouped.dense, sides[grouped.places])
    for group in grouped.groups:
        of_code = np.where(group.places[:, None] >= 0, sides[group.places], 0.0)
        gathered = of_code[group.codes]
        found += gathered if group.value is None else gathered * group.value[:, None]
    return found


def _product(a: Array, b: Array) -> Array:
    """Compute a @ b with PyTorch, which uses one thread in a pass: their number changes bits."""
    left = torch.from_numpy(a if a.flags.writeable else a.copy())  # else PyTorch warns
    product: Array = (left @ torch.from_numpy(b)).numpy()
    return product


def _terms(group: Group) -> NDArray[np.intp]:
    """List the places of a group's terms, by code."""
    return group.places[group.places >= 0]


def _without_dominant(grouped: Grouped, weights: Array | None) -> Grouped:
    """Turn the level that more than half of the rows or of the weight has into a dense column."""
    dense, places, groups = [grouped.dense], [grouped.places], []
    for group in grouped.groups:
        s = len(group.places)
        shares = [np.bincount(group.codes, minlength=s) / len(group.codes)]
        if weights is not None and weights.any():
            shares.append(np.bincount(group.codes, weights, s) / weights.sum())
        codes = (np.maximum.reduce(shares) > 1 / 2) & (group.places >= 0)
        for code in np.flatnonzero(codes):
            column = (group.codes == code).astype(np.float64)
            dense.append((column if group.value is None else column * group.value)[:, None])
            places.append(group.places[[code]])
        groups.append(replace(group, places=np.where(codes, -1, group.places)))
    return Grouped(np.hstack(dense), np.concatenate(places), groups)


def _joined(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(list(parts))


def _summed(codes: NDArray[np.intp], values: Array | None, size: int) -> Array:
    """Add up values by code, or count the rows of each, shape (size,)."""
    return np.bincount(codes, values, size).astype(np.float64, copy=False)


def _totals(group: Group, weights: Array | None, column: Array | None = None) -> Array:
    """Sum a group's terms, times a column, over weighted rows."""
    values = _times(weights, _times(group.value, column))
    return _summed(group.codes, values, len(group.places))[group.places >= 0]


def _pair(a: Group, b: Group, weights: Array | None) -> tuple[Places, Places, Array]:
    """Sum the products of two groups' terms that are not 0 in every row; return their places."""
    values = _times(weights, _times(a.value, b.value))
    if a.codes is b.codes:
        both = (a.places >= 0) & (b.places >= 0)
        sums = _summed(a.codes, values, len(a.places))
        return a.places[both], b.places[both], sums[both]
    size = len(a.places), len(b.places)
    table = _summed(a.codes * size[1] + b.codes, values, size[0] * size[1]).reshape(size)
    chosen = np.ix_(a.places >= 0, b.places >= 0)
    return *np.ix_(_terms(a), _terms(b)), table[chosen]  # type: ignore[return-value]


def _are_float32(group: Group) -> NDArray[np.bool_]:
    """Find the terms whose every value is a float32."""
    if group.value is None:
        return np.ones(len(_terms(group)), np.bool_)
    wrong = group.codes[~are_float32(group.value[None])]
    found: NDArray[np.bool_] = np.bincount(wrong, minlength=len(group.places)) == 0
    return found[group.places >= 0]


def _times(a: Array | None, b: Array | None) -> Array | None:
    """Multiply; None is 1."""
    if a is None or b is None:
        return b if a is None else a
    return a * b


def _extremes(group: Group) -> tuple[Array, Array]:
    """Find the smallest and largest value of a group's terms; no code has all the rows."""
    s, has = len(group.places), group.places >= 0
    least, most = np.zeros(s), np.zeros(s)  # of other rows
    if group.value is None:
        most = np.minimum(_summed(group.codes, None, s), 1.0)
    else:
        np.minimum.at(least, group.codes, group.value)
        np.maximum.at(most, group.codes, group.value)
    return least[has], most[has]
