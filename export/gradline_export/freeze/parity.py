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
from gradline.package.onnx_runtime import open_session
from gradline.package.rounding_bound import rounding_bound, row_count
from gradline_export.freeze.formats import without_deprecation_notices
from gradline_export.linear import LinearModel

BOUND = "(d+2)u/(1-(d+2)u) * (|x||W|^T + |b|) + 2(d+2)w"  # as manifests record it
SMALLEST, LARGEST = 2.0**-60, 2.0**60
WORK = 2_000_000  # multiply-adds of the exact evaluation of the parity rows
Predict = Callable[[NDArray[Any]], NDArray[Any]]
BATCHES = (1, 7, None)  # one row, a few, all: they take different paths through the kernels


@dataclass(frozen=True)
class HostParity:
    """How far one host's answers are from the exact values."""

    host: str
    rows: int  # of the largest batch
    error: float  # the largest distance, in the target's units
    share: float  # the largest distance as a share of the rounding bound; at most 1


def golden_rows(
    middle: NDArray[np.float64],
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    weights: NDArray[Any],
    bias: NDArray[Any],
    seed: int,
) -> NDArray[Any]:
    """Make `row_count(d)` synthetic rows in the graph's dtype, shape (n, d): none of the table's.

    They are the columns' means, minima and maxima, zeros, and seeded draws between the extremes.
    `middle` and both `ends` are of shape (d,), or longer with the targets behind the features.
    """
    d = weights.shape[1]
    low, high = (end[:d] for end in ends)
    share = np.random.default_rng([seed, 1]).random((row_count(d) - 4, d))
    draws = low * (1 - share) + high * share
    rows = np.vstack([middle[:d], low, high, np.zeros(d), draws])
    return _admissible(rows, weights, bias)


def parity_rows(golden: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """Make up to 256 rows: the golden ones, and some of them at every scale of the bound."""
    k, d = weights.shape
    count = max(16, min(256, WORK // (d * k)))
    generator = np.random.default_rng(count)
    picked = golden[generator.integers(len(golden), size=max(0, count - len(golden)))]
    signs = generator.choice([-1.0, 1.0], size=picked.shape)
    powers = np.linspace(-60, 60, len(picked)).round()[:, None]
    with np.errstate(over="ignore"):
        scaled = picked.astype(np.float64) * signs * 2.0**powers
    return np.vstack([golden, _admissible(scaled, weights, bias)])[:count]


def _admissible(
    rows: NDArray[np.float64], weights: NDArray[Any], bias: NDArray[Any]
) -> NDArray[Any]:
    """Bring rows (n, d), in the graph's dtype, into the range of the rounding bound.

    The bound holds for |x_j| and |x_j·W_kj| that are 0 or at least 2⁻⁶⁰ and for sums of magnitudes
    up to 2⁶⁰. A row whose sum is too large is scaled by a power of two. A value becomes 0 if it, or
    one of its products, is too small.
    """
    factors = np.abs(weights.astype(np.float64))
    room = LARGEST - float(np.abs(bias).max(initial=0.0))
    most = np.minimum(np.abs(rows), np.finfo(weights.dtype).max)
    sums = np.maximum((most @ factors.T).max(axis=1), most.max(axis=1))
    with np.errstate(divide="ignore"):
        powers = np.ceil(np.log2(sums / max(room, 1.0)) + 1e-9).clip(min=0)
    scaled = (rows * 2.0 ** -powers[:, None]).astype(weights.dtype)
    with np.errstate(divide="ignore"):
        weakest = np.where(factors > 0, factors, np.inf).min(axis=0)
    magnitude = np.abs(scaled.astype(np.float64))
    keep = (magnitude >= SMALLEST) & (magnitude * np.minimum(weakest, 1.0) >= SMALLEST)
    return np.where(keep, scaled, np.zeros((), weights.dtype))


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
    sums, exponent = exact_sums(x, weights, bias)
    round_one = np.frompyfunc(lambda total: to_float(total, exponent), 1, 1)
    result: NDArray[np.float64] = round_one(sums).astype(np.float64)
    return result


def exact_sums(
    x: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any]
) -> tuple[NDArray[Any], int]:
    """Compute x @ W.T + b as Python integers, shape (n, k), and the exponent of their unit 2^e."""
    rows, row_exponent = _integers(x)
    factors, factor_exponent = _integers(weights)
    offsets, offset_exponent = _integers(bias)
    exponent = row_exponent + factor_exponent
    least = min(exponent, offset_exponent)
    sums = rows.dot(factors.T) * (1 << (exponent - least))
    return sums + offsets * (1 << (offset_exponent - least)), least


def _integers(values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Split values into Python integers and one exponent e: values = integers · 2^e."""
    mantissas, exponents = np.frexp(values.astype(np.float64))
    integers = (mantissas * 2.0**53).astype(np.int64)
    used = exponents[integers != 0]
    least = int(used.min()) if used.size else 53
    shifts = np.where(integers != 0, exponents - least, 0)
    return integers.astype(object) * (1 << shifts.astype(object)), least - 53


def to_float(total: int, exponent: int) -> float:
    """Round an integer times 2^exponent to float64."""
    # Python rounds both a division and a conversion of integers correctly.
    return total / (1 << -exponent) if exponent < 0 else float(total << exponent)
