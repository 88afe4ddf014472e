"""The self-test of a package: predict its golden rows on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import in_units
from gradline.package.files import Package
from gradline.package.golden import check_raw_rows

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def prove(package: Package, session: InferenceSession) -> float | None:
    """Check the session of model.onnx; return the largest error as a share of its bound.

    None if the package has no golden rows. Raw rows are checked with the terms that are computed
    here, and in the targets' units.

    Raises:
        PackageError: If an answer is outside its bound.
    """
    golden, graph = package.golden, package.graph
    if golden is None:
        return None

    def gemm(x: NDArray[Any]) -> NDArray[Any]:
        answers: NDArray[Any] = session.run(["y"], {"x": x})[0]
        return answers

    share = golden.check(gemm, graph)
    if golden.raw is None:
        return share
    with np.errstate(all="ignore"):  # a hostile file may hold any number
        terms = graph.plan.compute(golden.raw.values(graph.plan)).astype(graph.dtype)
        answers = in_units(gemm(terms), graph.functions)
    return max(share, check_raw_rows(golden.raw, answers, graph))


def prove_pipeline(package: Package, session: InferenceSession) -> float | None:
    """Check the session of pipeline.onnx on the raw rows; return as `prove`."""
    golden, graph = package.golden, package.graph
    if golden is None or golden.raw is None:
        return None
    answers = session.run(None, golden.raw.feeds(graph.plan))[0]
    return check_raw_rows(golden.raw, answers, graph, "pipeline.onnx")
