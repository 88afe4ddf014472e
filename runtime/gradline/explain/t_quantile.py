"""Compute a quantile of Student's t distribution without SciPy."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

# Degrees of freedom, for each unit of the normal quantile's square, above which the series in
# 1/dof has eleven digits.
MANY = 52


@lru_cache(maxsize=256)
def t_quantile(level: float, dof: int) -> float:
    """Compute the t with a probability of `level` between -t and t.

    It is `scipy.stats.t.ppf((1 + level) / 2, dof)`. From Abramowitz and Stegun (1964): for many
    degrees of freedom 26.7.5, an expansion about the normal quantile; otherwise bisection of 26.7.3
    and 26.7.4, finite sums for whole degrees.
    """
    normal = -NormalDist().inv_cdf((1 - level) / 2)
    if dof > MANY * max(normal**2, 4.0):
        return _expanded(normal, dof)
    least, most = 0.0, math.pi / 2  # of θ = arctan(t/√dof)
    while (middle := (least + most) / 2) not in (least, most):
        least, most = (middle, most) if _within(middle, dof) < level else (least, middle)
    return math.sqrt(dof) * math.tan(middle)


def _expanded(x: float, dof: int) -> float:
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return sum((term / float(dof) ** power for power, term in enumerate(terms, 1)), x)


def _within(angle: float, dof: int) -> float:
    """Compute the probability of |t| ≤ √dof·tan(angle)."""
    odd, squared = dof % 2, math.cos(angle) ** 2
    term, total = math.cos(angle) if odd else 1.0, 0.0
    for step in range(1 + odd, dof, 2):
        total += term
        term *= squared * step / (step + 1)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
