"""Golden rows: inputs, exact outputs and error bounds with which any host can test itself."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import PackageError
from gradline.package.graph import Graph
from gradline.package.manifest import parse_json
from gradline.package.onnx_runtime import import_onnxruntime
from gradline.package.rounding_bound import rounding_bound

ARRAYS = ("inputs", "outputs", "bounds")


def row_count(d: int) -> int:
    """Compute how many golden rows the format requires for a graph of d inputs."""
    return max(4, min(64, 4096 // d))


@dataclass(frozen=True)
class Golden:
    """Synthetic rows (n, d) with the exact answers of the graph (n, k)."""

    inputs: NDArray[Any]  # in the graph's dtype
    outputs: NDArray[np.float64]  # the exact x @ W.T + b, correctly rounded to float64
    bounds: NDArray[np.float64]  # the largest distance of a correct evaluation from them

    def dump(self) -> bytes:
        """Write golden.json's bytes: decimal numbers that read back to the same bits."""
        members = [f' "dtype": "{self.inputs.dtype}"']
        for key in ARRAYS:
            array = getattr(self, key).astype(float)
            rows = ",\n".join("  " + json.dumps(row) for row in array.tolist())
            members.append(f' "{key}": [\n{rows}\n ]')
        return ("{\n" + ",\n".join(members) + "\n}\n").encode()

    @classmethod
    def parse(cls, data: bytes, shape: tuple[int, int], dtype: np.dtype[Any]) -> Golden:
        """Read golden.json's bytes for a graph whose W has shape (k, d)."""
        k, d = shape
        # Each row has d + 2k values and 3 brackets; 20 more are for the object's members.
        document = parse_json(data, "golden.json", row_count(d) * (d + 2 * k + 3) + 20)
        try:
            inputs, outputs, bounds = (np.array(document[key], np.float64) for key in ARRAYS)
            n = len(inputs)
            fits = inputs.shape == (n, d) and outputs.shape == bounds.shape == (n, k) and n > 0
            with np.errstate(over="ignore"):
                inputs = inputs.astype(dtype)
            fits = fits and all(np.isfinite(a).all() for a in (inputs, outputs, bounds))
        except (LookupError, TypeError, ValueError, OverflowError):
            fits = False
        if not fits:
            raise PackageError("golden.json does not hold rows of this graph", code="bad-golden")
        return cls(inputs, outputs, bounds)

    def check(
        self,
        predict: Callable[[NDArray[Any]], NDArray[Any]],
        graph: Graph,
        host: str = "this machine",
    ) -> float:
        """Check a host's predictions; return the largest error as a share of its bound."""
        answers = predict(self.inputs).astype(np.float64)
        errors = np.abs(answers - self.outputs)
        wrong = ~(errors <= self.bounds)  # a NaN is wrong too
        if wrong.any():
            row, target = (int(i) for i in np.argwhere(wrong)[0])
            answer, exact = answers[row, target], self.outputs[row, target]
            raise PackageError(
                f"the self-test failed: golden row {row}, target {graph.targets[target]!r}: "
                f"{host} answers {float(answer)!r}, the exact value is {float(exact)!r} "
                f"± {self.bounds[row, target]:.3g} ({host_versions()})",
                code="self-test",
                hint="do not predict here; try another ONNX Runtime release",
            )
        bounds = rounding_bound(self.inputs, graph.weights, graph.bias, graph.dtype)
        if not np.allclose(self.bounds, bounds, rtol=1e-9, atol=0):
            raise PackageError(
                "the bounds in golden.json are not the rounding bounds of this graph",
                code="bad-golden",
            )
        return float((errors / self.bounds).max())


def host_versions() -> str:
    """Describe this host: the versions of ONNX Runtime, NumPy and Python, and the CPU type."""
    return (
        f"onnxruntime {import_onnxruntime().__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}"
    )
