"""Prove parity: each host computes x @ W.T + b within the rounding bound of the exact value.

The hosts are eager PyTorch, TorchScript and ONNX Runtime. The exact value needs no rounding,
because floats are integers times powers of two.
"""

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
from gradline_export.freeze.formats import without_deprecation_notices
from gradline_export.linear import LinearModel

Predict = Callable[[NDArray[Any]], NDArray[Any]]
BATCHES = (1, 7, None)  # one row, a few, all: they take different paths through the kernels


@dataclass(frozen=True)
class HostParity:
    """How far one host's answers are from the exact values."""

    host: str
    rows: int  # of the largest batch
    error: float  # the largest distance, in the target's units
    share: float  # the largest distance as a share of the rounding bound; at most 1


def frozen_hosts(
    weights: NDArray[Any], bias: NDArray[Any], files: dict[str, bytes]
) -> dict[str, Predict]:
    """Open eager PyTorch and each frozen file, from its bytes, as functions of rows."""
    eager = LinearModel(torch.from_numpy(weights), torch.from_numpy(bias))
    session = open_session(files["model.onnx"])
    return {
        "PyTorch": _torch(eager),
        **torch_hosts(files),
        "ONNX Runtime": lambda rows: session.run(["y"], {"x": rows})[0],
    }


def torch_hosts(files: dict[str, bytes]) -> dict[str, Predict]:
    """Open each PyTorch file that is there, from its bytes, as a function of rows."""
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
    """Measure each host's distance from the exact x @ W.T + b.

    Raises:
        RefusedError: If a host is outside the rounding bound, with host, row and target.
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


def exact_outputs(
    x: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any]
) -> NDArray[np.float64]:
    """Compute x @ W.T + b exactly and round it once to float64: (n, d), (k, d), (k,) to (n, k)."""
    rows, row_exponent = _integers(x)
    factors, factor_exponent = _integers(weights)
    offsets, offset_exponent = _integers(bias)
    exponent = row_exponent + factor_exponent
    least = min(exponent, offset_exponent)
    sums = rows.dot(factors.T) * (1 << (exponent - least))
    sums = sums + offsets * (1 << (offset_exponent - least))
    round_one = np.frompyfunc(lambda total: _to_float(total, least), 1, 1)
    result: NDArray[np.float64] = round_one(sums).astype(np.float64)
    return result


def _integers(values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Split values into Python integers and one exponent e: values = integers · 2^e."""
    mantissas, exponents = np.frexp(values.astype(np.float64))
    integers = (mantissas * 2.0**53).astype(np.int64)
    used = exponents[integers != 0]
    least = int(used.min()) if used.size else 53
    shifts = np.where(integers != 0, exponents - least, 0)
    return integers.astype(object) * (1 << shifts.astype(object)), least - 53


def _to_float(total: int, exponent: int) -> float:
    # Python rounds both a division and a conversion of integers correctly.
    return total / (1 << -exponent) if exponent < 0 else float(total << exponent)
