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

from gradline_trainer.descent.problem import Problem, informative_features, second_moments
from gradline_trainer.exact.basis import Basis, independent_basis
from gradline_trainer.exact.integers import Integers, ratio
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
        if basis.rows is None and len(kept) == len(self.matrix):
            return self
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

    The candidates are the features that carry information, in order.

    Args:
        exact: The moments of [1, features, targets].
        moments: The moments of the same rows, correctly rounded.
        features: The number of features d.
        options: For the bias and the ridge penalty.
    """
    second, mean, resolution = second_moments(moments, features, options)
    informative = informative_features(moments, second, features, options)
    candidates = np.flatnonzero(informative).tolist()
    rank = len(candidates)
    if not options.ridge:
        rank = min(rank, moments.rows - int(options.bias))
    system = _scaled(exact, features, candidates, options)
    basis = independent_basis(system.matrix, system.places, rank)
    active = [candidates[j] for j in basis.kept]
    stated = Problem(
        active=torch.tensor(active, dtype=torch.int64),
        constant=np.flatnonzero(~informative).tolist(),
        dependent=sorted(set(candidates) - set(active)),
        weight=moments.weight,
        centre=torch.from_numpy(mean[active]),
        target_centre=torch.from_numpy(mean[features:]),
        normal=torch.from_numpy(second[active][:, active]),
        cross=torch.from_numpy(second[active, features:]),
        power=torch.from_numpy(second.diagonal()[features:].copy()),
        penalty=float(options.ridge) / moments.weight,
        scale=torch.from_numpy(system.scales(system.feature_exponents)[basis.kept]),
        factor=basis.feature_factor(),
        bias=options.bias,
        resolution=torch.from_numpy(resolution),
        rounding=moments.rounding,
        supposed=[candidates[j] for j in basis.undecided],
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
    penalty: list[Fraction] = []
    if options.ridge:
        penalty = [Fraction(options.ridge) * weight / Fraction(2) ** (2 * u) for u in units[:r]]
    diagonal = second.diagonal().tolist()
    for j, more in enumerate(penalty):
        diagonal[j] = math.ceil(diagonal[j] + more)
    shifts = [(max(v, 1).bit_length() + 1) // 2 for v in diagonal]
    penalty_bits = [p.denominator.bit_length() // 2 + 1 for p in penalty]
    places = max([max(shifts) + ROOM, *map(add, shifts, penalty_bits)])
    grow = [places - s for s in shifts]
    powers = np.array([1 << g for g in grow], object)
    matrix = second * powers * powers[:, None]
    for j, more in enumerate(penalty):
        matrix[j, j] += int(more * (1 << 2 * grow[j]))
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
