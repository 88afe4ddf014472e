"""Sums of products of a table's columns: what the steps of a pipeline compute.

Coefficients have 60 digits, so that a weight is rounded only once, after all steps are folded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import Any

from gradline.columns.terms import POWERS, Factor, Term

DIGITS = Context(prec=60, traps=[])


@dataclass(frozen=True)
class Piece:
    """One factor of a product, and the fill value of its column; None without one."""

    factor: Factor
    fill: float | None = None


@dataclass(frozen=True)
class Coefficient:
    """A sum, and its size: the sum of the absolute values.

    A pipeline rounds each summand, so the size bounds the effect of rounding.
    """

    value: Decimal
    size: Decimal

    def __add__(self, other: Coefficient) -> Coefficient:
        return Coefficient(self.value + other.value, self.size + other.size)

    def __mul__(self, other: Coefficient) -> Coefficient:
        return Coefficient(self.value * other.value, self.size * other.size)


Product = tuple[Piece, ...]  # in one order, a power as repeated pieces; () is the constant 1
Sum = dict[Product, Coefficient]


@dataclass(frozen=True)
class Raw:
    """A column of the table, before a step decides whether it is a number or a category.

    Attributes:
        name: The column.
        fill: The fill value of an imputer; None without one.
    """

    name: str
    fill: Any = None


Output = Raw | Sum  # one output of a step


def exactly(value: Any) -> Coefficient:
    """Convert a number to a coefficient."""
    found = Decimal(float(value))
    return Coefficient(found, abs(found))


ONE = exactly(1.0)
NONE = exactly(0.0)


def variable(name: str, fill: float | None = None) -> Sum:
    """Make the sum of one column of numbers."""
    return {(Piece(Factor(name), fill),): ONE}


def indicator(factor: Factor) -> Sum:
    """Make the sum of one indicator."""
    return {(Piece(factor),): ONE}


def plus(first: Sum, second: Sum) -> Sum:
    """Add two sums."""
    found = dict(first)
    for product, coefficient in second.items():
        found[product] = found.get(product, NONE) + coefficient
    return found


def scaled(total: Sum, factor: Coefficient) -> Sum:
    """Multiply a sum by a number."""
    return {product: factor * coefficient for product, coefficient in total.items()}


def shifted(total: Sum, constant: Any) -> Sum:
    """Add a number to a sum."""
    return plus(total, {(): exactly(constant)})


def divided(total: Sum, divisor: Any) -> Sum:
    """Divide a sum by a number."""
    share = 1 / exactly(divisor).value
    return scaled(total, Coefficient(share, abs(share)))


def multiplied(first: Sum, second: Sum) -> Sum:
    """Multiply two sums; the product of two levels of one column is 0."""
    found: Sum = {}
    for one, a in first.items():
        for other, b in second.items():
            product = _joined(one, other)
            if product is not None:
                found[product] = found.get(product, NONE) + a * b
    return found


def _joined(one: Product, other: Product) -> Product | None:
    """Multiply two products; None if the result is always 0."""
    pieces = list(one)
    indicators = {p.factor.column: p for p in one if p.factor.is_indicator}
    for piece in other:
        known = indicators.get(piece.factor.column) if piece.factor.is_indicator else None
        if known is None:
            pieces.append(piece)
        elif known != piece:
            return None
    return tuple(sorted(pieces, key=_order))


def _order(piece: Piece) -> tuple[str, str, str]:
    factor = piece.factor
    return factor.column, factor.function or "", str(factor.level)


def imputed(total: Sum, value: Any) -> Sum | None:
    """Fill the missing values of a sum of one column; None for a sum of several."""
    if not any(_may_be_missing(piece) for product in total for piece in product):
        return total
    products = [product for product in total if product]
    if len(products) > 1 or len(products[0]) > 1 or not total[products[0]].value:
        return None
    (piece,), constant = products[0], total.get((), NONE)
    slope = total[products[0]]
    fill = float((exactly(value).value - constant.value) / slope.value)
    return {(replace(piece, fill=fill),): slope, (): constant}


def _may_be_missing(piece: Piece) -> bool:
    return not piece.factor.is_indicator and piece.fill is None


def term_of(product: Product, places: Mapping[str, int]) -> Term | None:
    """Write a product as a term, columns in the table's order; None for a power above 6."""
    counts = Counter(piece.factor for piece in product)
    factors = []
    for factor in sorted(counts, key=lambda f: (places[f.column], f.is_indicator)):
        power = counts[factor]
        if power > 1 and power not in POWERS:
            return None
        factors.append(factor if power == 1 else replace(factor, function="power", argument=power))
    return tuple(factors)


def fills_of(products: Iterable[Product]) -> dict[str, set[float | None]]:
    """Collect the fill values of each column of numbers."""
    found: dict[str, set[float | None]] = {}
    for product in products:
        for piece in product:
            if not piece.factor.is_indicator:
                found.setdefault(piece.factor.column, set()).add(piece.fill)
    return found
