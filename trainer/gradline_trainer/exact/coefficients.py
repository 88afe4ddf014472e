"""Weights and biases as intervals of whole numbers, and their rounded values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradline_trainer.exact.integers import Integers, align, ratio
from gradline_trainer.exact.system import ExactSystem

# An enclosure that contains 0 and is below 2^−200 of the target's scale means 0. The limit is so
# small that the coefficient itself, not a rounding of the factor, decides between 0 and a tiny
# number.
NEGLIGIBLE = 200


@dataclass(frozen=True)
class Coefficient:
    """An enclosure of one weight or bias: (centre ± radius)·2^exponent/denominator.

    It uses whole numbers, because Python's fractions take ten times as long.

    Attributes:
        negligible: An enclosure up to this radius that contains 0 means 0.
    """

    centre: int
    radius: int
    negligible: int
    exponent: int
    denominator: int = 1

    @property
    def zero(self) -> bool:
        """Whether it is 0 because a negligible enclosure contains 0."""
        return abs(self.centre) <= self.radius <= self.negligible

    @property
    def certified(self) -> bool:
        """Whether its whole enclosure rounds to `value`."""
        low, high = self.centre - self.radius, self.centre + self.radius
        return self.zero or self._rounded(low) == self._rounded(high)

    @property
    def value(self) -> float:
        """The coefficient, correctly rounded if `certified`."""
        return 0.0 if self.zero else self._rounded(self.centre)

    @property
    def rest(self) -> float:
        """The rounding error of `value`, to float64's precision."""
        if self.zero:
            return 0.0
        numerator, denominator = self.value.as_integer_ratio()
        up, down = max(self.exponent, 0), max(-self.exponent, 0)
        left = (self.centre * denominator << up) - (numerator * self.denominator << down)
        return left / (self.denominator * denominator << down)

    def _rounded(self, numerator: int) -> float:
        return ratio(numerator, self.denominator, self.exponent)


@dataclass(frozen=True)
class Unknowns:
    """Enclosures of the weights W = centres · 2^(targets' exponents − exponents − fraction).

    Attributes:
        system: The system that they solve, with the targets and the features' sums.
        places: The features' places among those of the system.
        centres: Shape (features, k).
        radius: A bound on the error of each, shape (features, k).
        exponents: The features' exponents.
        fraction: The number of fractional bits.
    """

    system: ExactSystem
    places: list[int]
    centres: Integers
    radius: Integers
    exponents: list[int]
    fraction: int

    def weights(self) -> list[list[Coefficient]]:
        """Enclose the weights of each target."""
        # A feature's own exponent determines what is negligible for the target.
        own = [self.system.feature_exponents[j] for j in self.places]
        return [
            [
                Coefficient(
                    int(self.centres[i, t]),
                    int(self.radius[i, t]),
                    negligible=1 << max(self.fraction - NEGLIGIBLE + e - own[i], 0),
                    exponent=exponent - e - self.fraction,
                )
                for i, e in enumerate(self.exponents)
            ]
            for t, exponent in enumerate(self.system.target_exponents)
        ]

    def biases(self) -> list[Coefficient]:
        """Enclose each target's bias, the mean of y − W·x; return none without a bias."""
        if not self.system.bias:
            return []
        return [self._bias(t) for t in range(len(self.system.target_exponents))]

    def _bias(self, target: int) -> Coefficient:
        system = self.system
        exponent = system.target_exponents[target]
        # sums · 2^(feature unit + unit) · w · 2^(target exponent − feature exponent − fraction)
        powers = [
            system.feature_units[j] - e for j, e in zip(self.places, self.exponents, strict=True)
        ]
        own = system.target_units[target] - exponent + self.fraction
        least = min([*powers, own])
        sums = align(system.sums[self.places], np.array(powers, np.int64) - least)
        total = (system.target_sums[target] << (own - least)) - sums.dot(self.centres[:, target])
        power = least + exponent - self.fraction - system.unit
        scale = ratio(1, system.weight, exponent - system.unit)
        numerator, denominator = scale.as_integer_ratio()
        up, down = max(power, 0), max(-power, 0)
        return Coefficient(
            int(total),
            int(np.abs(sums).dot(self.radius[:, target])),
            # scale · 2^−NEGLIGIBLE in units of 2^power / weight
            negligible=(numerator * system.weight << down) // (denominator << (up + NEGLIGIBLE)),
            exponent=power,
            denominator=int(system.weight),
        )
