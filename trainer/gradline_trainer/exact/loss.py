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
    Optimality,
    certify,
    refuse_divergence,
    root_gap,
)
from gradline_trainer.descent.loop import Descent
from gradline_trainer.descent.losses import KnownHessian, Quadratic, Solution
from gradline_trainer.descent.problem import EPSILON
from gradline_trainer.descent.rounding import Rounding, relative_noise
from gradline_trainer.exact.basis import Basis
from gradline_trainer.exact.coefficients import Coefficient, Unknowns
from gradline_trainer.exact.folding import Folding
from gradline_trainer.exact.integers import Integers, nearest_whole, ratio, to_float, whole
from gradline_trainer.exact.inverse import MOST_INVERTED, ExactNormal, approximate_inverse
from gradline_trainer.exact.moments import ExactMoments
from gradline_trainer.exact.solution import ExactSolution
from gradline_trainer.exact.system import ExactSystem, state_exactly
from gradline_trainer.moments.moments import Moments
from gradline_trainer.options import Options

Array = NDArray[np.float64]
GRID = 320  # fractional bits of the scaled weights


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
        self._residual: Integers = system.right * (1 << GRID)
        self._scale = system.scales(system.target_exponents)
        self._centre = torch.zeros(len(self._scale), dtype=torch.float64)  # the bias so far
        self._known: tuple[list[list[Coefficient]], list[Coefficient]] | None = None
        self._inverse, self._slack = approximate_inverse(system, self._factor)
        self._bounded = self._slack < 1 / 2  # else T is too inaccurate for enclosures
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
            step = torch.linalg.solve_triangular(self._factor, weights, upper=False, left=False)
            self.working = self.working + nearest_whole(step.numpy().T / self._scale, GRID)
            self._centre += bias
            weights.zero_()
            bias.zero_()
        try:
            answer = self._value_and_gradient()
        except OverflowError:  # the run diverges
            answer = torch.tensor(torch.inf, dtype=torch.float64), weights * 0, bias * 0
        loss: Tensor = Quadratic.apply(weights, bias, *answer)  # type: ignore[no-untyped-call]
        return loss

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
        # Measuring the final loss also adds the loop's last step to the weights that `self` holds.
        found, converged = certify(self, descent, options, resolution=0.0)
        refuse_divergence(self.coordinates, descent, found.loss, options, features)
        exact, history = self.solution(len(features)), descent.history
        if exact.least is not None:
            # float64 resolves the remaining gap only to a share of the starting loss.
            unseen = EPSILON * history[0]
            history = [v if v - exact.least > unseen else exact.least for v in history]
        found = _known_exactly(found, exact)
        if self.coordinates.problem.supposed:
            found = replace(found, weights_error=None)
        converged = converged or not exact.uncertified
        return Solution(exact.weights, exact.bias, history, found, converged, exact)

    def certified(self) -> bool:
        """Decide whether every coefficient is known to its last bit; if so, keep them."""
        if not self._bounded:
            return False
        weights, bias = self._coefficients()
        done = all(c.certified for row in [*weights, bias] for c in row)
        self._known = (weights, bias) if done else None
        return done

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
        hi, lo = torch.zeros(2, k, d + 1, dtype=torch.float64)
        weights, biases = self._known or self._coefficients()
        problem = self.coordinates.problem
        active = problem.active.tolist()
        places = [*active, *(problem.dependent if self._folding else []), d]
        uncertified, zeros = [], []
        for t, row in enumerate(weights):
            for j, found in zip(places, [*row, *biases[t : t + 1]], strict=False):
                hi[t, j], lo[t, j] = found.value, found.rest
                if not (self._bounded and found.certified):
                    uncertified.append((t, j))
                elif found.zero:
                    zeros.append((t, j))
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
        residual = self._rounded(self._residual, GRID)
        step = self._inverse @ residual
        excess = np.square(step).sum(axis=0)
        rounding = relative_noise(len(residual), 1) * (np.abs(self._inverse) @ np.abs(residual))
        most = np.square(np.abs(step) + rounding).sum(axis=0) / max(1 - self._slack, 0.5)
        least: Array = np.where(found <= most, 0.0, found - excess)
        return least

    def _total(self, squares: Array) -> float:
        """Sum the targets' scaled mean squares, shape (k,), in the targets' own units."""
        return float(sum(q * s * s for q, s in zip(squares, self._scale, strict=True)))

    def _rounded(self, residual: Integers, grid: int) -> Array:
        return to_float(residual, 2 * self.system.places + grid)

    def _value_and_gradient(self) -> tuple[Tensor, Tensor, Tensor]:
        problem, system, k = self.coordinates.problem, self.system, len(self._scale)
        right = system.right * (1 << GRID)
        # B − A·w, shape (r, k), in units of 2^(−2·places − GRID)
        self._residual = right - system.matrix.dot(self.working)
        # scaled mean squares of y − W·x, shape (k,), in units of 2^(−2·places − 2·GRID)
        explained = (self.working * (right + self._residual)).sum(axis=0)
        self._squares = system.power * (1 << (2 * GRID)) - explained
        value = self._total(to_float(self._squares, 2 * system.places + 2 * GRID))
        rounded = self._rounded(self._residual, GRID)
        by_raw = torch.from_numpy(-2 / k * rounded.T * self._scale[:, None])
        by_weights = torch.linalg.solve_triangular(self._factor, by_raw.T, upper=False).T
        offset = (self._centre - problem.target_centre) * problem.bias
        value = (value + float(offset.square().sum())) / k
        return torch.tensor(value, dtype=torch.float64), by_weights, 2 / k * offset

    def _enclosure(self, residual: Integers, grid: int) -> Integers:
        """Bound |w − exact w|, shape (r, k), in units of 2^−grid; meaningless unless `_bounded`.

        With any T and E = T·A·Tᵀ − I, the error A⁻¹ρ is Tᵀ(I + E)⁻¹Tρ. Each of its entries is at
        most ‖column of T‖·‖Tρ‖/(1 − ‖E‖) (after Rump, Acta Numerica, 2010).
        """
        if not self._bounded:
            return residual * 0
        rounded = np.abs(self._rounded(residual, grid)) + np.finfo(np.float64).tiny
        reach = np.linalg.norm(np.abs(self._inverse) @ rounded, axis=0)
        widths = np.linalg.norm(self._inverse, axis=0)
        bound = np.multiply.outer(widths, reach) / (1 - self._slack) * (1 + 1e-9)
        # If nothing is left, the solution is exact, even midway between two floats.
        left: Integers = (residual != 0).any(axis=0)
        return (whole(bound, grid) + 1) * left


def _known_exactly(found: Optimality, exact: ExactSolution) -> Optimality:
    """Replace float64's measurements by exact results.

    If every coefficient is certified, the weights are optimal, and their measured distance from the
    optimum is rounding noise.
    """
    least = exact.least
    if least is not None and not exact.uncertified:
        return replace(
            found,
            loss=least,
            gap=0.0,
            gradient_norm=0.0,
            epochs_to_go=0,
            rmse_at_optimum=math.sqrt(least),
            rmse_gap=0.0,
            weights_error=EPSILON * _norm(exact.weights),
        )
    if least is None or found.gap is None:
        return replace(found, rmse_at_optimum=None, rmse_gap=None, weights_error=None)
    apart = root_gap(found.loss, least, found.gap)
    return replace(found, rmse_at_optimum=math.sqrt(least), rmse_gap=apart, weights_error=None)


def _norm(weights: Tensor) -> float:
    """Compute the Frobenius norm, also of weights whose squares overflow."""
    most = weights.abs().max()
    return float(most * (weights / most).norm()) if most else 0.0
