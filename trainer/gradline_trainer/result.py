"""Fit: the result of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from numpy.typing import NDArray
from torch import Tensor

from gradline.columns.targets import TargetFunction
from gradline.tables import TableFile
from gradline.tracebacks import short_tracebacks
from gradline_trainer.descent.arithmetic import Arithmetic
from gradline_trainer.descent.dependence import Rank
from gradline_trainer.descent.diagnosis import Optimality
from gradline_trainer.descent.problem import Problem
from gradline_trainer.descent.ridge_path import RidgePath
from gradline_trainer.exact.solution import ExactSolution
from gradline_trainer.higher import from_export
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
    from gradline.explain.contributions import Explanation
    from gradline.explain.intervals import Prediction
    from gradline.explain.ranges import Outside
    from gradline.model import Model
    from gradline.scoring.scores import Scores
    from gradline_trainer.statistics.summary import Summary


@dataclass(frozen=True, eq=False, repr=False)
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
        state = super().__getstate__() | {"problem": None}
        state.pop("_model", None)  # made again at the next prediction
        return state

    @property
    def supposed(self) -> list[str]:
        """The features that a threshold judged to be dependent: no optimum is claimed for them."""
        return [] if self.rank is None else [self.features[j] for j in self.rank.supposed]

    def names_of(self, places: list[tuple[int, int]]) -> list[list[str]]:
        """Name places in W as [target, feature]; the feature d is the bias."""
        inputs = [*self.features, "bias"]
        return [[self.targets[t], inputs[j]] for t, j in places]

    @short_tracebacks
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

    @cached_property
    def _model(self) -> Model:
        """The model that this fit's package would load as."""
        model: Model = from_export("model")(self)
        return model

    @overload
    def predict(
        self,
        rows: object,
        *,
        intervals: None = ...,
        unknown_category: str | None = ...,
        check: Literal[False] = ...,
    ) -> NDArray[Any]: ...

    @overload
    def predict(
        self,
        rows: object,
        *,
        intervals: float,
        unknown_category: str | None = ...,
        check: Literal[False] = ...,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        rows: object,
        *,
        intervals: float | None = ...,
        unknown_category: str | None = ...,
        check: Literal[True],
    ) -> tuple[Any, Outside]: ...

    @short_tracebacks
    def predict(
        self,
        rows: object,
        *,
        intervals: float | None = None,
        unknown_category: str | None = None,
        check: bool = False,
    ) -> Any:
        """Predict rows with the answers of the exported package, without exporting.

        The first call freezes the model in memory, which takes a tenth of a second.

        Args:
            rows: What the model was learned from, without the targets: columns by name (a frame, a
                mapping, records), or an array of shape (n, d) in the order of `features`.
            intervals: The level of prediction intervals, such as 0.95; None for none.
            unknown_category: What to do with a category that no training row had; see
                `gradline.Model.predict`.
            check: Whether to return a `gradline.explain.ranges.Outside`, too.

        Returns:
            Shape (n, k) in the package's dtype and the targets' units; with `intervals` a
            `gradline.Prediction`; with `check` a pair of that and the rows outside the ranges.

        Raises:
            InputError: Naming the wrong column, row, shape or dtype.
            RefusedError: If float32 was asked for and is not accurate enough, or if there are no
                intervals; the message says why.
            MissingExtraError: If `gradline_export` or what it needs is not installed.
        """
        return self._model.predict(  # type: ignore[call-overload]
            rows, intervals=intervals, unknown_category=unknown_category, check=check
        )

    @short_tracebacks
    def explain(self, rows: object, *, unknown_category: str | None = None) -> Explanation:
        """Compute what each feature contributes to each prediction; see `gradline.Model.explain`.

        Args:
            rows: As for `predict`.
            unknown_category: As for `predict`.

        Raises:
            InputError: Naming the wrong column, row, shape or dtype.
            RefusedError: If float32 was asked for and is not accurate enough.
            MissingExtraError: If `gradline_export` or what it needs is not installed.
        """
        return self._model.explain(rows, unknown_category=unknown_category)

    @short_tracebacks
    def evaluate(
        self,
        table: object,
        *,
        sample_weight: str | None = None,
        unknown_category: str | None = None,
    ) -> Scores:
        """Score the fit on labelled rows, as its package would be; see `gradline.evaluate`."""
        from gradline.scoring.scores import evaluate

        return evaluate(
            self._model, table, sample_weight=sample_weight, unknown_category=unknown_category
        )

    @short_tracebacks
    def export(
        self,
        root: str | Path = "artifacts",
        name: str = "model",
        *,
        torch_export: bool = False,
        intervals: bool = False,
        report: bool = True,
        fingerprint: bool = True,
        notes: Mapping[str, str] | None = None,
    ) -> Path:
        """Publish the fit as a package and return the path of its new version directory.

        The same as `gradline_export.export_package(fit, root, name)`.

        Args:
            root: The folder of packages.
            name: The package's name.
            torch_export: Whether to add model.pt2.
            intervals: Whether to add intervals.onnx.
            report: Whether to add report.html.
            fingerprint: Whether to record the SHA-256 of the input files.
            notes: Recorded unchanged: author, purpose, commit.

        Raises:
            InputError: If no package can have this name.
            RefusedError: If the requested float32 is not accurate enough, a frozen graph is outside
                the rounding bound, or the fit can have no intervals; nothing is published.
            OutputError: If the folder can't be written.
            MissingExtraError: If `gradline_export` or what it needs is not installed.
        """
        published: Path = from_export("export")(
            self,
            root,
            name,
            torch_export=torch_export,
            intervals=intervals,
            report=report,
            fingerprint=fingerprint,
            notes=notes,
        )
        return published

    def __str__(self) -> str:
        from gradline_trainer.statistics.representation import fit_elements, to_text

        return to_text(fit_elements(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from gradline_trainer.statistics.representation import fit_elements, to_html

        return to_html(fit_elements(self))
