"""State a least-squares problem from a table's moments.

With a bias the problem is centred: the weights apply to x − μ, and the bias at μ is a separate
variable. Without one, nothing is centred. The loss is a quadratic with the Hessian (2/k)·N; the
normal matrix N is the (weighted) second moment of the features plus the ridge penalty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline_trainer.descent.dependence import Dependence, Rank
from gradline_trainer.descent.triangular import invert_triangular
from gradline_trainer.moments.moments import Moments, one_value
from gradline_trainer.options import Options

Array = NDArray[np.float64]
EPSILON = 2.0**-53
ITERATIONS = 8
LARGEST = 2.0**106  # the largest condition number that float64 can measure
NOTICED = 1e-9  # smaller scaled coefficients of a dependence may be rounding
FEW_FEATURES = 64  # up to so many features, one call of a library is faster than strips
STRIP = 256  # rows or columns of a large matrix that are computed together


@dataclass(frozen=True)
class ColumnProblem:
    """What a least-squares problem takes from each column alone, in float64.

    Attributes:
        active: Places of the r features that carry information among the d, ascending.
        constant: Places of features that have one value only, beside a bias.
        weight: Σw over the rows.
        centre: μ of the active features, shape (r,); 0 without a bias.
        power: The targets' second moment about their centre, shape (k,).
        penalty: ridge / Σw.
        scale: The square roots of the diagonal of N with its penalty, shape (r,).
        bias: Whether there is a bias.
    """

    active: Tensor
    constant: list[int]
    weight: float
    centre: Tensor
    power: Tensor
    penalty: float
    scale: Tensor
    bias: bool

    @property
    def targets(self) -> int:
        """The number of targets, k."""
        return len(self.power)

    @property
    def rank(self) -> Rank:
        """Which features are independent, and how the others get their weights."""
        return Rank(self.active.tolist(), [], [], None)


@dataclass(frozen=True)
class Problem(ColumnProblem):
    """A least-squares problem with its normal matrix, over linearly independent features.

    Attributes:
        dependent: Places of features that are linear in earlier ones, or too many for the rows.
        target_centre: Mean of the targets, shape (k,); 0 without a bias.
        normal: N without the penalty, shape (r, r).
        cross: The features' second moment with the targets, shape (r, k).
        factor: Lower Cholesky factor of N with its penalty, scaled to a unit diagonal, (r, r).
        resolution: The smallest mean squared residual of each target that the moments can
            distinguish from 0, shape (k,).
        rounding: The relative rounding of N, beyond the rounding of its sums.
        supposed: Those of the dependent features that a threshold judged, without proof.
        dependence: How the dependent ones follow from the active ones if they share the weights;
            None if the dependent ones get weight 0.
    """

    dependent: list[int]
    target_centre: Tensor
    normal: Tensor
    cross: Tensor
    factor: Tensor
    resolution: Tensor
    rounding: float = 0.0
    supposed: list[int] = field(default_factory=list)
    dependence: Dependence | None = None

    @cached_property
    def condition(self) -> float:
        """Estimated condition number of the features, scaled to unit deviation, to four digits.

        The features are centred if there is a bias. For few features it comes from the singular
        values, else from power and inverse iteration, which give a lower bound.
        """
        return float(f"{_condition(self):.4g}")

    @cached_property
    def inverse_factor(self) -> Tensor:
        """The inverse of the factor, lower triangular, shape (r, r)."""
        if len(self.factor) > FEW_FEATURES:
            return invert_triangular(self.factor)
        identity = torch.eye(len(self.factor), dtype=torch.float64)
        inverse: Tensor = torch.linalg.solve_triangular(self.factor, identity, upper=False)
        return inverse

    @property
    def rank(self) -> Rank:
        """Which features are independent, and how the others get their weights."""
        return Rank(self.active.tolist(), self.dependent, self.supposed, self.dependence)

    def scaled_normal(self) -> Tensor:
        """Compute N with its penalty, scaled to a unit diagonal, shape (r, r)."""
        penalised = self.normal + self.penalty * torch.eye(len(self.scale), dtype=torch.float64)
        return penalised / torch.outer(self.scale, self.scale)


def state_problem(moments: Moments, features: int, options: Options) -> Problem:
    """State the problem of the moments of [features, targets]; the ridge penalty is a number."""
    d = features
    second, mean, resolution = second_moments(moments, d, options)
    diagonal = second.diagonal()
    penalty = float(options.ridge) / moments.weight
    informative = informative_features(moments, second, d, options)
    candidates = np.flatnonzero(informative)
    scale = np.sqrt(diagonal[candidates] + penalty)
    every = len(candidates) == d  # then a slice, which is faster
    scaled = second[:d, :d].copy() if every else second[np.ix_(candidates, candidates)]
    np.fill_diagonal(scaled, scale**2)
    for k in range(0, len(scale), STRIP):
        scaled[k : k + STRIP] /= np.outer(scale[k : k + STRIP], scale)
    rank = len(candidates) if penalty else min(len(candidates), moments.rows - int(options.bias))
    limit = len(candidates) * (2.0**-50 + moments.rounding)
    any_order = rank < len(candidates) and options.dependent == "minimum-norm"
    kept, factor = _factorise(torch.from_numpy(scaled), rank, limit, any_order=any_order)
    active = candidates[kept]
    dependent = np.delete(candidates, kept)
    dependence = None
    if len(dependent) and options.dependent == "minimum-norm":
        rest = np.delete(np.arange(len(candidates)), kept)
        cross = scaled[kept][:, rest]
        dependence = _dependence(
            factor, cross, scale[kept], scale[rest], mean[active], mean[dependent]
        )
    normal, cross = _parts(second, active, d)
    return Problem(
        active=torch.from_numpy(active),
        constant=np.flatnonzero(~informative).tolist(),
        dependent=dependent.tolist(),
        weight=moments.weight,
        centre=torch.from_numpy(mean[active]),
        target_centre=torch.from_numpy(mean[d:]),
        normal=torch.from_numpy(normal),
        cross=torch.from_numpy(cross),
        power=torch.from_numpy(diagonal[d:].copy()),
        penalty=penalty,
        scale=torch.from_numpy(scale[kept]),
        factor=factor,
        bias=options.bias,
        resolution=torch.from_numpy(resolution),
        rounding=moments.rounding,
        # Once the largest possible number of features is independent, the others depend on them.
        supposed=dependent.tolist() if len(kept) < rank else [],
        dependence=dependence,
    )


def second_moments(moments: Moments, features: int, options: Options) -> tuple[Array, Array, Array]:
    """Compute what a problem takes from the moments: about the mean with a bias, else about 0.

    Returns:
        The mean squares of [features, targets], shape (p, p); the centre, (p,); the resolution of
        each target, (k,), see `Problem`.
    """
    mean = moments.mean
    second = moments.comoment / moments.weight
    if not options.bias:
        second = second + np.outer(mean, mean)
        mean = np.zeros_like(mean)
    noise = 2 * (features + 2) * EPSILON
    squares = second.diagonal()[features:]
    resolution = (noise + moments.rounding) * squares + (noise * mean[features:]) ** 2
    return second, mean, resolution


def informative_features(
    moments: Moments, second: Array, features: int, options: Options
) -> NDArray[np.bool_]:
    """Find the features that are neither 0 nor, beside a bias, constant; shape (d,)."""
    found: NDArray[np.bool_] = second.diagonal()[:features] != 0
    return found & ~one_value(moments)[:features] if options.bias else found


def _parts(second: Array, active: NDArray[np.intp], d: int) -> tuple[Array, Array]:
    """Take the active features' second moments with each other, and with the targets."""
    if FEW_FEATURES < len(active) == d:
        return second[:d, :d], second[:d, d:]  # of a large matrix, no copy
    rows = second[active]
    return rows[:, active], rows[:, d:]


