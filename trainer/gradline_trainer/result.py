"""Fit: the result of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gradline.columns.targets import TargetFunction
from gradline.tables import TableFile
from gradline_trainer.descent.arithmetic import Arithmetic
from gradline_trainer.descent.dependence import Rank
from gradline_trainer.descent.diagnosis import Optimality
from gradline_trainer.descent.problem import Problem
from gradline_trainer.descent.ridge_path import RidgePath
from gradline_trainer.exact.solution import ExactSolution
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.moments.partial_sums import PartialSums
from gradline_trainer.moments.pickling import SavedAsArrays
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.library_state import known_state
from gradline_trainer.statistics.metrics import Metrics, Residuals
from gradline_trainer.statistics.robust import Robust
from gradline_trainer.statistics.whitening import Leverage
from gradline_trainer.wide.optimality import WideOptimality

if TYPE_CHECKING:
    from gradline_trainer.statistics.summary import Summary


@dataclass(frozen=True, eq=False)
class Fit(SavedAsArrays):
    """A trained linear model, y = x @ weights.T + bias in the table's own units.

    Attributes:
        weights: W, shape (k, d), float64.
        bias: b, shape (k,), float64.
        features: The d input names.
        targets: The k output names.
        history: The loss of each epoch, before its step.
        metrics: `Metrics` by target name, under "training" and "held_out" (None without a holdout).
        residuals: Targets and residuals of some rows, in the targets' units, and their values in
            the columns with the strongest effects, under the same keys; empty if no pass over the
            rows computed them.
        converged: Whether the loss gap is within the tolerance, the loss can't be distinguished
            from 0, or every coefficient is certified.
        optimality: How far from the optimum the run ended.
        learning_rate: The step size.
        largest_stable_rate: The learning rate from which on the loop diverges.
        arithmetic: Fast or exact, and why.
        exact: What exact arithmetic knows of the weights and bias; None in fast arithmetic.
        moments: The moments of the training rows of [features, targets]; for a wide table of each
            column alone.
        rows_read, rows_dropped, rows_held_out: Counts.
        paths: The files that were read.
        options: The options of the run; the chosen ridge penalty replaces "auto".
        ridge_path: How "auto" chose the ridge penalty; else None.
        columns: What the table's columns were used for.
        warnings: What to know before trusting the model.
        robust: The covariances of robust standard errors, if the run was asked for them.
        gathered: What `save_moments` writes, if the run was asked to keep it or learned from it.
        leverage: How far the training rows are from their centre; None for many features.
        rank: Which features are linearly independent; None for a wide table.
        partial_sums: Sums that the float32 certificate of a wide table needs.
        target_functions: For each target None, or the logarithm whose values the weights predict,
            with the scale that turns them back to the target's units.
        problem: The least-squares problem in fast arithmetic, to spare the summary the work of
            stating it again; None if it would have to, as after pickling.
    """

    weights: Tensor
    bias: Tensor
    features: list[str]
    targets: list[str]
    history: list[float]
    metrics: dict[str, dict[str, Metrics] | None]
    residuals: dict[str, Residuals]
    converged: bool
    optimality: Optimality | WideOptimality
    learning_rate: float
    largest_stable_rate: float
    arithmetic: Arithmetic
    exact: ExactSolution | None
    moments: Moments | ColumnMoments
    rows_read: int
    rows_dropped: int
    rows_held_out: int
    paths: list[TableFile]
    options: Options
    ridge_path: RidgePath | None
    columns: Columns
    warnings: list[str]
    robust: Robust | None = None
    gathered: SavedMoments | None = None
    leverage: Leverage | None = None
    partial_sums: PartialSums | None = None
    rank: Rank | None = None
    target_functions: list[TargetFunction | None] = field(default_factory=list)
    problem: Problem | None = None

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"problem": None}

    @property
    def supposed(self) -> list[str]:
        """The features that a threshold judged to be dependent: no optimum is claimed for them."""
        return [] if self.rank is None else [self.features[j] for j in self.rank.supposed]

    def names_of(self, places: list[tuple[int, int]]) -> list[list[str]]:
        """Name places in W as [target, feature]; the feature d is the bias."""
        inputs = [*self.features, "bias"]
        return [[self.targets[t], inputs[j]] for t, j in places]

    @known_state()
    def summary(self, level: float = 0.95) -> Summary:
        """Compute standard errors, tests, confidence intervals and statistics of the fit.

        With the option `robust`, the standard errors, tests, intervals and covariances are robust.

        Args:
            level: The level of the confidence intervals, above 0 and below 1.

        Raises:
            InputError: If the level is not between 0 and 1.
            RefusedError: For a wide table, a ridge penalty, or a run that ended before the optimum:
                least squares' standard errors do not hold there.
        """
        from gradline_trainer.statistics.summarize import summarize

        return summarize(self, level)
