"""Summary: the statistics of a fit, as people, programs and tables take them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError, nearest, needs_extra
from gradline.presentation.statistics import statistics_lines

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Summary", "TargetStatistics"]

BY_TERM = ("coefficient", "standard_error", "t", "p", "lower", "upper", "standardized")


@dataclass(frozen=True)
class TargetStatistics:
    """What is known of one target's coefficients and of how well it is predicted.

    The lists have one entry for each term of the summary. None marks an undefined value: of a term
    that was not estimated (a constant feature, or one in a linear dependence, whose weight the rows
    do not determine), without a degree of freedom left, and of a perfect fit, whose standard errors
    are 0.

    Attributes:
        coefficient: The weights, and the bias where there is one.
        standard_error: Of each, in its own units.
        t: Coefficient / standard error.
        p: The probability of a larger |t| where the coefficient is 0, by Student's distribution.
        lower, upper: Ends of the confidence interval.
        standardized: The weight in deviations of the target per deviation of the feature; None for
            the bias.
        residual_sd: √(Σw·residual² / residual_dof), in the target's units.
        r2: 1 − Σw·residual² / Σw·y², about the mean, or about 0 without a bias.
        adjusted_r2: The same of mean squares by their degrees of freedom.
        f: Of the test that every weight is 0; Wald's where the standard errors are robust.
        f_p: The probability of a larger F if so.
        log_likelihood: Of normal errors of variance σ²/w, at its largest.
        aic, bic: Akaike's and Schwarz's criterion, of as many parameters as coefficients.
    """

    coefficient: list[float]
    standard_error: list[float | None]
    t: list[float | None]
    p: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    standardized: list[float | None]
    residual_sd: float | None
    r2: float | None
    adjusted_r2: float | None
    f: float | None
    f_p: float | None
    log_likelihood: float | None
    aic: float | None
    bic: float | None


@dataclass(frozen=True, eq=False)
class Summary:
    """The statistics of a fit; `str` gives them as a table.

    Attributes:
        level: Of the confidence intervals.
        rows: n, of positive weight.
        model_dof: The number of linearly independent features.
        residual_dof: n − p, p with the bias.
        condition: Estimated condition number of the features, centred with a bias, of unit
            deviation.
        terms: The features' names, and "bias" where there is one.
        vif: Each term's variance inflation factor, 1/(1 − R² of the feature by the others); None
            for the bias and for what was not estimated.
        targets: Of each target, by name.
        active: The places of the p estimated terms among `terms`.
        inverse: (XᵀWX)⁻¹ of the estimated terms, shape (p, p), float64.
        robust: "HC0" to "HC3" where standard errors, t, p, intervals, F and covariances are those
            (see `gradline_trainer.statistics.robust`), None where they take the errors' variance
            as equal.
        covariances: Of each target, where robust.
        bias: Whether there is one; without it R² and F are about 0.
        weighted: Whether a row's weight is other than 1; residual_sd is of a row of weight 1.
    """

    level: float
    rows: int
    model_dof: int
    residual_dof: int
    condition: float
    terms: list[str]
    vif: list[float | None]
    targets: dict[str, TargetStatistics]
    active: list[int]
    inverse: NDArray[np.float64]
    robust: str | None = None
    covariances: list[NDArray[np.float64]] | None = None
    bias: bool = True
    weighted: bool = False

    def covariance(self, target: str) -> NDArray[np.float64] | None:
        """Return the covariance of a target's estimated coefficients, shape (p, p), as `active`.

        None without a degree of freedom left, or where a robust one is not defined.

        Raises:
            InputError: For a target that there is not.
        """
        if target not in self.targets:
            raise InputError(
                f"no target {target!r}", code="unknown-target", hint=nearest(target, self.targets)
            )
        if self.covariances is not None:
            found = self.covariances[list(self.targets).index(target)]
            return None if np.isnan(found).any() else found
        deviation = self.targets[target].residual_sd
        return None if deviation is None else deviation**2 * self.inverse

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the covariances as JSON has it."""
        names = (
            "level", "rows", "model_dof", "residual_dof", "condition", "robust", "bias", "weighted",
            "terms", "vif",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names} | {
            "targets": {target: asdict(found) for target, found in self.targets.items()}
        }

    def frame(self) -> pl.DataFrame:
        """Return one row for each target and term: its coefficient and what is known of it."""
        with needs_extra():
            import polars as pl
        numbers = {
            name: [value for found in self.targets.values() for value in getattr(found, name)]
            for name in BY_TERM
        }
        k = len(self.targets)
        columns = {
            "target": [target for target in self.targets for _ in self.terms],
            "term": self.terms * k,
            **numbers,
            "vif": self.vif * k,
        }
        texts = {"target": pl.String, "term": pl.String}
        return pl.DataFrame(columns, {name: texts.get(name, pl.Float64) for name in columns})

    def __str__(self) -> str:
        return "\n".join(statistics_lines(self.to_dict()))
