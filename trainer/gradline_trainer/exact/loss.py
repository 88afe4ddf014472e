"""The loss in exact arithmetic, and enclosures of the coefficients.

The loop's parameters are a float64 correction: before each epoch the loss adds it to weights that
it holds as whole numbers, and sets it to 0. The gradient is computed from exact moments and rounded
once. So each epoch gains as many bits as the factor has to spare, until every coefficient's
enclosure rounds to one float64. This is iterative refinement (Wilkinson, 1963; Higham, Accuracy and
Stability, ch. 12) as gradient descent.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.descent.coordinates import Coordinates
from gradline_trainer.descent.diagnosis import (
    certify,
    refuse_divergence,
)
from gradline_trainer.descent.loop import Descent
from gradline_trainer.descent.losses import KnownHessian, Quadratic, Solution
from gradline_trainer.descent.problem import EPSILON
from gradline_trainer.descent.rounding import Rounding, relative_noise
from gradline_trainer.exact.basis import Basis
from gradline_trainer.exact.coefficients import NEGLIGIBLE, Coefficient, Unknowns
from gradline_trainer.exact.folding import Folding
from gradline_trainer.exact.integers import Integers, nearest_whole, ratio, to_float, whole
from gradline_trainer.exact.inverse import MOST_INVERTED, ExactNormal, approximate_inverse
from gradline_trainer.exact.moments import ExactMoments
from gradline_trainer.exact.optimality import at_optimum, with_least
from gradline_trainer.exact.solution import ExactSolution
from gradline_trainer.exact.system import ExactSystem, state_exactly
from gradline_trainer.moments.moments import Moments
from gradline_trainer.options import Options

Array = NDArray[np.float64]
GRID = 320  # fractional bits of the scaled weights
TINY = 2.0**-1022


class ExactLoss(KnownHessian):
    """The loss and its gradient at weights of any precision.

    Attributes:
        coordinates: The loop's coordinates: whitened.
        system: The system of the basis' vectors.
        working: The current weights of these vectors, in units of 2^−GRID, shape (r, k).
    """

    def __init__(self, coordinates: Coordinates, system: ExactSystem, basis: Basis) -> None:
        self.coordinates = coordinates
        self.system = system
        self._basis = basis
        self.working: Integers = np.zeros(system.right.shape, object)
        self._factor = basis.factor
        self._right: Integers = system.right * (1 << GRID)
        self._power: Integers = system.power * (1 << (2 * GRID))
        self._scale = system.scales(system.target_exponents)
        self._target_centre = coordinates.problem.target_centre.numpy()
        self._centre = np.zeros(len(self._scale))  # the bias so far
        self._known: tuple[list[list[Coefficient]], list[Coefficient]] | None = None
        self._inverse, self._slack = approximate_inverse(system, self._factor)
        self._bounded = self._slack < 1 / 2  # else T is too inaccurate for enclosures
        self._widths = np.sqrt(np.square(self._inverse).sum(axis=0)) * (1 + 1e-9)
        self._folding: Folding | None = None

    @classmethod
    def of(
        cls, exact: ExactMoments, moments: Moments, features: int, options: Options
    ) -> ExactLoss:
        """Build the loss from exact moments; see `state_exactly`."""
        problem, system, basis = state_exactly(exact, moments, features, options)
        loss = cls(Coordinates(problem, "whiten"), system.in_basis(basis), basis)
        if problem.dependent and options.dependent == "minimum-norm":
            dependent = sorted(set(range(len(system.matrix))) - set(basis.kept))
            of_features = loss._solve(system.with_targets(dependent).in_basis(basis))
            loss._folding = Folding.of(of_features, dependent)
            found = replace(problem, dependence=loss._folding.rounded())
            loss.coordinates = Coordinates(found, "whiten")
        return loss

    def __call__(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Add weights (k, r) and bias (k,) to the exact ones, set them to 0; compute the loss."""
        with torch.no_grad():
            try:
                self._add(weights.numpy(), bias.numpy())
                value, answer = self._value(), self._gradient()
            except OverflowError:  # the run diverges
                value, answer = math.inf, (torch.zeros_like(weights), torch.zeros_like(bias))
            weights.zero_()
            bias.zero_()
        known = torch.tensor(value, dtype=torch.float64), *answer
        loss: Tensor = Quadratic.apply(weights, bias, *known)  # type: ignore[no-untyped-call]
        return loss

    def _add(self, weights: Array, bias: Array) -> None:
        """Add a step to the exact weights; compute the residual and the mean squares there."""
        step = (weights @ self._inverse).T / self._scale
        if step.any():
            self.working = self.working + nearest_whole(step, GRID)
        self._centre = self._centre + bias
        # B − A·w, shape (r, k), in units of 2^(−2·places − GRID)
        self._residual = self._right - self.system.matrix.dot(self.working)
        # scaled mean squares of y − W·x, shape (k,), in units of 2^(−2·places − 2·GRID)
        explained = (self.working * (self._right + self._residual)).sum(axis=0)
        self._squares = self._power - explained
        self._rounded_residual = self._rounded(self._residual, GRID)

    def _solve(self, system: ExactSystem) -> Unknowns:
        """Solve a system of the same basis with other targets, as precisely as possible."""
        # If vectors represent the features, their rounding errors are multiplied too.
        grid = GRID + 2 * self._basis.bits
        right = residual = system.right * (1 << grid)
        working, before, left = right * 0, None, int(np.abs(right).max(initial=0))
        while left and (before is None or 2 * left < before):
            rounded = torch.from_numpy(self._rounded(residual, grid))
            step = torch.cholesky_solve(rounded, self._factor)
            working = working + nearest_whole(step.numpy(), grid)
            residual = right - system.matrix.dot(working)
            before, left = left, int(np.abs(residual).max(initial=0))
        return self._unknowns(system, working, residual, grid)

    def rounding(self, weights: Tensor, bias: Tensor, value: float) -> Rounding:
        """Bound the rounding error of the gap: the gradient is exact, the factor is not."""
        r, k = self.working.shape
        noise = relative_noise(r, 1) * float(np.linalg.norm(self._inverse))
        return Rounding(self._slack + noise, torch.zeros(k, dtype=torch.float64), 0.0, math.inf)

    def enough(self, by_weights: Tensor, by_bias: Tensor, value: float, tolerance: float) -> bool:
        """See `descent.losses.Loss`."""
        return tolerance > 0 and self.certified()

    def conclude(self, descent: Descent, options: Options, features: list[str]) -> Solution:
        """See `descent.losses.Loss`."""
        if self._known is None:  # measuring the final loss also adds the loop's last step
            found, converged = certify(self, descent, options, resolution=0.0)
            last = found.loss
        else:
            found, converged = None, True
            self._add(descent.weights.numpy(), descent.bias.numpy())
            last = self._value()
        refuse_divergence(self.coordinates, descent, last, options, features)
        exact, history = self.solution(len(features)), descent.history
        least = exact.least
        if least is not None:
            # float64 resolves the remaining gap only to a share of the starting loss.
            unseen = EPSILON * history[0]
            history = [v if v - least > unseen else least for v in history]
        if least is not None and not exact.uncertified:
            found = at_optimum(exact, least, self.coordinates)
        else:
            assert found is not None  # noqa: S101 - certified weights have bounds
            found = with_least(found, least)
        if self.coordinates.problem.supposed:
            found = replace(found, weights_error=None)
        converged = converged or not exact.uncertified
        return Solution(exact.weights, exact.bias, history, found, converged, exact)

    def certified(self) -> bool:
        """Decide whether every coefficient is known to its last bit; if so, keep them."""
        if not self._bounded or self._is_too_wide():
            return False
        weights, bias = self._coefficients()
        done = all(c.certified for row in [*weights, bias] for c in row)
        self._known = (weights, bias) if done else None
        return done

    def _is_too_wide(self) -> bool:
        """Check in float64 whether some weight's enclosure can't round to one float64."""
        if self._basis.rows is not None or self._folding is not None:
            return False
        size = np.abs(to_float(self.working, GRID))
        bound = self._bound(self._rounded_residual)
        return bool(((bound > 2.0**-52 * size) & (bound > 2.0**-NEGLIGIBLE)).any())

    def _coefficients(self) -> tuple[list[list[Coefficient]], list[Coefficient]]:
        """Compute the weights, shape (k, features), and the biases, (k,) or ().

        The weights of the active features come first. With minimum norm, those of the dependent
        features follow.
        """
        unknowns = self._unknowns(self.system, self.working, self._residual, GRID)
        if self._folding is not None:
            unknowns = self._folding.fold(unknowns)
        return unknowns.weights(), unknowns.biases()

    def _unknowns(
        self, system: ExactSystem, working: Integers, residual: Integers, grid: int
    ) -> Unknowns:
        basis = self._basis
        return Unknowns(
            system,
            basis.kept,
            basis.feature_unknowns(working),
            basis.feature_radius(self._enclosure(residual, grid)),
            [system.feature_exponents[j] for j in basis.kept],
            grid + basis.bits,
        )

    def solution(self, features: int) -> ExactSolution:
        """Round the coefficients of all d features and the bias."""
        k, d = len(self._scale), features
        values = np.zeros((2, k, d + 1))
        weights, biases = self._known or self._coefficients()
        known = self._known is not None
        problem = self.coordinates.problem
        active = problem.active.tolist()
        places = [*active, *(problem.dependent if self._folding else []), d]
        uncertified, zeros = [], []
        for t, row in enumerate(weights):
            for j, found in zip(places, [*row, *biases[t : t + 1]], strict=False):
                values[:, t, j] = found.value, found.rest
                if not (known or (self._bounded and found.certified)):
                    uncertified.append((t, j))
                elif found.zero:
                    zeros.append((t, j))
        hi, lo = torch.from_numpy(values)
        normal = ExactNormal(self.system, self._basis, self._inverse, active)
        least = self._least_squares()
        weight = ratio(self.system.weight, 1, 2 * self.system.unit)
        return ExactSolution(
            hi[:, :d],
            hi[:, d],
            lo[:, :d],
            lo[:, d],
            sorted(uncertified),
            sorted(zeros),
            least * self._scale**2 * weight,
            self._total(least) / k if self._bounded else None,
            normal if len(self._inverse) <= MOST_INVERTED else None,
        )

    def _least_squares(self) -> Array:
        """Compute each target's scaled mean of residual² at the exact solution, shape (k,).

        At the loop's last weights the mean is larger by ρᵀA⁻¹ρ, with ρ = B − A·w. This excess is
        ‖Tρ‖² within a relative `_slack`. If it may explain the whole mean, the mean is 0.
        """
        found = to_float(self._squares, 2 * self.system.places + 2 * GRID)
        residual = self._rounded_residual
        step = self._inverse @ residual
        excess = np.square(step).sum(axis=0)
        rounding = relative_noise(len(residual), 1) * (np.abs(self._inverse) @ np.abs(residual))
        most = np.square(np.abs(step) + rounding).sum(axis=0) / max(1 - self._slack, 0.5)
        least: Array = np.where(found <= most, 0.0, found - excess)
        return least

    def _total(self, squares: Array) -> float:
        """Sum the targets' scaled mean squares, shape (k,), in the targets' own units."""
        scales = self._scale.tolist()
        return float(sum(q * s * s for q, s in zip(squares.tolist(), scales, strict=True)))

    def _rounded(self, residual: Integers, grid: int) -> Array:
        return to_float(residual, 2 * self.system.places + grid)

    @property
    def _offset(self) -> Array:
        """How far the bias is from the targets' means, shape (k,)."""
        found: Array = (self._centre - self._target_centre) * self.coordinates.problem.bias
        return found

    def _value(self) -> float:
        """Compute the loss at the exact weights, rounded."""
        squares = to_float(self._squares, 2 * self.system.places + 2 * GRID)
        offset = self._offset
        return (self._total(squares) + float(offset @ offset)) / len(offset)

    def _gradient(self) -> tuple[Tensor, Tensor]:
        """Compute the gradient by the loop's weights and bias at the exact ones, rounded."""
        k = len(self._scale)
        by_raw = -2 / k * self._rounded_residual * self._scale
        by_weights = torch.from_numpy((self._inverse @ by_raw).T)
        return by_weights, torch.from_numpy(2 / k * self._offset)

    def _enclosure(self, residual: Integers, grid: int) -> Integers:
        """Bound |w − exact w|, shape (r, k), in units of 2^−grid; meaningless unless `_bounded`.

        With any T and E = T·A·Tᵀ − I, the error A⁻¹ρ is Tᵀ(I + E)⁻¹Tρ. Each of its entries is at
        most ‖column of T‖·‖Tρ‖/(1 − ‖E‖) (after Rump, Acta Numerica, 2010).
        """
        if not self._bounded:
            return residual * 0
        bound = self._bound(self._rounded(residual, grid))
        # If nothing is left, the solution is exact, even midway between two floats.
        left: Integers = (residual != 0).any(axis=0)
        return (whole(bound, grid) + 1) * left

    def _bound(self, residual: Array) -> Array:
        """Bound |w − exact w| for a rounded residual, shape (r, k)."""
        rounded = np.abs(residual) + TINY
        reach = np.sqrt(np.square(np.abs(self._inverse) @ rounded).sum(axis=0))
        bound: Array = np.multiply.outer(self._widths, reach) / (1 - self._slack)
        return bound
