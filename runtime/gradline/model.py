"""`load` and `Model`: check a package on this machine, then predict with it."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import (
    Gaps,
    blocks_of_inputs,
    checked_unknown,
    compute_inputs,
    plan_of_inputs,
    values_by_name,
)
from gradline.columns.matrix import to_matrix
from gradline.columns.numpy_state import numpy_defaults
from gradline.columns.targets import in_units
from gradline.errors import InputError, PackageError
from gradline.package.files import Package
from gradline.package.onnx_runtime import import_onnxruntime
from gradline.package.proof import prove
from gradline.package.reading import read_package

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from gradline.columns.plan import Plan
    from gradline.explain.contributions import Explanation
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
        self._own = plan_of_inputs(graph.plan)
        fills = np.array([c.fill for c in self._own.columns], np.float64)  # NaN for None
        self._fills = None if np.isnan(fills).all() else fills.astype(graph.dtype)
        if self_test:
            prove(package, self._session)

    @overload
    def predict(
        self, rows: object, *, unknown_category: str | None = ..., check: Literal[False] = ...
    ) -> NDArray[Any]: ...

    @overload
    def predict(
        self, rows: object, *, unknown_category: str | None = ..., check: Literal[True]
    ) -> tuple[NDArray[Any], Outside]: ...

    def predict(
        self, rows: object, *, unknown_category: str | None = None, check: bool = False
    ) -> NDArray[Any] | tuple[NDArray[Any], Outside]:
        """Predict rows in the targets' units; return shape (n, k) in the graph's dtype.

        A logged target is exp(z)·s (log1p: exp(z)·s − 1) of the graph's answer z, in float64.

        Args:
            rows: An array-like of shape (n, d) in feature order; a mapping from feature name to
                n values; or a dataframe (pandas, polars, pyarrow). Names are matched; a
                dataframe's other columns are ignored. If the features are made of the table's
                columns, give these, or all of the features by name; an array has the features.
                NaN, None and the texts that mean missing take the column's fill value; without one
                the answer is NaN, unless a missing value is a level of its own.
            unknown_category: What to do with a category that no training row had: "error",
                "missing" (the answer is NaN), or "zero" to set all indicators of its column to 0.
                By default "error" for a package of format 1, else "missing".
            check: Whether to return an `Outside` too: the rows outside the training ranges, in
                which features, and how far; and those with filled values or unknown categories.

        Raises:
            InputError: Naming the wrong column, row, shape or dtype.
            PackageError: If `check` is set and the package has no record of the ranges.
        """
        if self.columns and not check and type(rows) is not np.ndarray:
            values = self._values(rows, unknown_category)
            if values is not None:
                unknown = checked_unknown(unknown_category, self.plan)
                return self.answers_of(values, self.plan, unknown)
        gaps: list[Gaps] | None = [] if check else None
        inputs = self._inputs(rows, unknown_category, gaps)
        answers = self.graph_answers(inputs)
        if self._logged:
            answers = in_units(answers, self.functions)
        if gaps is None:
            return answers
        with numpy_defaults():
            return answers, self.outside(inputs, *gaps)

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

    def _inputs(
        self, rows: Any, unknown: str | None, gaps: list[Gaps] | None = None
    ) -> NDArray[Any]:
        """Make the graph's inputs of rows, shape (n, d), missing values filled; add their gaps."""
        # A matrix that already fits skips the checks: for one row they would cost as much as
        # the prediction.
        if not (
            type(rows) is np.ndarray
            and rows.dtype == self.dtype
            and rows.ndim == 2
            and rows.shape[1] == self._width
            and rows.flags.c_contiguous
        ):
            values = self._values(rows, unknown) if self.columns else None
            if values is not None:
                if gaps is not None:
                    gaps.append(Gaps.of(values, self.plan))
                unknown = checked_unknown(unknown, self.plan)
                return compute_inputs(values, self.plan, unknown, self.dtype)
            rows = to_matrix(rows, self.features, self.dtype)
        inputs: NDArray[Any] = rows
        if self._fills is None:
            return inputs
        if gaps is not None:
            gaps.append(Gaps.of(inputs, self._own))
        return np.where(np.isnan(inputs), self._fills, inputs)

    def _values(self, rows: Any, unknown: str | None) -> NDArray[np.float64] | None:
        """Read the table's columns, shape (n, m); None for rows that hold the features."""
        return values_by_name(rows, self.plan, checked_unknown(unknown, self.plan))

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
        steps = self._inputs(rows, unknown_category).astype(np.float64) - means
        found = Explanation(weights @ means + bias, steps[:, None, :] * weights)
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


def open_session(onnx: bytes, threads: int = 1) -> InferenceSession:
    """Open an ONNX Runtime session on the CPU for a graph that was already checked."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime's own errors have no other base
        raise PackageError(
            f"ONNX Runtime cannot load model.onnx: {' '.join(str(error).split())}",
            code="not-the-graph",
        ) from error
