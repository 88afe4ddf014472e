"""Golden rows: inputs, exact outputs and error bounds with which any host can test itself."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.errors import PackageError
from gradline.package.graph import Graph
from gradline.package.manifest import parse_json
from gradline.package.onnx_runtime import import_onnxruntime
from gradline.package.raw_rows import RawRows, most_values
from gradline.package.rounding_bound import pipeline_bound, rounding_bound, row_count

ARRAYS = ("inputs", "outputs", "bounds")


@dataclass(frozen=True)
class Golden:
    """Synthetic rows (n, d) with the exact answers of the graph (n, k)."""

    inputs: NDArray[Any]  # in the graph's dtype
    outputs: NDArray[np.float64]  # the exact x @ W.T + b, correctly rounded to float64
    bounds: NDArray[np.float64]  # the largest distance of a correct evaluation from them
    raw: RawRows | None = None  # format 2: rows of the table's own columns

    def dump(self) -> bytes:
        """Write golden.json's bytes: decimal numbers that read back to the same bits."""
        members = [f' "dtype": "{self.inputs.dtype}"']
        for key in ARRAYS:
            array = getattr(self, key).astype(float)
            rows = ",\n".join("  " + json.dumps(row) for row in array.tolist())
            members.append(f' "{key}": [\n{rows}\n ]')
        if self.raw is not None:
            members.append(f' "raw": {self.raw.document()}')
        return ("{\n" + ",\n".join(members) + "\n}\n").encode()

    @classmethod
    def parse(
        cls,
        data: bytes,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        plan: Plan | None = None,
    ) -> Golden:
        """Read golden.json's bytes for a graph whose W has shape (k, d); a plan for raw rows."""
        k, d = shape
        # Each row has d + 2k values and 3 brackets; 20 more are for the object's members.
        most = row_count(d) * (d + 2 * k + 3) + 20 + (most_values(plan, k) if plan else 0)
        document = parse_json(data, "golden.json", most)
        try:
            inputs, outputs, bounds = (np.array(document[key], np.float64) for key in ARRAYS)
            n = len(inputs)
            fits = inputs.shape == (n, d) and outputs.shape == bounds.shape == (n, k) and n > 0
            with np.errstate(over="ignore"):
                inputs = inputs.astype(dtype)
            fits = fits and all(np.isfinite(a).all() for a in (inputs, outputs, bounds))
            raw = RawRows.parse(document["raw"], plan, k) if plan else None
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
            fits = False
        if not fits:
            raise PackageError("golden.json does not hold rows of this graph", code="bad-golden")
        return cls(inputs, outputs, bounds, raw)

    @np.errstate(all="ignore")
    def check(
        self,
        predict: Callable[[NDArray[Any]], NDArray[Any]],
        graph: Graph,
        host: str = "this machine",
    ) -> float:
        """Check a host's predictions; return the largest error as a share of its bound."""
        answers = predict(self.inputs)
        share = _share(answers, self.outputs, self.bounds, graph, host, "golden row")
        bounds = rounding_bound(self.inputs, graph.weights, graph.bias, graph.dtype)
        _check_bounds(self.bounds, bounds)
        return share


@np.errstate(all="ignore")  # a hostile file may hold any number
def check_raw_rows(
    rows: RawRows, answers: NDArray[Any], graph: Graph, host: str = "this machine"
) -> float:
    """Check a host's answers to raw rows, and the rows' bounds; return as `Golden.check`."""
    share = _share(answers, rows.outputs, rows.bounds, graph, host, "raw golden row")
    terms = graph.plan.compute(rows.values(graph.plan)).astype(graph.dtype)
    expected = pipeline_bound(terms, graph.plan, graph.weights, graph.bias, graph.functions)
    _check_bounds(rows.bounds, expected)
    return share


def _share(
    answers: NDArray[Any],
    exact: NDArray[np.float64],
    bounds: NDArray[np.float64],
    graph: Graph,
    host: str,
    row_name: str,
) -> float:
    """Compute the largest error as a share of its bound; refuse one above it."""
    found = answers.astype(np.float64)
    errors = np.abs(found - exact)
    absent = np.isnan(exact)
    wrong = np.where(absent, ~np.isnan(found), ~(errors <= bounds))  # a NaN is wrong too
    if wrong.any():
        row, target = (int(i) for i in np.argwhere(wrong)[0])
        raise PackageError(
            f"the self-test failed: {row_name} {row}, target {graph.targets[target]!r}: "
            f"{host} answers {float(found[row, target])!r}, the exact value is "
            f"{float(exact[row, target])!r} ± {bounds[row, target]:.3g} ({host_versions()})",
            code="self-test",
            hint="do not predict here; try another ONNX Runtime release",
        )
    return float((errors / bounds)[~absent].max(initial=0.0))


def _check_bounds(bounds: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    if not np.allclose(bounds, expected, rtol=1e-9, atol=0, equal_nan=True):
        raise PackageError(
            "the bounds in golden.json are not the rounding bounds of this graph",
            code="bad-golden",
        )


def host_versions() -> str:
    """Describe this host: the versions of ONNX Runtime, NumPy and Python, and the CPU type."""
    return (
        f"onnxruntime {import_onnxruntime().__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}"
    )
