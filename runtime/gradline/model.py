"""`load` and `Model`: check a package on this machine, then predict with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, overload

import numpy as np
from numpy.typing import NDArray

from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import InputError
from gradline.explain.counts import warnings_about
from gradline.explain.intervals import Prediction
from gradline.package.files import Package
from gradline.package.proof import prove
from gradline.package.reading import read_package
from gradline.predictor import Predictor
from gradline.tracebacks import short_tracebacks, warn_caller

if TYPE_CHECKING:
    from gradline.explain.contributions import Explanation
    from gradline.explain.ranges import Outside


@short_tracebacks
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


class Model(Predictor):
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
        super().__init__(package, threads)
        self.name = package.graph.name
        self.version = package.version
        self._threads = threads
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
                Names are matched in any order; further columns of a dataframe are ignored. If
                features are computed from the table's columns, give those columns, or every feature
                by name; an array holds the features. A missing value (NaN, None or a text that
                means missing) takes the column's fill value. Without one the answer is NaN, unless
                missing is a level of the column.
            intervals: A level between 0 and 1, such as 0.95: return a `Prediction`, with intervals
                that contain a new row's target with that probability.
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
            GradlineWarning: With the number of rows that have an unknown category, a missing value
                or no finite answer, unless the rows are an array.
        """
        # For one row the checks, and a door, would cost as much as the prediction.
        if intervals is None and not check and self._is_bare and _fits(rows, self):
            return self.graph_answers(rows)
        return self._predict(rows, intervals, unknown_category, check)

    @short_tracebacks
    def _predict(
        self, rows: object, intervals: float | None, unknown_category: str | None, check: bool
    ) -> NDArray[Any] | Prediction | tuple[NDArray[Any] | Prediction, Outside]:
        read = self.read(rows, unknown_category)
        answers, ends, outside = self.answer(read, intervals=intervals, check=check)
        if not isinstance(rows, np.ndarray):
            warn_caller(warnings_about(read, answers))
        found: NDArray[Any] | Prediction = answers
        if intervals is not None and ends is not None:
            found = Prediction(answers, *ends, float(intervals), self.targets)
        return found if outside is None else (found, outside)

    @short_tracebacks
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

        Warns:
            GradlineWarning: As for `predict`.
        """
        from gradline.explain.contributions import Explanation, column_figures

        means = column_figures(self.manifest, self.features, "mean")
        graph = self.package.graph
        weights, bias = (a.astype(np.float64) for a in (graph.weights, graph.bias))
        read = self.read(rows, unknown_category)
        parts = (read.inputs.astype(np.float64) - means)[:, None, :] * weights
        found = Explanation.of(weights @ means + bias, parts, self.plan, self.targets)
        if not isinstance(rows, np.ndarray):
            warn_caller(warnings_about(read, found.baseline + found.by_column.sum(axis=2)))
        return found.in_factors(self.functions) if self._logged else found

    @short_tracebacks
    def by_effect(self) -> list[int]:
        """Sort the table's columns by their effect, largest first; return their positions.

        Raises:
            PackageError: If the package has no record of the columns' standard deviations.
        """
        from gradline.explain.contributions import by_effect

        return by_effect(self.package.graph.weights, self.manifest, self.plan)

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of training, as in the manifest; empty if they are unknown."""
        found: dict[str, Any] = self.manifest.get("metrics", {})
        return found

    @property
    def coefficients(self) -> dict[str, dict[str, float]]:
        """Each target's weights by term, and its bias; of the logarithm of a logged target."""
        from gradline.presentation.representation import coefficients

        return coefficients(self.package.graph)

    @property
    def equation(self) -> str:
        """One equation for each target, as a run's summary prints them."""
        from gradline.presentation.representation import equation

        return equation(self.package.graph, self.manifest)

    def __repr__(self) -> str:
        from gradline.presentation.representation import as_text

        return as_text(self.package.graph, self.manifest, self.version)

    def _repr_html_(self) -> str:
        from gradline.presentation.representation import as_html

        return as_html(self.package.graph, self.manifest, self.version)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Model, threads=self._threads), (self.package,)


def _fits(rows: object, model: Model) -> TypeGuard[NDArray[Any]]:
    """Check whether the graph can take rows as they are."""
    return (
        type(rows) is np.ndarray
        and rows.dtype == model.dtype
        and rows.ndim == 2
        and rows.shape[1] == model._width
        and rows.flags.c_contiguous
    )
