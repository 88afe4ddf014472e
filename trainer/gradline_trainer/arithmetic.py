"""Which arithmetic a run takes, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gradline_trainer.moments import Moments
from gradline_trainer.options import Options
from gradline_trainer.problem import Problem

__all__ = ["Arithmetic", "choose_arithmetic"]

SMALL = 1_000_000  # values in a table that "auto" computes exactly
ILL_CONDITIONED = 1e6
ITERATIONS = 8
DECOMPOSED = 64  # columns of a factor whose singular values take less time


@dataclass(frozen=True)
class Arithmetic:
    """How a run computes.

    Attributes:
        used: "fast" is float64; "exact" gives the correctly rounded least-squares solution.
        reason: Why, in words.
        condition: Estimate of the condition number of the features, centred where there is a bias
            and scaled to unit deviation; None where it was not needed.
    """

    used: Literal["fast", "exact"]
    reason: str
    condition: float | None


def choose_arithmetic(options: Options, problem: Problem, moments: Moments) -> Arithmetic:
    """Return the arithmetic that the options mean for a table of these moments."""
    if options.preconditioning != "whiten" or options.gradient_source != "moments":
        return Arithmetic("fast", "exact arithmetic concerns the whitened descent", None)
    condition = estimate_condition(problem.factor)
    if options.arithmetic != "auto":
        return Arithmetic(options.arithmetic, "asked for", condition)
    cells = moments.rows * len(moments.mean)
    if cells <= SMALL:
        return Arithmetic("exact", f"a small table, {cells} values", condition)
    if problem.dependent:
        return Arithmetic("exact", "features look linearly dependent in float64", condition)
    if condition > ILL_CONDITIONED:
        return Arithmetic("exact", f"ill-conditioned, about {condition:.1e}", condition)
    return Arithmetic("fast", "a large table, well-conditioned", condition)


def estimate_condition(factor: Tensor) -> float:
    """Return an estimate of the condition number of a triangular factor, shape (r, r).

    Of a small one from its singular values, else by power and inverse iteration, from below.
    """
    if len(factor) < 2:
        return 1.0
    if len(factor) <= DECOMPOSED:
        return max(1.0, float(np.linalg.cond(factor.numpy())))
    start = torch.randn(len(factor), 1, generator=torch.Generator().manual_seed(0)).double()
    largest = smallest = start / start.norm()
    high = low = torch.ones(())
    for _ in range(ITERATIONS):
        largest = factor @ (factor.T @ largest)
        high, largest = largest.norm(), largest / largest.norm()
        smallest = torch.cholesky_solve(smallest, factor)
        low, smallest = smallest.norm(), smallest / smallest.norm()
    return max(1.0, float((high * low).sqrt()))
