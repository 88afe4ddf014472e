"""`load` and `Model`: check a package on this machine, then predict with it."""

from __future__ import annotations

import warnings
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, overload

import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import (
    Gaps,
    blocks_of_inputs,
    compute_inputs,
    plan_of_inputs,
)
from gradline.columns.numpy_state import numpy_defaults
from gradline.columns.rows import Rows, read_rows
from gradline.columns.targets import in_units
from gradline.errors import GradlineWarning, InputError
from gradline.explain.counts import told
from gradline.explain.intervals import Prediction
from gradline.package.files import Package
from gradline.package.onnx_runtime import open_session
from gradline.package.proof import prove
from gradline.package.reading import read_package

if TYPE_CHECKING:
    from gradline.columns.plan import Plan
    from gradline.explain.contributions import Explanation
    from gradline.explain.intervals import Intervals
    from gradline.explain.ranges import Outside, Ranges


@numpy_defaults()
def load(
    path: str | Path,
    *,
    threads: int = 1,
    self_test: bool = True,
    public_key: str | Path | None = None,
    name: str | None = None,
) -> Model:
    """Load the package at `path` and prove it on this machine.

    The seal, the hashes and the graph are checked, and the golden rows are predicted, before
    anything else.

    Args:
        path: artifacts/<name> (its pinned version, else its newest), artifacts/<name>/<version>,
            or a bare ONNX file by gradline (which has no seal and no golden rows).
        threads: ONNX Runtime's threads. With one, a row gets the same bits alone and in a batch.
        self_test: Whether to predict the golden rows.
        public_key: A PEM file. If given, the package must be signed with its private key.
        name: The name that the package must have. By default <name> if `path` is
            artifacts/<name>; any name for a version or a file, which may be a mount or a copy.

    Raises:
        InputError: If nothing is at `path`, or the key cannot be used.
        PackageError: If the package is damaged, forged, of a newer format, unsigned although a
            key is given, named differently, or gives wrong answers on this machine.
    """
    if type(threads) is not int or threads < 1:
        raise InputError(f"threads = {threads!r}, expected 1 or more", code="bad-option")
    return Model(read_package(path, public_key, name), threads=threads, self_test=self_test)


