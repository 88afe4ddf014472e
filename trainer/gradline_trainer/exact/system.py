"""The least-squares problem that exact moments state: the normal equations in integers.

The system is A·w = B in unknowns scaled by powers of two: A has a diagonal between 1/4 and 1, all
of it integers in units of 2^(−2·places).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.exact.integers import Integers, align, ratio
from gradline_trainer.exact.moments import ExactMoments
from gradline_trainer.moments import Moments
from gradline_trainer.options import Options
from gradline_trainer.problem import Problem, cholesky, state_problem

__all__ = ["MOST_ELIMINATED", "ExactSystem", "state_exactly"]

Array = NDArray[np.float64]
ROOM = 128  # bits after the point of the scaled system, at least
WELL_CONDITIONED = 1e-5  # least pivot of a scaled factor that float64 finds well enough
MOST_ELIMINATED = 400  # features up to which a factor beyond that is found in integers


@dataclass(frozen=True)
class ExactSystem:
    """The exact normal equations A·w = B of the r features that carry information.

    Attributes:
        matrix: A, shape (r, r).
        right: B, shape (r, k).
        power: The targets' scaled second moments, shape (k,).
        places: A, B and the power are in units of 2^(−2·places).
        feature_exponents: W = w · 2^(target_exponents − feature_exponents), shape (r,).
        target_exponents: Shape (k,).
        sums: Of the weighted features, in units of 2^feature_units, shape (r,).
        target_sums: Of the weighted targets, in units of 2^target_units, shape (k,).
        weight: Σw, in units of 2^(2·unit).
        feature_units: Shape (r,).
        target_units: Shape (k,).
        unit: Of the column of ones.
        bias: Whether there is a bias.
    """

    matrix: Integers
    right: Integers
    power: Integers
    places: int
    feature_exponents: list[int]
    target_exponents: list[int]
    sums: Integers
    target_sums: Integers
    weight: int
    feature_units: list[int]
    target_units: list[int]
    unit: int
    bias: bool

    def feature_scale(self) -> Array:
        """Return the float64 scale of each feature, shape (r,): its deviation, nearly."""
        return np.array([ratio(1, self.weight, e - self.unit) for e in self.feature_exponents])

    def target_scale(self) -> Array:
        """Return the float64 scale of each target, shape (k,)."""
        return np.array([ratio(1, self.weight, e - self.unit) for e in self.target_exponents])

    def rounded(self) -> Array:
        """Return A in float64, each entry correctly rounded, shape (r, r)."""
        values: Array = (self.matrix / (1 << (2 * self.places))).astype(np.float64)
        return values

    def of(self, kept: list[int]) -> ExactSystem:
        """Return the system of some of its features."""
        return replace(
            self,
            matrix=self.matrix[np.ix_(kept, kept)],
            right=self.right[kept],
            feature_exponents=[self.feature_exponents[j] for j in kept],
            sums=self.sums[kept],
            feature_units=[self.feature_units[j] for j in kept],
        )


def state_exactly(
    exact: ExactMoments, moments: Moments, features: int, options: Options
) -> tuple[Problem, ExactSystem]:
    """Return the problem that exact moments state, in float64 and exactly.

    Args:
        exact: Of [1, features, targets].
        moments: Of the same rows, correctly rounded.
        features: d.
        options: For the bias and the ridge penalty.
    """
    problem = state_problem(moments, features, options)
    candidates = sorted({*problem.active.tolist(), *problem.dependent})
    rank = len(candidates)
    if not options.ridge:
        rank = min(rank, moments.rows - int(options.bias))
    system = _scaled(exact, features, candidates, options)
    found = _factorise(system, rank)
    if found is None:  # so near to dependence, and so wide, that what float64 found has to do
        found = [candidates.index(j) for j in problem.active.tolist()], None
    kept, factor = found
    system = system.of(kept)
    if factor is None:
        factor = torch.from_numpy(np.linalg.cholesky(system.rounded()))
    active = torch.tensor([candidates[j] for j in kept], dtype=torch.int64)
    second = torch.from_numpy(moments.comoment) / moments.weight
    mean = torch.from_numpy(moments.mean) * options.bias
    if not options.bias:
        second = second + torch.outer(*[torch.from_numpy(moments.mean)] * 2)
    stated = replace(
        problem,
        active=active,
        dependent=sorted(set(candidates) - set(active.tolist())),
        centre=mean[active],
        normal=second[active][:, active],
        cross=second[active, features:],
        scale=torch.from_numpy(system.feature_scale()),
        factor=factor,
    )
    return stated, system


def _scaled(exact: ExactMoments, d: int, candidates: list[int], options: Options) -> ExactSystem:
    """Return the system of the candidate features, scaled by powers of two."""
    columns = [*candidates, *range(d, len(exact.units) - 1)]
    second = exact.about(options.bias)[np.ix_(columns, columns)]
    units = [int(exact.units[1 + j]) for j in columns]
    unit, weight = int(exact.units[0]), exact.gram[0, 0]
    r = len(candidates)
    # The penalty adds ridge·Σw to (Σw)²·N, here in units of 2^(2·units + 2·unit).
    penalty = [Fraction(options.ridge) * weight / Fraction(2) ** (2 * u) for u in units[:r]]
    diagonal = [second[j, j] + (penalty[j] if j < r else 0) for j in range(len(columns))]
    shifts = [(max(math.ceil(v), 1).bit_length() + 1) // 2 for v in diagonal]
    finest = [
        p.denominator.bit_length() // 2 + 1 + s for p, s in zip(penalty, shifts, strict=False)
    ]
    places = max([max(shifts) + ROOM, *finest])
    grow = np.array([places - s for s in shifts], np.int64)
    matrix = align(second, np.add.outer(grow, grow))
    for j in range(r):
        matrix[j, j] += int(penalty[j] * (1 << int(2 * grow[j])))
    exponents = [s + u for s, u in zip(shifts, units, strict=True)]
    sums = exact.gram[0, 1:][columns]
    return ExactSystem(
        matrix=matrix[:r, :r],
        right=matrix[:r, r:],
        power=matrix.diagonal()[r:],
        places=places,
        feature_exponents=exponents[:r],
        target_exponents=exponents[r:],
        sums=sums[:r],
        target_sums=sums[r:],
        weight=weight,
        feature_units=units[:r],
        target_units=units[r:],
        unit=unit,
        bias=options.bias,
    )


def _factorise(system: ExactSystem, rank: int) -> tuple[list[int], Tensor | None] | None:
    """Return which features are independent of earlier ones, and A's lower Cholesky factor.

    A feature is dependent where what is left of its diagonal is at most (p·2⁻⁵⁰)² of it. Where
    float64 has digits to spare it finds the factor; else the elimination is in integers, which see
    dependence up to a condition of 2⁵⁰/p. None where that would take too long.
    """
    p, one = len(system.matrix), 1 << (2 * system.places)
    if rank == p:
        found = cholesky(system.rounded())
        if found is not None and bool((found.diagonal() > WELL_CONDITIONED).all()):
            return list(range(p)), found
    if p > MOST_ELIMINATED:
        return None
    left = system.matrix.copy()
    kept: list[int] = []
    columns: list[Any] = []
    for j in range(p):
        pivot = left[j, j]
        if len(kept) == rank or pivot << 100 <= p * p * system.matrix[j, j]:
            continue
        root = math.isqrt(pivot * one)
        column = left[:, j].copy()
        columns.append([value / root for value in column])
        kept.append(j)
        left[j + 1 :, j + 1 :] -= np.multiply.outer(column[j + 1 :], column[j + 1 :]) // pivot
    factor = torch.tensor(columns, dtype=torch.float64).T[kept] if kept else torch.zeros(0, 0)
    return kept, torch.tril(factor.double())
