"""Targets learned as logarithms: z = log(y), or z = log(1 + y) with the sum rounded first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import LogFunction, learned_name
from gradline.columns.terms import FUNCTIONS
from gradline.errors import InputError, in_quotes
from gradline.formatting import count
from gradline_trainer.rows.columns import Columns

Functions = Sequence[LogFunction | None]


def logarithms(targets: NDArray[Any], functions: Functions) -> NDArray[np.float64]:
    """Compute each target's function, (n, k), in float64; NaN outside its domain."""
    found = np.array(targets, np.float64, order="C")
    for j, function in enumerate(functions):
        if function is not None:
            # NumPy may compute the logarithms of numbers with gaps between them differently.
            found[:, j] = FUNCTIONS[function](np.ascontiguousarray(found[:, j]))
    return found


def without_logarithm(targets: NDArray[np.float64], functions: Functions) -> NDArray[np.bool_]:
    """Find the values that are outside the domain of their target's function, (n, k)."""
    wrong = np.zeros(targets.shape, np.bool_)
    for j, function in enumerate(functions):
        if function is not None:
            # Of log1p, the rounded sum counts: 1 + y is 0 for y just above −1, too.
            wrong[:, j] = targets[:, j] + (function == "log1p") <= 0
    return wrong


def no_logarithm(
    columns: Columns, name: str, amount: int, first: str, *, beyond: bool
) -> InputError:
    """Build the error for values outside the domain.

    `first` is the first of them and its row; `beyond` tells whether log1p would not take all.
    """
    function = columns.functions[columns.targets.index(name)]
    return InputError(
        f"{learned_name(name, function)} needs values above {-(function == 'log1p')}, and "
        f"{count(amount, 'value')} of the column {name!r} {'is' if amount == 1 else 'are'} not: "
        f"the first is {first}",
        code="outside-domain",
        hint=f"correct or remove these rows, or use --target {in_quotes(name)}"
        if beyond
        else f"--target {in_quotes(learned_name(name, 'log1p'))}",
    )
