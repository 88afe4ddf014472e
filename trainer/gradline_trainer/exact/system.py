"""The normal equations of exact moments, in integers.

The unknowns of A·w = B are scaled by powers of two, so that A has a diagonal between 1/4 and 1. A
and B are integers in units of 2^(−2·places).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import add

import numpy as np
import torch
from numpy.typing import NDArray

from gradline_trainer.descent.problem import Problem, state_problem
from gradline_trainer.exact.basis import Basis, independent_basis
from gradline_trainer.exact.integers import Integers, align, ratio
from gradline_trainer.exact.moments import ExactMoments
from gradline_trainer.moments.moments import Moments
from gradline_trainer.options import Options

Array = NDArray[np.float64]
ROOM = 128  # the fewest fractional bits of the scaled system


@dataclass(frozen=True)
class ExactSystem:
    """The exact normal equations A·w = B of p features, or of r vectors for them.

    Attributes:
        matrix: A, shape (p, p), or (r, r) with a basis.
        right: B, shape (p, k), or (r, k) with a basis.
        power: The targets' scaled second moments, shape (k,).
        places: A, B and the power are in units of 2^(−2·places).
        feature_exponents: W = w · 2^(target_exponents − feature_exponents), shape (p,).
        target_exponents: Shape (k,).
        sums: The sums of the weighted features, in units of 2^feature_units, shape (p,).
        target_sums: The sums of the weighted targets, in units of 2^target_units, shape (k,).
        weight: Σw, in units of 2^(2·unit).
        feature_units: Shape (p,).
        target_units: Shape (k,).
        unit: The exponent of the column of ones.
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

    def scales(self, exponents: list[int]) -> Array:
        """Compute the float64 scales, nearly the deviations, of columns with these exponents."""
        return np.array([ratio(1, self.weight, exponent - self.unit) for exponent in exponents])

    def in_basis(self, basis: Basis) -> ExactSystem:
        """Build the system of the basis' vectors."""
        kept, one = basis.kept, 1 << basis.bits
        half = basis.vector_values(self.matrix[np.ix_(kept, kept)])
        return replace(
            self,
            matrix=basis.vector_values(half.T),
            right=basis.vector_values(self.right[kept]) * one,
            power=self.power * one**2,
            places=self.places + basis.bits,
        )

    def with_targets(self, features: list[int]) -> ExactSystem:
        """Build a system whose targets are some of this one's features."""
        return replace(
            self,
            right=self.matrix[:, features],
            power=self.matrix.diagonal()[features],
            target_exponents=[self.feature_exponents[j] for j in features],
            target_sums=self.sums[features],
            target_units=[self.feature_units[j] for j in features],
        )


def state_exactly(
    exact: ExactMoments, moments: Moments, features: int, options: Options
) -> tuple[Problem, ExactSystem, Basis]:
    """Build the problem from exact moments, the system of its candidates, and their basis.

    The candidates are the active and the dependent features of the problem, in order.

    Args:
        exact: The moments of [1, features, targets].
        moments: The moments of the same rows, correctly rounded.
        features: The number of features d.
        options: For the bias and the ridge penalty.
    """
    problem = state_problem(moments, features, options)
    candidates = sorted({*problem.active.tolist(), *problem.dependent})
    rank = len(candidates)
    if not options.ridge:
        rank = min(rank, moments.rows - int(options.bias))
    system = _scaled(exact, features, candidates, options)
    basis = independent_basis(system.matrix, system.places, rank)
    active = torch.tensor([candidates[j] for j in basis.kept], dtype=torch.int64)
    second, mean = (
        torch.from_numpy(moments.comoment) / moments.weight,
        torch.from_numpy(moments.mean),
    )
    if not options.bias:
        second = second + torch.outer(mean, mean)
    stated = replace(
        problem,
        active=active,
        dependent=sorted(set(candidates) - set(active.tolist())),
        supposed=[candidates[j] for j in basis.undecided],
        dependence=None,
        centre=mean[active] * options.bias,
        normal=second[active][:, active],
        cross=second[active, features:],
        scale=torch.from_numpy(system.scales(system.feature_exponents)[basis.kept]),
        factor=basis.feature_factor(),
    )
    return stated, system, basis


def _scaled(exact: ExactMoments, d: int, candidates: list[int], options: Options) -> ExactSystem:
    """Build the system of the candidate features, scaled by powers of two."""
    columns = [*candidates, *range(d, len(exact.units) - 1)]
    second = exact.about(options.bias)[np.ix_(columns, columns)]
    units = [int(exact.units[1 + j]) for j in columns]
    unit, weight = int(exact.units[0]), exact.gram[0, 0]
    r = len(candidates)
    # The penalty adds ridge·Σw to (Σw)²·N, here in units of 2^(2·units + 2·unit).
    penalty = [Fraction(options.ridge) * weight / Fraction(2) ** (2 * u) for u in units[:r]]
    diagonal = [second[j, j] + (penalty[j] if j < r else 0) for j in range(len(columns))]
    shifts = [(max(math.ceil(v), 1).bit_length() + 1) // 2 for v in diagonal]
    penalty_bits = [p.denominator.bit_length() // 2 + 1 for p in penalty]
    places = max([max(shifts) + ROOM, *map(add, shifts, penalty_bits)])
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
