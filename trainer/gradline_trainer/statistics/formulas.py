"""Compute least-squares inference for one of several targets with the same features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gradline.errors import needs_extra
from gradline_trainer.descent.problem import STRIP
from gradline_trainer.statistics.summary import TargetStatistics

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """What the statistics of all targets share."""

    bias: bool
    rows: int  # n
    terms: int  # features and biases: d + 1 or d
    active: list[int]  # places of the p estimated terms, which are independent; the bias is last
    inestimable: set[int]  # places of terms that the rows do not determine
    root: Array  # U with UᵀU = (XᵀWX)⁻¹ of the estimated terms, (p, p)
    log_weights: float  # Σ log w
    level: float

    @cached_property
    def norms(self) -> Array:
        """√diagonal of (XᵀWX)⁻¹, (p,), also if the diagonal leaves float64's range."""
        parts = []
        for k in range(0, len(self.root), STRIP):  # a large root has no room for copies
            strip = self.root[:, k : k + STRIP]
            largest = np.abs(strip).max(axis=0)
            parts.append(np.linalg.norm(strip / largest, axis=0) * largest)
        return np.concatenate(parts) if parts else np.empty(0)

    @property
    def estimable(self) -> list[int]:
        """The places among the active terms whose coefficients the rows determine."""
        return [i for i, place in enumerate(self.active) if place not in self.inestimable]

    @property
    def model_dof(self) -> int:
        """The number of independent features."""
        return len(self.active) - self.bias

    @property
    def residual_dof(self) -> int:
        """N − p."""
        return self.rows - len(self.active)

    def placed(self, values: Array) -> list[float | None]:
        """Put values (p,) of the estimated terms in their places; None elsewhere."""
        found: list[float | None] = [None] * self.terms
        for place, value in zip(self.active, values.tolist(), strict=True):
            known = place not in self.inestimable and math.isfinite(value)
            found[place] = value if known else None
        return found


def target_statistics(
    design: Design,
    weights: Array,
    residual: float,
    total: float,
    standardized: Array,
    robust: tuple[Array, float | None] | None = None,
) -> TargetStatistics:
    """Compute the statistics of one target from its coefficients (terms,), the bias last.

    `residual` is Σw·residual², `total` is Σw·y² about the mean, or about 0 without a bias, and
    `standardized` (d,) has the weights in standard deviations. `robust` is the covariance (p, p)
    and F; without it all errors have the same variance.
    """
    with needs_extra():
        from scipy.special import stdtr, stdtrit
    dof = design.residual_dof
    estimated = weights[design.active]
    blank = np.full(len(estimated), math.nan)
    sd = math.sqrt(residual / dof) if dof > 0 else None
    error = blank
    if sd is not None:
        error = sd * design.norms if robust is None else np.sqrt(robust[0].diagonal())
    t = np.divide(estimated, error, out=blank.copy(), where=error > 0)
    reach = -float(stdtrit(dof, (1 - design.level) / 2)) * error if dof > 0 else blank
    known = [*standardized, *[math.nan] * design.bias]
    return TargetStatistics(
        coefficient=weights.tolist(),
        standard_error=design.placed(error),
        t=design.placed(t),
        p=design.placed(2 * stdtr(dof, -np.abs(t))) if dof > 0 else design.placed(blank),
        lower=design.placed(estimated - reach),
        upper=design.placed(estimated + reach),
        standardized=design.placed(np.array(known)[design.active]),
        residual_sd=sd,
        **_determination(design, residual, total, robust),
        **_likelihood(design, residual),
    )


def _determination(
    design: Design, residual: float, total: float, robust: tuple[Array, float | None] | None
) -> dict[str, float | None]:
    """Compute R², adjusted R², F and its p."""
    from scipy.special import fdtrc

    found: dict[str, float | None] = dict.fromkeys(("r2", "adjusted_r2", "f", "f_p"))
    model, dof = design.model_dof, design.residual_dof
    if total > 0:
        found["r2"] = float(1 - residual / total)
        if dof > 0:
            found["adjusted_r2"] = float(1 - (model + dof) / dof * (residual / total))
        if model > 0 and dof > 0 and residual > 0:
            f = float(max(total - residual, 0.0) / model / (residual / dof))
            found["f"] = f if robust is None else robust[1]
    if found["f"] is not None:
        found["f_p"] = float(fdtrc(model, dof, found["f"]))
    return found


def _likelihood(design: Design, residual: float) -> dict[str, float | None]:
    """Compute the largest log-likelihood of normal errors of variance σ²/w, AIC and BIC."""
    n, p = design.rows, len(design.active)
    if not (residual > 0 and design.residual_dof > 0):
        return dict.fromkeys(("log_likelihood", "aic", "bic"))
    log = design.log_weights / 2 - n / 2 * (math.log(2 * math.pi * residual / n) + 1)
    return {"log_likelihood": log, "aic": 2 * (p - log), "bic": p * math.log(n) - 2 * log}
