"""Compute standard errors, tests and statistics of a least-squares fit from its moments.

The formulas are those of ordinary and weighted least squares (Seber and Lee, Linear Regression
Analysis, 2nd ed.: ch. 3 for the estimates, 4 for the F test, 5 for intervals; Akaike, 1974, and
Schwarz, 1978, for AIC and BIC; Belsley, Kuh and Welsch, Regression Diagnostics, ch. 3, for variance
inflation; `gradline_trainer.statistics.robust` for robust errors). The conventions are
statsmodels': n counts the rows of positive weight, AIC and BIC count the coefficients but not σ,
and without a bias R² and F are about 0. In exact arithmetic Σw·residual² and (XᵀWX)⁻¹ have nearly
all digits of float64; in fast arithmetic the latter loses twice as many digits as the condition
number has.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError, RefusedError
from gradline.formatting import count
from gradline_trainer.descent.problem import EPSILON, Problem
from gradline_trainer.moments.moments import LOG_BITS, Moments, one_value
from gradline_trainer.statistics.formulas import Design, target_statistics
from gradline_trainer.statistics.metrics import unresolved
from gradline_trainer.statistics.summary import Summary
from gradline_trainer.statistics.whitening import Whitening, problem_of

if TYPE_CHECKING:
    from gradline_trainer.result import Fit

Array = NDArray[np.float64]
NEAR = 1e-9  # a gap of this share of the loss changes no statistic by more


def summarize(fit: Fit, level: float) -> Summary:
    """Compute the statistics of a fit; see `Fit.summary`."""
    if not 0 < level < 1:
        raise InputError(
            f"level = {level!r}, expected a number between 0 and 1",
            code="bad-option",
            hint="0.95 gives 95 % intervals",
        )
    moments = _moments_of(fit)
    problem = problem_of(fit, moments)
    _refuse_unfinished(fit, problem)
    design = _design(fit, moments, problem, level)
    # Σw·z² of each column about its mean, or about 0 without a bias.
    second = np.where(one_value(moments), 0.0, moments.squares)
    if not fit.options.bias:
        second = moments.squares + moments.weight * moments.mean**2
    d = len(fit.features)
    residual = _residual_squares(fit, moments, problem)
    deviations = np.sqrt(moments.squares)
    weights = np.column_stack([fit.weights.numpy(), *[fit.bias.numpy()] * fit.options.bias])
    targets, covariances = {}, []
    for t, name in enumerate(fit.targets):
        with np.errstate(divide="ignore", invalid="ignore"):
            standardized = weights[t, :d] * deviations[:d] / deviations[d + t]
        robust = _robust(fit, design, residual[t], t)
        targets[name] = target_statistics(
            design, weights[t], residual[t], second[d + t], standardized, robust
        )
        if robust is not None:
            covariances.append(robust[0][np.ix_(design.estimable, design.estimable)])
    features = [j for j in design.active if j < d]
    inflation = (np.sqrt(second[features]) * design.norms[: len(features)]) ** 2
    return Summary(
        level=level,
        rows=moments.rows,
        model_dof=design.model_dof,
        residual_dof=design.residual_dof,
        condition=fit.arithmetic.condition or problem.condition,
        terms=[*fit.features, *["bias"] * fit.options.bias],
        vif=design.placed(np.append(inflation, [math.nan] * fit.options.bias)),
        targets=targets,
        active=[design.active[i] for i in design.estimable],
        root=design.root,
        estimable=design.estimable,
        robust=fit.options.robust,
        covariances=covariances or None,
        bias=fit.options.bias,
        weighted=moments.weight != moments.rows or moments.log_weights != 0,
        learned=fit.columns.learned if fit.columns.functions else None,
    )


def _moments_of(fit: Fit) -> Moments:
    """Get the moments that the statistics come from, or raise if there are none."""
    if not isinstance(fit.moments, Moments):
        raise RefusedError(
            f"a wide table, {count(len(fit.features), 'feature')}, has no standard errors: they "
            "come from the co-moments, which would not fit in memory",
            code="no-statistics",
            hint="give fewer features",
        )
    if fit.options.ridge:
        raise RefusedError(
            f"the ridge penalty of {fit.options.ridge:g} shrinks the weights: standard errors and "
            "tests are defined only for least squares without a penalty",
            code="no-statistics",
            hint="fit without a ridge penalty",
        )
    return fit.moments


def _refuse_unfinished(fit: Fit, problem: Problem) -> None:
    """Raise if the run ended above the least-squares optimum; the formulas hold only there."""
    loss, gap = fit.optimality.loss, fit.optimality.gap
    if gap is None:
        raise RefusedError(
            "rounding hides the optimum, and standard errors and tests hold only there",
            code="no-statistics",
            hint="use --arithmetic exact",
        )
    near = gap <= NEAR * loss
    if not fit.converged or not (near or loss <= float(problem.resolution.mean())):
        raise RefusedError(
            "the run ended before the optimum, and standard errors and tests hold only there",
            code="no-statistics",
            hint="use --preconditioning whiten, more --epochs or a smaller --tolerance",
        )


def _design(fit: Fit, moments: Moments, problem: Problem, level: float) -> Design:
    d, bias, rank = len(fit.features), fit.options.bias, fit.rank
    whitening = Whitening.of(moments, problem, fit.exact)
    inestimable = set() if rank is None else set(rank.inestimable)
    if rank is not None and not rank.bias_estimable:
        inestimable.add(d)
    return Design(
        bias=bias,
        rows=moments.rows,
        terms=d + bias,
        active=[*whitening.active, *[d] * bias],
        inestimable=inestimable,
        root=whitening.root,
        log_weights=math.log(2) * math.ldexp(moments.log_weights, -LOG_BITS),
        level=level,
    )


def _robust(fit: Fit, design: Design, residual: float, t: int) -> tuple[Array, float | None] | None:
    """Get a target's robust covariance, NaN if undefined, and Wald's F.

    None if they were not asked for, or no degree of freedom is left.
    """
    if fit.robust is None:
        return None
    p = len(design.active)
    if fit.robust.covariance is None:
        return np.full((p, p), math.nan), None
    if residual == 0:
        return np.zeros((p, p)), None
    return fit.robust.covariance[t], fit.robust.f[t]


def _residual_squares(fit: Fit, moments: Moments, problem: Problem) -> Array:
    """Compute Σw·residual² of each target, shape (k,); 0 if rounding alone may explain it."""
    if fit.exact is not None:
        return fit.exact.residual_squares
    metrics = list((fit.metrics["training"] or {}).values())
    squared = np.array([m.rmse_learned**2 for m in metrics])
    d = len(fit.features)
    mean_square = moments.squares / moments.weight + moments.mean**2
    parts = fit.weights.numpy() * np.sqrt(mean_square[:d])  # W² alone may leave float64's range
    terms = np.square(parts).sum(axis=1) + fit.bias.numpy() ** 2 + mean_square[d:]
    rounding = (16 * (d + 2) * EPSILON) ** 2 * (d + 2) * terms
    from_moments = np.array([m.mae is None for m in metrics])
    resolved = unresolved(moments, fit.weights.numpy(), problem.resolution.numpy())
    unseen = np.where(from_moments, resolved, rounding)
    return np.where(squared <= unseen, 0.0, squared * moments.weight)
