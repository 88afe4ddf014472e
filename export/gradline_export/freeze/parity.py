"""Parity: eager PyTorch, TorchScript and ONNX Runtime, each within the bound of the exact value."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradline.errors import RefusedError
from gradline.model import open_session
from gradline.package.rounding_bound import rounding_bound
from gradline_export.freeze.exact_product import exact_outputs
from gradline_export.freeze.formats import LinearModel, without_deprecation_notices

__all__ = ["HostParity", "Predict", "check_parity", "frozen_hosts", "torch_hosts"]

Predict = Callable[[NDArray[Any]], NDArray[Any]]
BATCHES = (1, 7, None)  # one row, a few, all: hosts take other paths through their kernels


@dataclass(frozen=True)
class HostParity:
    """How near one host came to the exact values.

    Attributes:
        host: Its name.
        rows: How many rows it was asked for, in the largest batch.
        error: The largest distance from the exact value, in the target's units.
        share: The largest share of the rounding bound that was used; at most 1.
    """

    host: str
    rows: int
    error: float
    share: float


def frozen_hosts(
    weights: NDArray[Any], bias: NDArray[Any], files: dict[str, bytes]
) -> dict[str, Predict]:
    """Return what evaluates the function: eager PyTorch, and each frozen file from its bytes."""
    eager = LinearModel(torch.from_numpy(weights), torch.from_numpy(bias))
    session = open_session(files["model.onnx"])
    return {
        "PyTorch": _torch(eager),
        **torch_hosts(files),
        "ONNX Runtime": lambda rows: session.run(["y"], {"x": rows})[0],
    }


def torch_hosts(files: dict[str, bytes]) -> dict[str, Predict]:
    """Return what evaluates each of the PyTorch files that are there, from its bytes."""
    hosts = {}
    if "model.pt" in files:
        with without_deprecation_notices():
            script = torch.jit.load(io.BytesIO(files["model.pt"]))  # type: ignore[no-untyped-call]
        hosts["TorchScript"] = _torch(script)
    if "model.pt2" in files:
        hosts["torch.export"] = _torch(torch.export.load(io.BytesIO(files["model.pt2"])).module())
    return hosts


def check_parity(
    hosts: dict[str, Predict], rows: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any]
) -> list[HostParity]:
    """Return how near each host comes to the exact x @ W.T + b.

    Args:
        hosts: By name, each (n, d) to (n, k) in the graph's dtype.
        rows: Shape (n, d), in the graph's dtype, inside the range of the bound.
        weights: W as frozen, shape (k, d).
        bias: b as frozen, shape (k,).

    Raises:
        RefusedError: Where a host is outside the rounding bound, naming host, row and target.
    """
    exact = exact_outputs(rows, weights, bias)
    bounds = rounding_bound(rows, weights, bias, weights.dtype)
    found = []
    for host, predict in hosts.items():
        error = share = 0.0
        for size in BATCHES:
            answers = predict(rows[:size]).astype(np.float64)
            errors = np.abs(answers - exact[:size])
            wrong = ~(errors <= bounds[:size])
            if wrong.any():
                row, target = (int(i) for i in np.argwhere(wrong)[0])
                raise RefusedError(
                    f"no parity: {host} answers {float(answers[row, target])!r} for test row "
                    f"{row}, target {target}; the exact value is {float(exact[row, target])!r} "
                    f"± {bounds[row, target]:.3g}",
                    code="no-parity",
                    hint="nothing was published; try another release of that library",
                )
            error = max(error, float(errors.max()))
            share = max(share, float((errors / bounds[:size]).max()))
        found.append(HostParity(host, len(rows), error, share))
    return found


def _torch(module: Any) -> Predict:
    def predict(rows: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            answers: NDArray[Any] = module(torch.from_numpy(np.ascontiguousarray(rows))).numpy()
        return answers

    return predict
