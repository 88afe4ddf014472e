"""load() and Model: a package, checked on the machine that it predicts on."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from gradline.columns.by_name import as_inputs
from gradline.columns.encoding import fill_values
from gradline.columns.matrix import to_matrix
from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import InputError, PackageError
from gradline.package.files import Package
from gradline.package.onnx_runtime import import_onnxruntime
from gradline.package.reading import read_package

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from gradline.explain.contributions import Explanation
    from gradline.explain.ranges import Outside, Ranges

__all__ = ["Model", "load", "open_session"]


@numpy_defaults()
def load(
    path: str | Path,
    *,
    threads: int = 1,
    self_test: bool = True,
    public_key: str | Path | None = None,
    name: str | None = None,
) -> Model:
    """Return the model of the package at `path`, proved on this machine.

    The seal, the hashes and the graph are checked and the golden rows are predicted before
    anything else is.

    Args:
        path: artifacts/<name> (its pinned version, else its newest), artifacts/<name>/<version>,
            or a bare ONNX file of gradline's (which has no seal and no golden rows).
        threads: ONNX Runtime's threads. With one, a row gets the same bits alone and in a batch.
        self_test: Whether to predict the golden rows.
        public_key: A PEM file; where given, only a package that its owner signed is loaded.
        name: The name that the package must have; by default <name> if `path` is artifacts/<name>.
            A version or a file may be a mount or a copy, so by default it may have any name.

    Raises:
        InputError: Where nothing is at `path`, or the key is none.
        PackageError: Where the package is damaged, forged, of a newer format, unsigned where a key
            is given, differently named, or computes wrongly on this machine.
    """
    if type(threads) is not int or threads < 1:
        raise InputError(f"threads = {threads!r}, expected 1 or more", code="bad-option")
    return Model(read_package(path, public_key, name), threads=threads, self_test=self_test)


class Model:
    """A linear model, y = x @ W.T + b, as it was published.

    Attributes:
        name: The package's name.
        version: The number of its version directory, or None.
        features: The d input names, in the order of an array's columns.
        targets: The k output names, in the order of a prediction's columns.
        columns: What the columns of the table were, where one of them is a category or has a fill
            value for what is missing; else empty, and the features are the table's columns.
        dtype: float32 or float64, in which the graph computes.
        manifest: All that the package says of itself; empty for a bare ONNX file.
        package: What was read of it.
    """

    def __init__(self, package: Package, *, threads: int = 1, self_test: bool = True) -> None:
        graph = package.graph
        self.name = graph.name
        self.version = package.version
        self.features = graph.features
        self.targets = graph.targets
        self.columns = graph.columns
        self.dtype = graph.dtype
        self.manifest = package.manifest
        self.package = package
        self._threads = threads
        self._session = open_session(package.onnx, threads)
        self._width = len(graph.features)
        fills = fill_values(graph.columns)
        self._fills = None if fills is None else fills.astype(graph.dtype)
        if self_test and package.golden is not None:
            package.golden.check(self.predict, graph)

    @overload
    def predict(
        self, rows: object, *, unknown_category: str = ..., check: Literal[False] = ...
    ) -> NDArray[Any]: ...

    @overload
    def predict(
        self, rows: object, *, unknown_category: str = ..., check: Literal[True]
    ) -> tuple[NDArray[Any], Outside]: ...

    def predict(
        self, rows: object, *, unknown_category: str = "error", check: bool = False
    ) -> NDArray[Any] | tuple[NDArray[Any], Outside]:
        """Return the predictions, shape (n, k), in the graph's dtype.

        Args:
            rows: An array-like of shape (n, d) in feature order; a mapping from feature name to
                a column of n values; or a dataframe (pandas, polars, pyarrow), whose columns are
                matched by name and whose further columns are ignored. NaN and None are missing
                values: they are filled where the package has a fill value, in every way of
                calling, and give NaN elsewhere. Where a column is a category, rows by name have
                that column, or all of the graph's own inputs; an array has the latter.
            unknown_category: What a category that no training row had does: "error", or "zero"
                to make each of the column's indicators 0.
            check: Whether to return, beside the predictions, an `Outside`: which rows lie outside
                the ranges that the model was trained on, in which feature, and how far.

        Raises:
            InputError: Naming the column, row, shape or dtype at fault.
            PackageError: Where ranges are to be checked and the package has no record of them.
        """
        # A matrix that is right already goes straight to ONNX Runtime: for one row the checks
        # of to_matrix would cost as much as the prediction.
        if not (
            type(rows) is np.ndarray
            and rows.dtype == self.dtype
            and rows.ndim == 2
            and rows.shape[1] == self._width
            and rows.flags.c_contiguous
        ):
            if self.columns:
                rows = as_inputs(rows, self.columns, self.features, unknown_category)
            rows = to_matrix(rows, self.features, self.dtype)
        if self._fills is not None:
            rows = np.where(np.isnan(rows), self._fills, rows)
        answers: NDArray[Any] = self._session.run(["y"], {"x": rows})[0]
        if not check:
            return answers
        with numpy_defaults():
            return answers, self._ranges.outside(rows)

    @numpy_defaults()
    def explain(self, rows: object, *, unknown_category: str = "error") -> Explanation:
        """Return each feature's part of each prediction, computed in float64.

        Args:
            rows: As of `predict`.
            unknown_category: As of `predict`.

        Raises:
            InputError: Naming the column, row, shape or dtype at fault.
            PackageError: Where the package has no record of the features' means.
        """
        from gradline.explain.contributions import column_figures, explain

        means = column_figures(self.manifest, self.features, "mean")
        if self.columns:
            rows = as_inputs(rows, self.columns, self.features, unknown_category)
        matrix = to_matrix(rows, self.features, self.dtype)
        if self._fills is not None:
            matrix = np.where(np.isnan(matrix), self._fills, matrix)
        graph = self.package.graph
        weights, bias = (a.astype(np.float64) for a in (graph.weights, graph.bias))
        return explain(matrix, weights, bias, means)

    def by_effect(self) -> list[int]:
        """Return the places of the table's columns, the most telling first.

        Raises:
            PackageError: Where the package has no record of the columns' deviations.
        """
        from gradline.explain.contributions import by_effect

        return by_effect(self.package.graph.weights, self.manifest, self.columns)

    @cached_property
    def _ranges(self) -> Ranges:
        from gradline.explain.ranges import Ranges

        return Ranges.of(self.manifest, self.features, self.dtype)

    def __repr__(self) -> str:
        version = "" if self.version is None else f" {self.version}"
        return f"<gradline.Model {self.name}{version}: {self.features} -> {self.targets}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.package, self._threads)


def _reopen(package: Package, threads: int) -> Model:
    return Model(package, threads=threads)


def open_session(onnx: bytes, threads: int = 1) -> InferenceSession:
    """Return an ONNX Runtime session on the CPU for a graph that was checked before.

    Raises:
        PackageError: Where ONNX Runtime does not take it.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # its own types have no other base
        raise PackageError(
            f"ONNX Runtime does not load model.onnx: {' '.join(str(error).split())}",
            code="not-the-graph",
            hint="get the package again from where it was published",
        ) from error