def cholesky(matrix: NDArray[np.float64]) -> Tensor | None:
    """Compute the lower Cholesky factor; None if the matrix is not positive definite.

    NumPy computes it for few features, since PyTorch wakes every thread for the smallest matrix.
    """
    if len(matrix) > FEW_FEATURES:
        factor, failed = torch.linalg.cholesky_ex(torch.from_numpy(matrix))
        return None if failed else factor
    try:
        return torch.from_numpy(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        return None


def _factorise(
    matrix: Tensor, rank: int, limit: float, *, any_order: bool
) -> tuple[list[int], Tensor]:
    """Find the columns that are independent of earlier ones, and their Cholesky factor.

    A column counts as dependent if the rest of its unit diagonal is below `limit`. For a dependent
    column, rounding leaves up to p·2⁻⁵⁰, and more if rows were subtracted from the moments.

    Args:
        matrix: Shape (p, p), with unit diagonal.
        rank: The largest possible number of independent columns.
        limit: See above.
        any_order: Whether to take the column with the largest remainder next (pivoting).
    """
    p = len(matrix)
    found = cholesky(matrix.numpy())
    if rank == p and found is not None and (found.numpy().diagonal() ** 2 > limit).all():
        return list(range(p)), found
    array = matrix.numpy()
    kept: list[int] = []
    columns = np.zeros((p, rank))  # the factor's columns
    left = array.diagonal().copy()
    block, first, done = array, 0, 0  # columns from `first` on, less the products of `done` ones
    for place in range(p):
        m = len(kept)
        j = int(left.argmax()) if any_order else place
        if m == rank or (any_order and not left[j] > limit):
            break
        if place == first + STRIP and not any_order:  # products of matrices, where the order allows
            first, done = place, m
            of_strip = columns[place : place + STRIP, :m]
            block = array[:, place : place + STRIP] - columns[:, :m] @ of_strip.T
        if left[j] > limit:
            column = block[:, j - first] - columns[:, done:m] @ columns[j, done:m]
            column = column / left[j] ** 0.5
            columns[:, m] = column
            left = left - column**2
            kept.append(j)
    if any_order:
        kept.sort()
        independent = cholesky(array[np.ix_(kept, kept)])
        if independent is not None:
            return kept, independent
        # Sorted rows of the pivoted factor F are not triangular; F·Fᵀ = RᵀR is the same matrix.
        upper = np.linalg.qr(columns[kept, : len(kept)].T).R
        lower = (upper * np.sign(upper.diagonal())[:, None]).T
        return kept, torch.from_numpy(np.ascontiguousarray(lower))
    return kept, torch.from_numpy(np.tril(columns[kept, : len(kept)]))


def _dependence(
    factor: Tensor, cross: Array, scale: Array, scales: Array, mean: Array, means: Array
) -> Dependence:
    """Compute how q dependent features follow from the r active ones, in float64.

    `factor` (r, r), `scale` (r,) and `mean` (r,) belong to the active features, `scales` (q,) and
    `means` (q,) to the dependent ones; `cross` (r, q) is their scaled second moment.
    """
    scaled = torch.cholesky_solve(torch.from_numpy(cross), factor).numpy().T
    combination = scaled * scales[:, None] / scale
    offset = means - combination @ mean
    size = np.abs(means) + np.abs(combination) @ np.abs(mean)
    # Parts this small may be rounding; an undetermined weight is the safe claim.
    return Dependence(
        combination, offset, (np.abs(scaled) > NOTICED).any(axis=0), np.abs(offset) > NOTICED * size
    )


def _condition(problem: Problem) -> float:
    """Estimate the condition number of the problem's factor."""
    factor = problem.factor
    if len(factor) < 2:
        return 1.0
    if len(factor) <= FEW_FEATURES:
        values = np.linalg.svd(factor.numpy(), compute_uv=False).tolist()
        found = values[0] / values[-1] if values[-1] else LARGEST
        return min(max(1.0, found), LARGEST)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(len(factor), 1, generator=generator, dtype=torch.float32).double()
    largest = smallest = start / start.norm()
    high = low = torch.ones(())
    inverse = problem.inverse_factor
    for _ in range(ITERATIONS):
        largest = factor @ (factor.T @ largest)
        high, largest = largest.norm(), largest / largest.norm()
        smallest = inverse.T @ (inverse @ smallest)
        low, smallest = smallest.norm(), smallest / smallest.norm()
    return min(max(1.0, float((high * low).sqrt())), LARGEST)
