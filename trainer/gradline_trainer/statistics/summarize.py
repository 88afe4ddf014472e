"""Standard errors, tests and statistics of a least-squares fit, from its moments alone.

The formulas are those of ordinary and weighted least squares (Seber and Lee, Linear Regression
Analysis, 2nd ed.: ch. 3 for the estimates, 4 for the F test, 5 for intervals; Akaike, 1974, and
Schwarz, 1978, for AIC and BIC; Belsley, Kuh and Welsch, Regression Diagnostics, ch. 3, for variance
inflation; `gradline_trainer.statistics.robust` for robust errors). The conventions are
statsmodels': n counts the rows of positive weight, AIC and BIC count the coefficients but not σ,
and without a bias R² and F are about 0. In exact arithmetic Σw·residual² and (XᵀWX)⁻¹ are good to
nearly every digit of float64; in fast arithmetic the latter loses twice as many digits as the
condition number has.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError, RefusedError
from gradline.formatting import count
from gradline_trainer.descent.problem import Problem, state_problem
from gradline_trainer.moments.moments import LOG_BITS, Moments, one_value
from gradline_trainer.result import Fit
from gradline_trainer.statistics.formulas import Design, target_statistics
from gradline_trainer.statistics.metrics import unresolved
from gradline_trainer.statistics.summary import Summary
from gradline_trainer.statistics.whitening import Whitening

__all__ = ["summarize"]

Array = NDArray[np.float64]
EPSILON = 2.0**-53
NEAR = 1e-9  # of the loss: a gap that changes no statistic by more


def summarize(fit: Fit, level: float) -> Summary:
    """Return the statistics of a fit; see `Fit.summary`."""
    if not 0 < level < 1:
        raise InputError(
            f"level = {level!r}, expected a number between 0 and 1",
            code="bad-option",
            hint="0.95 gives 95 % intervals",
        )
    moments = _moments_of(fit)
    problem = state_problem(moments, len(fit.features), fit.options)
    _refuse_unfinished(fit, problem)
    design = _design(fit, moments, problem, level)
    second = _second_moments(moments, fit.options.bias)
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
        inverse=design.inverse[np.ix_(design.estimable, design.estimable)],
        robust=fit.options.robust,
        covariances=covariances or None,
        bias=fit.options.bias,
        weighted=moments.weight != moments.rows or moments.log_weights != 0,
    )


def _moments_of(fit: Fit) -> Moments:
    """Return the moments that the statistics come from, or raise where there are none to have."""
    if not isinstance(fit.moments, Moments):
        raise RefusedError(
            f"a wide table, {count(len(fit.features), 'feature')}: standard errors come from the "
            "co-moments, which would not fit",
            code="no-statistics",
            hint="give fewer features",
        )
    if fit.options.ridge:
        raise RefusedError(
            f"the ridge penalty of {fit.options.ridge:g} draws the weights towards 0: their "
            "standard errors and tests are those of least squares without one",
            code="no-statistics",
            hint="fit without a ridge penalty",
        )
    return fit.moments


def _refuse_unfinished(fit: Fit, problem: Problem) -> None:
    """Raise where the run ended above the least-squares optimum, which the formulas are about."""
    loss, gap = fit.optimality.loss, fit.optimality.gap
    if gap is None:
        raise RefusedError(
            "rounding hides the optimum, which standard errors and tests are about",
            code="no-statistics",
            hint="use --arithmetic exact",
        )
    near = gap <= NEAR * loss
    if not fit.converged or not (near or loss <= float(problem.resolution.mean())):
        raise RefusedError(
            "the run ended before the optimum, which standard errors and tests are about",
            code="no-statistics",
            hint="use --preconditioning whiten, more --epochs or a smaller --tolerance",
        )


def _design(fit: Fit, moments: Moments, problem: Problem, level: float) -> Design:
    d, bias = len(fit.features), fit.options.bias
    whitening = Whitening.of(moments, problem, fit.exact)
    return Design(
        bias=bias,
        rows=moments.rows,
        terms=d + bias,
        active=[*whitening.active, *[d] * bias],
        inestimable=_inestimable(fit),
        root=whitening.root,
        log_weights=math.log(2) * math.ldexp(moments.log_weights, -LOG_BITS),
        level=level,
    )


def _inestimable(fit: Fit) -> set[int]:
    """List the places of terms whose coefficients the rows do not determine; the bias is d."""
    if fit.rank is None:
        return set()
    return fit.rank.inestimable | (set() if fit.rank.bias_estimable else {len(fit.features)})


def _robust(fit: Fit, design: Design, residual: float, t: int) -> tuple[Array, float | None] | None:
    """Return a target's robust covariance, NaN where it is undefined, and Wald's F.

    None where they were not asked for, or no degree of freedom is left.
    """
    if fit.robust is None:
        return None
    p = len(design.active)
    if fit.robust.covariance is None:
        return np.full((p, p), math.nan), None
    if residual == 0:
        return np.zeros((p, p)), None
    return fit.robust.covariance[t], fit.robust.f[t]


def _second_moments(moments: Moments, bias: bool) -> Array:
    """Return Σw·z² of each column about its mean, or about 0 without a bias."""
    if bias:
        return np.where(one_value(moments), 0.0, moments.squares)
    return moments.squares + moments.weight * moments.mean**2


def _residual_squares(fit: Fit, moments: Moments, problem: Problem) -> Array:
    """Return Σw·residual² of each target, shape (k,); 0 where rounding alone may leave as much."""
    if fit.exact is not None:
        return fit.exact.residual_squares
    metrics = list((fit.metrics["training"] or {}).values())
    squared = np.array([m.rmse**2 for m in metrics])
    d = len(fit.features)
    mean_square = moments.squares / moments.weight + moments.mean**2
    parts = fit.weights.numpy() * np.sqrt(mean_square[:d])  # W² alone may leave float64's range
    terms = np.square(parts).sum(axis=1) + fit.bias.numpy() ** 2 + mean_square[d:]
    rounding = (16 * (d + 2) * EPSILON) ** 2 * (d + 2) * terms
    from_moments = np.array([m.mae is None for m in metrics])
    resolved = unresolved(moments, fit.weights.numpy(), problem.resolution.numpy())
    unseen = np.where(from_moments, resolved, rounding)
    return np.where(squared <= unseen, 0.0, squared * moments.weight)
