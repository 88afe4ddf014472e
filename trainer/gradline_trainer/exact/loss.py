"""The loss in exact arithmetic, and enclosures of the coefficients it leads to.

The loop's parameters are a float64 correction: before each epoch the loss adds it to weights that
it holds as whole numbers, and sets it to 0. The gradient is computed from exact moments without any
rounding but the last, so each epoch gains as many bits as the factor has digits to spare, until
every coefficient's enclosure rounds to one float64. This is iterative refinement (Wilkinson, 1963;
Higham, Accuracy and Stability, ch. 12) as gradient descent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.coordinates import Coordinates
from gradline_trainer.exact.integers import Integers, align, ratio, whole
from gradline_trainer.exact.inverse import ExactNormal, approximate_inverse
from gradline_trainer.exact.moments import ExactMoments
from gradline_trainer.exact.system import MOST_ELIMINATED, ExactSystem, state_exactly
from gradline_trainer.moments import Moments
from gradline_trainer.options import Options
from gradline_trainer.rounding import Rounding, relative_noise

__all__ = ["ExactLoss", "ExactSolution", "Quadratic"]

Array = NDArray[np.float64]
GRID = 320  # bits after the point of the scaled weights
# An enclosure that holds 0 and is below 2^−200 of the target's scale means 0. So small that no
# rounding of the factor, but the coefficient itself, decides between 0 and a tiny number.
NEGLIGIBLE = 200


@dataclass(frozen=True)
class Coefficient:
    """What is known of one weight or bias: that it is in (centre ± radius)·2^exponent/denominator.

    In whole numbers, since fractions of Python's own take ten times as long.

    Attributes:
        radius: None where nothing is known.
        negligible: An enclosure up to this radius that contains 0 means 0.
    """

    centre: int
    radius: int | None
    negligible: int
    exponent: int
    denominator: int = 1

    @property
    def zero(self) -> bool:
        """Whether it is 0 because a negligible enclosure contains 0."""
        return self.radius is not None and abs(self.centre) <= self.radius <= self.negligible

    @property
    def certified(self) -> bool:
        """Whether its whole enclosure rounds to `value`."""
        if self.radius is None:
            return False
        low, high = self.centre - self.radius, self.centre + self.radius
        return self.zero or self._rounded(low) == self._rounded(high)

    @property
    def value(self) -> float:
        """The coefficient, correctly rounded where `certified`."""
        return 0.0 if self.zero else self._rounded(self.centre)

    @property
    def rest(self) -> float:
        """What rounding took from the value, to float64's precision."""
        if self.zero:
            return 0.0
        numerator, denominator = self.value.as_integer_ratio()
        up, down = max(self.exponent, 0), max(-self.exponent, 0)
        left = (self.centre * denominator << up) - (numerator * self.denominator << down)
        return left / (self.denominator * denominator << down)

    def _rounded(self, numerator: int) -> float:
        return ratio(numerator, self.denominator, self.exponent)


@dataclass(frozen=True)
class ExactSolution:
    """The correctly rounded solution, and what is known of it.

    Attributes:
        weights: W, shape (k, d), float64; features left out have weight 0.
        bias: b, shape (k,), float64.
        weights_rest: What rounding took from W: W + weights_rest has about 106 bits.
        bias_rest: What rounding took from b.
        uncertified: [target, feature] places of coefficients whose enclosure does not round to one
            float64; the feature is d for the bias.
        zeros: Places of coefficients returned as 0 since a negligible enclosure contains it.
        residual_squares: Σw·residual² of each target at the exact solution, to about the last
            bit, shape (k,); a ridge penalty is part of it.
        least: The loss at the exact solution; None where nothing bounds the rounding of the
            factor.
        normal: Gives (XᵀWX)⁻¹; None for more features than are eliminated in integers.
    """

    weights: Tensor
    bias: Tensor
    weights_rest: Tensor
    bias_rest: Tensor
    uncertified: list[tuple[int, int]]
    zeros: list[tuple[int, int]]
    residual_squares: Array
    least: float | None
    normal: ExactNormal | None


