"""Moments of rows with indicators: their co-moments are counts and group sums.

A group of m indicators is a code per row. The products of two groups are a contingency table, and
those of a group with a column are the column's sums by code: n additions instead of n·m
multiplications, with the counts exact. A level that most rows have is a column like any other: its
variance is far below its mean square, so it needs the shift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from gradline.columns.grouping import Group, Grouped
from gradline_trainer.moments.crossproducts import CrossProducts, cross_products
from gradline_trainer.moments.moments import COMPENSATED, Moments, are_float32
from gradline_trainer.rows.rows import Rows

Array = NDArray[np.float64]


def is_grouped(rows: Rows) -> bool:
    """Check whether `moments_of` uses groups; the size and the plan alone decide."""
    plan, k = rows.plan, rows.targets.shape[1]
    return (
        plan is not None and len(rows) * (rows.split + k) ** 2 > COMPENSATED and plan.layout.pays(k)
    )


def moments_of(rows: Rows, device: str = "cpu") -> Moments:
    """Gather the moments of [features, targets] of at least one row; see `Moments.of`."""
    if rows.plan is None or not is_grouped(rows):
        return Moments.of(rows.expanded().pieces, rows.weights, device)
    grouped = _without_dominant(rows.plan.group(rows.pieces[0]), rows.weights)
    d, k = rows.split, rows.targets.shape[1]
    float32 = np.ones(d + k, np.bool_)
    float32[grouped.places] = are_float32(grouped.dense)
    float32[d:] = are_float32(rows.targets)
    for group in grouped.groups:
        if group.value is not None:
            wrong = ~are_float32(group.value[None])
            found = np.bincount(group.codes[wrong], minlength=len(group.places)) > 0
            float32[_terms(group)] = ~found[group.places >= 0]
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as an infinity
        products = _Sums(grouped, rows, device).products()
    return Moments.of_products(len(rows), rows.weights, products, float32)


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


@dataclass(frozen=True)
class _Sums:
    """Computes the cross-products of grouped features and targets."""

    grouped: Grouped
    rows: Rows
    device: str

    def products(self) -> CrossProducts:
        """Compute the cross-products of [features, targets]; the shift of indicators is 0."""
        rows, grouped = self.rows, self.grouped
        d, k = rows.split, rows.targets.shape[1]
        p = d + k
        places = np.append(grouped.places, np.arange(d, p))
        dense = cross_products([grouped.dense, rows.targets], rows.weights, self.device)
        found = CrossProducts(np.zeros(p), np.zeros(p), np.zeros((p, p)), np.zeros(p), np.zeros(p))
        found.shift[places], found.sums[places] = dense.shift, dense.sums
        found.minimum[places], found.maximum[places] = dense.minimum, dense.maximum
        found.products[np.ix_(places, places)] = dense.products
        columns = [*grouped.dense.T, *rows.targets.T]
        centred = [column - centre for column, centre in zip(columns, dense.shift, strict=True)]
        for i, group in enumerate(grouped.groups):
            terms, has = _terms(group), group.places >= 0
            found.sums[terms] = self._totals(group, group.value)[has]
            found.minimum[terms], found.maximum[terms] = (e[has] for e in _extremes(group))
            sums = [self._totals(group, _times(group.value, column))[has] for column in centred]
            block = np.array(sums)
            found.products[np.ix_(places, terms)] = block
            found.products[np.ix_(terms, places)] = block.T
            for other in grouped.groups[i:]:
                self._add_pair(found.products, group, other)
        return found

    def _totals(self, group: Group, values: Array | None) -> Array:
        """Sum weighted values, or the weights, by code, shape (s,)."""
        weighted = _times(self.rows.weights, values)
        sums: Array = np.bincount(group.codes, weighted, len(group.places)).astype(np.float64)
        return sums

    def _add_pair(self, products: Array, a: Group, b: Group) -> None:
        """Write the products of two groups' terms."""
        values = _times(a.value, b.value)
        if a.codes is b.codes:
            both = (a.places >= 0) & (b.places >= 0)
            sums = self._totals(a, values)[both]
            products[a.places[both], b.places[both]] = sums
            products[b.places[both], a.places[both]] = sums
            return
        joint = a.codes * len(b.places) + b.codes
        weighted = _times(self.rows.weights, values)
        table = np.bincount(joint, weighted, len(a.places) * len(b.places))
        table = table.reshape(len(a.places), len(b.places))
        table = table[np.ix_(a.places >= 0, b.places >= 0)]
        products[np.ix_(_terms(a), _terms(b))] = table
        products[np.ix_(_terms(b), _terms(a))] = table.T


def _times(a: Array | None, b: Array | None) -> Array | None:
    """Multiply; None is 1."""
    if a is None or b is None:
        return b if a is None else a
    return a * b


def _extremes(group: Group) -> tuple[Array, Array]:
    """Find the smallest and largest value of a group's terms; no code has all the rows."""
    s = len(group.places)
    if group.value is None:
        return np.zeros(s), (np.bincount(group.codes, minlength=s) > 0).astype(np.float64)
    least, most = np.zeros(s), np.zeros(s)  # of other rows
    np.minimum.at(least, group.codes, group.value)
    np.maximum.at(most, group.codes, group.value)
    return least, most
