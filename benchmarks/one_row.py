"""One row: Model.predict against the bare ONNX Runtime session, and against scikit-learn.

All run on one thread. The bare session is the lower limit: the same bytes and options, without a
check of the row. scikit-learn's LinearRegression is the usual alternative.
"""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import gradline
from benchmarks.comparison import Comparison, compare
from benchmarks.measure import time_calls
from benchmarks.orchard import TARGET_VALUES, X, published
from gradline.package.files import Package
from gradline.package.onnx_runtime import open_session
from gradline.package.reading import read_package
from gradline.package.rounding_bound import rounding_bound

__all__ = ["run"]

ARRAY, LIST, MAPPING, FRAME = (
    f"Model.predict, one row as {form}" for form in ("array", "list", "mapping", "pandas frame")
)
SESSION = "InferenceSession.run, array"
SKLEARN, SKLEARN_FRAME = (f"LinearRegression.predict, {form}" for form in ("array", "pandas frame"))
TURNS = 41


def run(quick: bool) -> list[Comparison]:
    """Compare: first the lines with a goal, then other forms of the same row."""
    from threadpoolctl import threadpool_limits

    with TemporaryDirectory() as folder, threadpool_limits(1):
        package = read_package(published(folder))
        calls = _calls(package, gradline.load(package.path))
        _check(calls, package)
        samples = time_calls(calls, 2 if quick else TURNS)
    return [
        compare(samples, ARRAY, SESSION, goal=1.5),
        compare(samples, ARRAY, SKLEARN, goal=1 / 8),
        compare(samples, LIST, SESSION),
        compare(samples, MAPPING, SESSION),
        compare(samples, FRAME, SKLEARN_FRAME),
    ]


def _calls(package: Package, model: gradline.Model) -> dict[str, Callable[[], Any]]:
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    session = open_session(package.onnx, threads=1)
    row = X[:1].astype(np.float32)
    numbers, frame = row.tolist(), pd.DataFrame(row, columns=model.features)
    columns = {name: [value] for name, value in zip(model.features, numbers[0], strict=True)}
    by_place = LinearRegression().fit(X, TARGET_VALUES)
    by_name = LinearRegression().fit(pd.DataFrame(X, columns=model.features), TARGET_VALUES)
    return {
        ARRAY: lambda: model.predict(row),
        SESSION: lambda: session.run(["y"], {"x": row})[0],
        SKLEARN: lambda: by_place.predict(row),
        LIST: lambda: model.predict(numbers),
        MAPPING: lambda: model.predict(columns),
        FRAME: lambda: model.predict(frame),
        SKLEARN_FRAME: lambda: by_name.predict(frame),
    }


def _check(calls: dict[str, Callable[[], Any]], package: Package) -> None:
    """Check that every form of the row has the same bits, and scikit-learn's within rounding."""
    graph, row = package.graph, X[:1].astype(np.float32)
    bound = rounding_bound(row, graph.weights, graph.bias, graph.dtype)
    answer = calls[SESSION]()
    for name, call in calls.items():
        limit = bound if name in (SKLEARN, SKLEARN_FRAME) else 0
        error = np.abs(call() - answer)
        assert (error <= limit).all(), f"{name} is off by {error}, allowed is {limit}"