class ExactLoss:
    """The loss and its gradient at weights of any precision.

    Attributes:
        coordinates: That the loop runs in: whitened.
        working: The weights moved so far, in scaled unknowns, in units of 2^−GRID, shape (r, k).
    """

    resolution = 0.0

    def __init__(self, coordinates: Coordinates, system: ExactSystem) -> None:
        self.coordinates = coordinates
        self.system = system
        self.working: Integers = np.zeros(system.right.shape, object)
        self._residual: Integers = system.right * (1 << GRID)
        self._scale = system.target_scale()
        self._centre = torch.zeros(len(self._scale), dtype=torch.float64)  # the bias so far
        self._known: tuple[list[list[Coefficient]], list[Coefficient]] | None = None
        self._inverse, self._slack = approximate_inverse(system, coordinates.problem.factor)

    @classmethod
    def of(
        cls, exact: ExactMoments, moments: Moments, features: int, options: Options
    ) -> ExactLoss:
        """Return the loss that exact moments state; see `state_exactly`."""
        problem, system = state_exactly(exact, moments, features, options)
        return cls(Coordinates(problem, "whiten"), system)

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Return the loss at what was moved so far and weights (k, r), bias (k,), now moved too."""
        factor = self.coordinates.problem.factor
        with torch.no_grad():
            step = torch.linalg.solve_triangular(factor, weights, upper=False, left=False).numpy()
            self.working = self.working + whole(step.T / self._scale, GRID)
            self._centre += bias
            weights.zero_()
            bias.zero_()
        try:
            answer = self._value_and_gradient()
        except OverflowError:  # of a run that diverges
            answer = torch.tensor(torch.inf, dtype=torch.float64), weights * 0, bias * 0
        loss: Tensor = Quadratic.apply(weights, bias, *answer)  # type: ignore[no-untyped-call]
        return loss

    def rounding(self, weights: Tensor, bias: Tensor, value: float) -> Rounding:
        """Bound what rounding did to the gap: the gradient is exact, the factor is not."""
        r, k = self.working.shape
        noise = relative_noise(r, 1) * float(np.linalg.norm(self._inverse))
        return Rounding(self._slack + noise, torch.zeros(k, dtype=torch.float64), 0.0, math.inf)

    def certified(self) -> bool:
        """Return whether every coefficient is known to its last bit, and keep them if so."""
        weights, bias = self.coefficients()
        done = all(c.certified for row in [*weights, bias] for c in row)
        self._known = (weights, bias) if done else None
        return done

    def coefficients(self) -> tuple[list[list[Coefficient]], list[Coefficient]]:
        """Return the weights of the active features, shape (k, r), and the biases, (k,) or ()."""
        system = self.system
        radius = self._enclosure() if self._slack < 1 / 2 else None
        weights = [
            [
                Coefficient(
                    int(self.working[j, t]),
                    None if radius is None else int(radius[j, t]),
                    negligible=1 << (GRID - NEGLIGIBLE),
                    exponent=own - exponent - GRID,
                )
                for j, exponent in enumerate(system.feature_exponents)
            ]
            for t, own in enumerate(system.target_exponents)
        ]
        if not system.bias:
            return weights, []
        return weights, [
            self._bias(t, None if radius is None else radius[:, t]) for t in range(len(weights))
        ]

    def solution(self, features: int) -> ExactSolution:
        """Return the coefficients of all d features and the bias."""
        k, d = len(self._scale), features
        hi, lo = torch.zeros(2, k, d + 1, dtype=torch.float64)
        weights, biases = self._known or self.coefficients()
        places = [*self.coordinates.problem.active.tolist(), d]
        uncertified, zeros = [], []
        for t, row in enumerate(weights):
            for j, found in zip(places, [*row, *biases[t : t + 1]], strict=False):
                hi[t, j], lo[t, j] = found.value, found.rest
                if not found.certified:
                    uncertified.append((t, j))
                if found.zero:
                    zeros.append((t, j))
        normal = ExactNormal(self.system, self._inverse, places[:-1])
        least = self._least_squares()
        weight = ratio(self.system.weight, 1, 2 * self.system.unit)
        return ExactSolution(
            hi[:, :d],
            hi[:, d],
            lo[:, :d],
            lo[:, d],
            uncertified,
            zeros,
            least * self._scale**2 * weight,
            self._total(least) / k if self._slack < 1 / 2 else None,
            normal if len(self._inverse) <= MOST_ELIMINATED else None,
        )

    def _least_squares(self) -> Array:
        """Return the scaled mean of residual² of each target at the exact solution, shape (k,).

        At the weights that the loop ended with it is more by ρᵀA⁻¹ρ, ρ = B − A·w, which is ‖Tρ‖²
        but for a share of at most `_slack`. What that may explain entirely is 0.
        """
        one = 1 << (2 * self.system.places + 2 * GRID)  # ρ is in units of 2^(−2·places − GRID)
        found = (self._squares / one).astype(np.float64)
        residual = self._rounded(self._residual)
        step = self._inverse @ residual
        excess = np.square(step).sum(axis=0)
        rounding = relative_noise(len(residual), 1) * (np.abs(self._inverse) @ np.abs(residual))
        most = np.square(np.abs(step) + rounding).sum(axis=0) / max(1 - self._slack, 0.5)
        least: Array = np.where(found <= most, 0.0, found - excess)
        return least

    def _total(self, squares: Array) -> float:
        """Return the sum of the targets' scaled mean squares, shape (k,), in their own units."""
        return float(sum(q * s * s for q, s in zip(squares, self._scale, strict=True)))

    def _bias(self, target: int, radius: Integers | None) -> Coefficient:
        """Return the bias, the mean of y − W·x."""
        system = self.system
        exponent = system.target_exponents[target]
        # sums · 2^(feature unit + unit) · w · 2^(target exponent − feature exponent − GRID)
        powers = [
            u - e for u, e in zip(system.feature_units, system.feature_exponents, strict=True)
        ]
        own = system.target_units[target] - exponent + GRID
        least = min([*powers, own])
        sums = align(system.sums, np.array([p - least for p in powers], np.int64))
        total = (system.target_sums[target] << (own - least)) - sums.dot(self.working[:, target])
        power = least + exponent - GRID - system.unit
        numerator, denominator = float(self._scale[target]).as_integer_ratio()
        up, down = max(power, 0), max(-power, 0)
        return Coefficient(
            int(total),
            None if radius is None else int(np.abs(sums).dot(radius)),
            # scale · 2^−NEGLIGIBLE in units of 2^power / weight
            negligible=(numerator * system.weight << down) // (denominator << (up + NEGLIGIBLE)),
            exponent=power,
            denominator=int(system.weight),
        )

    def _rounded(self, residual: Integers) -> Array:
        one = 1 << (2 * self.system.places + GRID)
        rounded: Array = (residual / one).astype(np.float64)
        return rounded

    def _value_and_gradient(self) -> tuple[Tensor, Tensor, Tensor]:
        problem, system, k = self.coordinates.problem, self.system, len(self._scale)
        residual = system.right * (1 << GRID) - system.matrix.dot(self.working)
        self._residual = residual  # B − A·w, shape (r, k), in units of 2^(−2·places − GRID)
        squares = system.power * (1 << (2 * GRID))
        squares = squares - (self.working * (system.right * (1 << GRID) + residual)).sum(axis=0)
        self._squares = (
            squares  # scaled mean squares of y − W·x, (k,), in units of 2^(−2·places − 2·GRID)
        )
        one = 1 << (2 * system.places + 2 * GRID)
        value = self._total((squares / one).astype(np.float64))
        by_raw = torch.from_numpy(-2 / k * self._rounded(residual).T * self._scale[:, None])
        by_weights = torch.linalg.solve_triangular(problem.factor, by_raw.T, upper=False).T
        offset = (self._centre - problem.target_centre) * problem.bias
        value = (value + float(offset.square().sum())) / k
        return torch.tensor(value, dtype=torch.float64), by_weights, 2 / k * offset

    def _enclosure(self) -> Integers:
        """Return e ≥ |w − exact w|, shape (r, k), in units of 2^−GRID.

        With any T and E = T·A·Tᵀ − I, the error A⁻¹ρ is Tᵀ(I + E)⁻¹Tρ, each entry of which is
        at most ‖column of T‖·‖Tρ‖/(1 − ‖E‖) (after Rump, Acta Numerica, 2010).
        """
        residual = np.abs(self._rounded(self._residual)) + np.finfo(np.float64).tiny
        reach = np.linalg.norm(np.abs(self._inverse) @ residual, axis=0)
        widths = np.linalg.norm(self._inverse, axis=0)
        bound = np.multiply.outer(widths, reach) / (1 - self._slack) * (1 + 1e-9)
        return whole(bound, GRID) + 1


class Quadratic(torch.autograd.Function):
    """A loss whose value and gradient were computed elsewhere."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, bias: Tensor, value: Tensor, by_weights: Tensor, by_bias: Tensor
    ) -> Tensor:
        """Return the value."""
        ctx.save_for_backward(by_weights, by_bias)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients by weights and bias."""
        by_weights, by_bias = ctx.saved_tensors
        return above * by_weights, above * by_bias, None, None, None
