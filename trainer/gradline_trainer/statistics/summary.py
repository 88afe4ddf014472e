"""Hold the statistics of a fit, as text, JSON or a data frame."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError, nearest, needs_extra
from gradline.presentation.statistics import statistics_lines
from gradline_trainer.rows.library_state import known_state

if TYPE_CHECKING:
    import polars as pl

BY_TERM = ("coefficient", "standard_error", "t", "p", "lower", "upper", "standardized")


@dataclass(frozen=True)
class TargetStatistics:
    """The statistics of one target's coefficients and of its predictions.

    The lists have one entry for each term of the summary. None marks an undefined value: for a term
    that was not estimated (a constant feature, or a linearly dependent one whose weight the rows do
    not determine), without a degree of freedom left, and for a perfect fit, whose standard errors
    are 0.

    Attributes:
        coefficient: The weights, and the bias if there is one.
        standard_error: In the coefficient's units.
        t: Coefficient / standard error.
        p: The probability of a larger |t| if the coefficient is 0, by Student's distribution.
        lower, upper: Ends of the confidence interval.
        standardized: The weight in standard deviations of target and feature; None for the bias.
        residual_sd: √(Σw·residual² / residual_dof), in the target's units.
        r2: 1 − Σw·residual² / Σw·y², about the mean, or about 0 without a bias.
        adjusted_r2: R² with each sum of squares divided by its degrees of freedom.
        f: The test that every weight is 0; Wald's if the standard errors are robust.
        f_p: The probability of a larger F if every weight is 0.
        log_likelihood: The largest, for normal errors of variance σ²/w.
        aic, bic: Akaike's and Schwarz's criterion, counting the coefficients as parameters.
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


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """The statistics of a fit; `str` formats all of them as a table, `repr` the main ones.

    Attributes:
        level: The confidence level of the intervals.
        rows: n, the rows of positive weight.
        model_dof: The number of linearly independent features.
        residual_dof: n − p, where p counts the bias.
        condition: Estimated condition number of the features, scaled to unit deviation and, with
            a bias, centred.
        terms: The features' names, and "bias" if there is one.
        vif: Each term's variance inflation factor, 1/(1 − R² of the feature by the others); None
            for the bias and for terms that were not estimated.
        targets: Each target's statistics, by name.
        active: The places of the p estimated terms among `terms`.
        root: U with UᵀU = (XᵀWX)⁻¹, of the active terms and of linearly dependent ones.
        estimable: The places of the p estimated terms among the columns of U.
        robust: "HC0" to "HC3" if standard errors, t, p, intervals, F and covariances are robust
            (see `gradline_trainer.statistics.robust`); None if they assume equal variances.
        covariances: The robust covariance of each target, else None.
        bias: Whether there is a bias; without it R² and F are about 0.
        weighted: Whether a row's weight differs from 1; residual_sd is for a row of weight 1.
        learned: What the statistics of each target are about, such as `log(price)`; None if that is
            the target itself.
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
    root: NDArray[np.float64]
    estimable: list[int]
    robust: str | None = None
    covariances: list[NDArray[np.float64]] | None = None
    bias: bool = True
    weighted: bool = False
    learned: list[str] | None = None

    @cached_property
    @known_state()
    def inverse(self) -> NDArray[np.float64]:
        """(XᵀWX)⁻¹ of the estimated terms, shape (p, p)."""
        with np.errstate(over="ignore", invalid="ignore"):  # shows as undefined
            inverse: NDArray[np.float64] = self.root.T @ self.root
        return inverse[np.ix_(self.estimable, self.estimable)]

    def covariance(self, target: str) -> NDArray[np.float64] | None:
        """Compute the covariance of a target's estimated coefficients, shape (p, p), as `active`.

        None without a degree of freedom left, or if the robust covariance is not defined.

        Raises:
            InputError: For an unknown target.
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
        """Convert everything but the covariances to what JSON can hold."""
        names = (
            "level", "rows", "model_dof", "residual_dof", "condition", "robust", "bias", "weighted",
            "terms", "vif",
        )  # fmt: skip
        found = {name: getattr(self, name) for name in names}
        if self.learned is not None:
            found["learned"] = self.learned
        return found | {
            "targets": {target: asdict(found) for target, found in self.targets.items()}
        }

    def frame(self) -> pl.DataFrame:
        """Build a data frame with one row of statistics for each target and term."""
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

    def __repr__(self) -> str:
        from gradline_trainer.statistics.representation import summary_elements, to_text

        return to_text(summary_elements(self))

    def _repr_html_(self) -> str:
        from gradline_trainer.statistics.representation import summary_elements, to_html

        return to_html(summary_elements(self))
