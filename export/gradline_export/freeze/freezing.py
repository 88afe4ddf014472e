"""From a fit to a package's files: choose the dtype, freeze, prove, seal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import learned_names
from gradline.errors import PackageError, RefusedError
from gradline.package.golden import Golden
from gradline.package.graph import Graph, parse_graph
from gradline.package.manifest import dump_manifest, file_record, parse_manifest
from gradline.package.pipeline import MOST_COLUMNS
from gradline.package.rounding_bound import rounding_bound
from gradline_export.freeze.float32 import Float32Certificate, certify_float32
from gradline_export.freeze.formats import rounded, to_onnx, to_torch_export, to_torchscript
from gradline_export.freeze.manifest import build_manifest, check_notes
from gradline_export.freeze.parity import (
    HostParity,
    check_parity,
    exact_outputs,
    frozen_hosts,
    golden_rows,
    parity_rows,
)
from gradline_export.freeze.pipelines import prove_pipeline, schema_of, to_pipeline
from gradline_export.freeze.raw_golden import raw_rows
from gradline_trainer.moments.moments import extremes
from gradline_trainer.result import Fit
from gradline_trainer.rows.library_state import known_state


@dataclass(frozen=True)
class Frozen:
    """A package's files, proved and sealed, not yet published."""

    files: dict[str, bytes]  # by name, the manifest last
    manifest: dict[str, Any]
    weights: NDArray[Any]  # W as frozen, shape (k, d), in the graph's dtype
    bias: NDArray[Any]  # b as frozen, shape (k,)
    certificate: Float32Certificate
    parity: list[HostParity]


@known_state()
def freeze(
    fit: Fit,
    name: str,
    *,
    torch_export: bool = False,
    intervals: bool = False,
    report: bool = True,
    fingerprint: bool = True,
    notes: Mapping[str, str] | None = None,
) -> Frozen:
    """Freeze a fit and prove it on this machine; see `export_package`."""
    check_notes(notes or {})
    certificate = certify_float32(
        fit.moments,
        fit.weights.numpy(),
        fit.bias.numpy(),
        np.array([m.rmse_learned for m in (fit.metrics["training"] or {}).values()]),
        fit.features,
        learned_names(fit.targets, fit.target_functions),
        fit.partial_sums,
    )
    dtype = _choose_dtype(fit, certificate)
    rests = (fit.exact.weights_rest, fit.exact.bias_rest) if fit.exact else (None, None)
    weights, bias = rounded(fit.weights, dtype, rests[0]), rounded(fit.bias, dtype, rests[1])
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise RefusedError(
            f"a weight is outside the range of {dtype}",
            code="not-finite",
            hint="rescale the target or the features",
        )
    described = schema_of(fit.columns.plan, fit.target_functions)
    onnx = to_onnx(weights, bias, name, fit.features, fit.targets, *described)
    ends = extremes(fit.moments)
    golden = golden_rows(fit.moments.mean, ends, weights, bias, fit.options.seed)
    proved = prove_graph(onnx, golden, ends, fit.options.seed, torch_export=torch_export)
    files, parity = proved.files, proved.parity
    manifest = build_manifest(fit, proved.graph, certificate, parity, fingerprint, notes or {})
    if intervals:
        from gradline_export.freeze.intervals import freeze_intervals

        manifest["intervals"], files["intervals.onnx"] = freeze_intervals(fit, golden)
    manifest["files"] = {file: file_record(data) for file, data in files.items()}
    if report:
        from gradline_export.report.report import to_report

        files["report.html"] = page = to_report(manifest, fit, weights, bias)
        manifest["files"]["report.html"] = file_record(page)
    seal(files, manifest)
    return Frozen(files, manifest, weights, bias, certificate, parity)


@dataclass(frozen=True)
class Proved:
    """A graph's files, without the manifest, and what was proved of them."""

    files: dict[str, bytes]
    graph: Graph
    parity: list[HostParity]


def prove_graph(
    onnx: bytes,
    golden: NDArray[Any],
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    seed: int,
    *,
    torch_export: bool,
) -> Proved:
    """Write the other files of model.onnx, and prove that all of them agree on this machine.

    Args:
        onnx: The bytes of model.onnx.
        golden: Rows of the graph's inputs, shape (n, d).
        ends: Each input's smallest and largest value, from which rows of the columns are made.
        seed: Of those rows.
        torch_export: Whether to write model.pt2.
    """
    graph = parse_graph(onnx)  # the runtime refuses any other graph
    weights, bias = graph.weights, graph.bias
    files = {"model.onnx": onnx}
    if graph.format == 2 and len(graph.plan.columns) <= MOST_COLUMNS:
        files["pipeline.onnx"] = to_pipeline(graph)
    files["model.pt"] = to_torchscript(weights, bias)
    if torch_export:
        files["model.pt2"] = to_torch_export(weights, bias)
    rows = parity_rows(golden, weights, bias)
    parity = check_parity(frozen_hosts(weights, bias, files), rows, weights, bias)
    outputs = exact_outputs(golden, weights, bias)
    bounds = rounding_bound(golden, weights, bias, graph.dtype)
    raw = raw_rows(ends, graph, seed) if graph.format == 2 else None
    if raw is not None and "pipeline.onnx" in files:
        parity.append(prove_pipeline(files["pipeline.onnx"], graph, raw))
    files["golden.json"] = Golden(golden, outputs, bounds, raw).dump()
    return Proved(files, graph, parity)


def seal(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    """Add the manifest to a package's files, and check that it can be loaded."""
    files["manifest.json"] = dump_manifest(manifest)
    try:
        parse_manifest(files["manifest.json"])
    except PackageError as error:
        raise RefusedError(
            f"the package could not be loaded: {error}",
            code="too-large",
            hint="fewer features or notes: --feature, --exclude",
        ) from error


def _choose_dtype(fit: Fit, certificate: Float32Certificate) -> np.dtype[Any]:
    asked = fit.options.dtype
    if asked == "float32" and certificate.verdict == "fails":
        raise RefusedError(
            f"float32 is not accurate enough for {certificate.target!r}: {certificate}",
            code="float32-refused",
            hint="use --dtype auto or --dtype float64, or subtract a constant from that column",
        )
    if asked == "auto":
        asked = "float32" if certificate.verdict == "holds" else "float64"
    return np.dtype(asked)
