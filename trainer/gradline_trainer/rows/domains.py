"""Terms that some numbers have no value for, such as the logarithm of 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.columns.terms import Factor, function_of, quoted
from gradline.errors import InputError
from gradline.formatting import count

LIMITED = ("log", "log1p", "sqrt")
Array = NDArray[np.float64]


def limited_factors(plan: Plan) -> list[tuple[Factor, int]]:
    """List the factors that some numbers have no value for, each with its column's place."""
    places = {column.name: j for j, column in enumerate(plan.columns)}
    factors = {f: None for term in plan.terms for f in term if f.function in LIMITED}
    return [(factor, places[factor.column]) for factor in factors]


def outside(factor: Factor, values: Array) -> NDArray[np.bool_]:
    """Find the numbers that a factor has no value for, shape (n,); missing ones are none."""
    with np.errstate(invalid="ignore"):
        found: NDArray[np.bool_] = np.isnan(function_of(factor)(values)) & ~np.isnan(values)
    return found


def without_value(term: str, factor: Factor, number: int, first: str) -> InputError:
    """Build the error for values outside a function's domain; `first` has a value and its row."""
    hint = f"correct or remove these rows, or leave {term} out"
    if factor.function == "log":
        hint = f"--feature 'log1p({quoted(factor.column)})' takes zeros; else {hint}"
    return InputError(
        f"the term {term!r} has no value for {count(number, 'value')} of the column "
        f"{factor.column!r}, the first {first}",
        code="out-of-range",
        hint=hint,
    )
