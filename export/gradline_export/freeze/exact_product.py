"""x @ W.T + b without rounding: floats are integers times powers of two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["exact_outputs"]


def exact_outputs(
    x: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the exact x @ W.T + b, correctly rounded to float64, shape (n, k).

    Args:
        x: Rows, shape (n, d), finite.
        weights: W, shape (k, d), finite.
        bias: b, shape (k,), finite.
    """
    rows, row_exponent = _integers(x)
    factors, factor_exponent = _integers(weights)
    offsets, offset_exponent = _integers(bias)
    exponent = row_exponent + factor_exponent
    least = min(exponent, offset_exponent)
    sums = rows.dot(factors.T) * (1 << (exponent - least))
    sums = sums + offsets * (1 << (offset_exponent - least))
    round_one = np.frompyfunc(lambda total: _to_float(total, least), 1, 1)
    result: NDArray[np.float64] = round_one(sums).astype(np.float64)
    return result


def _integers(values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Return Python integers and the exponent e such that values = integers · 2^e."""
    mantissas, exponents = np.frexp(values.astype(np.float64))
    integers = (mantissas * 2.0**53).astype(np.int64)
    used = exponents[integers != 0]
    least = int(used.min()) if used.size else 53
    shifts = np.where(integers != 0, exponents - least, 0)
    return integers.astype(object) * (1 << shifts.astype(object)), least - 53


def _to_float(total: int, exponent: int) -> float:
    # Python rounds both the division and the conversion of integers correctly.
    return total / (1 << -exponent) if exponent < 0 else float(total << exponent)