class Model:
    """A published linear model, y = x @ W.T + b; for a logged target exp of that, times a scale.

    Attributes:
        name: The package's name.
        version: The number of its version directory, or None.
        features: The d input names, in the order of an array's columns.
        targets: The k output names, in the order of a prediction's columns.
        columns: The table's columns, if any is more than a number without a fill value. Otherwise
            empty: the features are the table's columns.
        plan: The table's columns, and the terms that the features are made of.
        functions: For each target None, or its `TargetFunction`: the graph answers a logarithm,
            and `predict` turns it back.
        dtype: float32 or float64; the graph computes in it.
        manifest: The package's manifest; empty for a bare ONNX file.
        package: The package as it was read.
    """

    def __init__(self, package: Package, *, threads: int = 1, self_test: bool = True) -> None:
        graph = package.graph
        self.name = graph.name
        self.version = package.version
        self.features = graph.features
        self.targets = graph.targets
        self.plan = graph.plan
        self.columns = list(graph.plan.columns) if graph.plan.format == 2 else graph.columns
        self.functions = graph.functions
        self.dtype = graph.dtype
        self.manifest = package.manifest
        self.package = package
        self._threads = threads
        self._session = open_session(package.onnx, threads)
        self._width = len(graph.features)
        self._logged = any(graph.functions)
        self._own = plan_of_inputs(graph.plan) if self.columns else graph.plan
        has_fills = any(column.fill is not None for column in self._own.columns)
        self._is_bare = not (has_fills or self._logged)  # the graph's answers are the model's
        if self_test:
            prove(package, self._session)

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
        intervals: None = ...,
        unknown_category: str | None = ...,
        check: Literal[True],
    ) -> tuple[NDArray[Any], Outside]: ...

    @overload
    def predict(
        self,
        rows: object,
        *,
        intervals: float,
        unknown_category: str | None = ...,
        check: Literal[True],
    ) -> tuple[Prediction, Outside]: ...

    def predict(
        self,
        rows: object,
        *,
        intervals: float | None = None,
        unknown_category: str | None = None,
        check: bool = False,
    ) -> NDArray[Any] | Prediction | tuple[NDArray[Any] | Prediction, Outside]:
        """Predict rows in the targets' units; return shape (n, k) in the graph's dtype.

        A logged target is exp(z)·s (log1p: exp(z)·s − 1) of the graph's answer z, in float64.

        Args:
            rows: An array-like of shape (n, d) in feature order; or rows by name: a dataframe
                (pandas, polars, pyarrow), a mapping from each column to n values, a list of
                records, one record (a mapping to single values), or a row of a pandas frame.
                Names are matched in any order; further columns of a dataframe are ignored. If the
                features are made of the table's columns, give these, or all of the features by
                name; an array has the features. NaN, None and the texts that mean missing take
                the column's fill value; without one the answer is NaN, unless a missing value is a
                level of its own.
            intervals: A level between 0 and 1, such as 0.95: return a `Prediction` with the ends
                of the intervals in which a new row's target lies with that probability.
            unknown_category: What to do with a category that no training row had: "error",
                "missing" (the answer is NaN), or "zero" to set all indicators of its column to 0.
                By default "error" for a package of format 1, else "missing".
            check: Whether to return an `Outside` too: the rows outside the training ranges, in
                which features, and how far; and those with filled values or unknown categories.

        Raises:
            InputError: Naming the wrong column, row, shape or dtype.
            RefusedError: If `intervals` is given and the model has none, with the reason.
            PackageError: If `check` is set and the package has no record of the ranges.

        Warns:
            GradlineWarning: Rows, other than those of an array, with an unknown category, with a
                missing value, or without a finite answer: how many.
        """
        # For one row the checks below would cost as much as the prediction.
        if intervals is None and not check and self._is_bare and _fits(rows, self):
            return self.graph_answers(rows)
        read = self.read(rows, unknown_category)
        answers, ends, outside = self.answer(read, intervals=intervals, check=check)
        if not isinstance(rows, np.ndarray):
            for text in told(read, answers):
                warnings.warn(text, GradlineWarning, stacklevel=2)
        found: NDArray[Any] | Prediction = answers
        if intervals is not None and ends is not None:
            found = Prediction(answers, *ends, float(intervals), self.targets)
        return found if outside is None else (found, outside)

    def read(self, rows: object, unknown_category: str | None = None) -> Rows:
        """Read rows of any form that `predict` takes, once for several questions.

        Raises:
            InputError: Naming the wrong column, row, shape or dtype.
        """
        return read_rows(rows, self.plan, self._own, unknown_category, self.dtype)

    def answer(
        self, rows: Rows, *, intervals: float | None = None, check: bool = False
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], NDArray[Any]] | None, Outside | None]:
        """Predict rows that were read, without warnings.

        Returns:
            The answers; the ends of intervals, if a level is given; and an `Outside`, if asked for.
            See `predict` for each, and for the errors.
        """
        if intervals is None and not check:
            return self.answers_of(rows.values, rows.plan, rows.unknown), None, None
        with numpy_defaults():
            z = self.graph_answers(rows.inputs)
            ends = None if intervals is None else self.intervals.around(rows.inputs, z, intervals)
            outside = self.outside(rows.inputs, rows.gaps) if check else None
        return in_units(z, self.functions), ends, outside

    @cached_property
    def intervals(self) -> Intervals:
        """What prediction intervals are computed from.

        Raises:
            RefusedError: If the model has none, with the reason.
        """
        from gradline.explain.intervals import Intervals

        return Intervals.of(self.package)

    def graph_answers(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Compute x @ W.T + b of the graph's inputs (n, d): the logarithm of a logged target."""
        answers: NDArray[Any] = self._session.run(["y"], {"x": inputs})[0]
        return answers

    def answers_of(self, values: NDArray[Any], plan: Plan, unknown: str) -> NDArray[Any]:
        """Predict values of a plan's columns, shape (n, m), without an array of all terms.

        Args:
            values: As `Plan.compute` takes them; an unknown level is −1.
            plan: The model's plan, or a plan of the graph's inputs.
            unknown: What to do with an unknown level: "missing" or "zero".

        Raises:
            InputError: For a term outside the range of the graph's dtype.
        """
        if plan.is_plain:
            answers = self.graph_answers(compute_inputs(values, plan, unknown, self.dtype))
            return in_units(answers, self.functions)
        answers = np.empty((len(values), len(self.targets)), self.dtype)
        for start, inputs in blocks_of_inputs(values, plan, unknown, self.dtype):
            answers[start : start + len(inputs)] = self.graph_answers(inputs)
        return in_units(answers, self.functions) if self._logged else answers

    def outside(self, inputs: NDArray[Any], gaps: Gaps | None = None) -> Outside:
        """Find the rows outside the training ranges, and those with gaps; see `predict`.

        Args:
            inputs: The graph's inputs, shape (n, d), C-contiguous, in the graph's dtype.
            gaps: The gaps in the rows that the inputs are made of.

        Raises:
            PackageError: If the package has no record of the ranges.
        """
        return self._ranges.outside(inputs, gaps)

    @numpy_defaults()
    def explain(self, rows: object, *, unknown_category: str | None = None) -> Explanation:
        """Compute each feature's contribution to each prediction, in float64.

        The contributions to a logged target are factors: the baseline times all of them is the
        prediction (log1p: the prediction + 1).

        Args:
            rows: As for `predict`.
            unknown_category: As for `predict`.

        Raises:
            InputError: Naming the wrong column, row, shape or dtype.
            PackageError: If the package has no record of the features' means.
        """
        from gradline.explain.contributions import Explanation, column_figures

        means = column_figures(self.manifest, self.features, "mean")
        graph = self.package.graph
        weights, bias = (a.astype(np.float64) for a in (graph.weights, graph.bias))
        steps = self.read(rows, unknown_category).inputs.astype(np.float64) - means
        parts = steps[:, None, :] * weights
        found = Explanation.of(weights @ means + bias, parts, self.plan, self.targets)
        return found.in_factors(self.functions) if self._logged else found

    def by_effect(self) -> list[int]:
        """Sort the table's columns by their effect, largest first; return their positions.

        Raises:
            PackageError: If the package has no record of the columns' standard deviations.
        """
        from gradline.explain.contributions import by_effect

        return by_effect(self.package.graph.weights, self.manifest, self.plan)

    @cached_property
    def _ranges(self) -> Ranges:
        from gradline.explain.ranges import Ranges

        return Ranges.of(self.manifest, self.features, self.dtype)

    def __repr__(self) -> str:
        version = "" if self.version is None else f" {self.version}"
        return f"<gradline.Model {self.name}{version}: {self.features} -> {self.targets}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Model, threads=self._threads), (self.package,)


def _fits(rows: object, model: Model) -> TypeGuard[NDArray[Any]]:
    """Check whether rows are a matrix as the graph takes it."""
    return (
        type(rows) is np.ndarray
        and rows.dtype == model.dtype
        and rows.ndim == 2
        and rows.shape[1] == model._width
        and rows.flags.c_contiguous
    )
