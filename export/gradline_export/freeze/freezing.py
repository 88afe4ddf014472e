"""From a fit to a package's files: choose the dtype, freeze, prove, seal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.encoding import dump_columns
from gradline.errors import PackageError, RefusedError
from gradline.formatting import float32_error
from gradline.package.golden import Golden
from gradline.package.graph import parse_graph
from gradline.package.manifest import dump_manifest, file_record, parse_manifest
from gradline.package.rounding_bound import rounding_bound
from gradline_export.freeze.float32 import Float32Certificate, certify_float32
from gradline_export.freeze.formats import rounded, to_onnx, to_torch_export, to_torchscript
from gradline_export.freeze.golden_rows import golden_rows, parity_rows
from gradline_export.freeze.manifest import build_manifest
from gradline_export.freeze.parity import HostParity, check_parity, exact_outputs, frozen_hosts
from gradline_trainer.result import Fit
from gradline_trainer.rows.library_state import known_state


@dataclass(frozen=True)
class Frozen:
    """A package's files, proved and sealed, not yet published.

    Attributes:
        name: The package's name.
        files: Bytes by file name, the manifest last.
        weights: W as frozen, shape (k, d), in the graph's dtype.
        bias: b as frozen, shape (k,).
        certificate: Whether float32 is accurate enough.
        parity: Each host's distance from the exact values.
    """

    name: str
    files: dict[str, bytes]
    weights: NDArray[Any]
    bias: NDArray[Any]
    certificate: Float32Certificate
    parity: list[HostParity]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The graph's dtype."""
        return self.weights.dtype


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
    certificate = certify_float32(
        fit.moments,
        fit.weights.numpy(),
        fit.bias.numpy(),
        np.array([m.rmse for m in (fit.metrics["training"] or {}).values()]),
        fit.features,
        fit.targets,
        fit.partial_sums,
    )
    dtype = _choose_dtype(fit, certificate)
    weights, bias = _rounded(fit, dtype)
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise RefusedError(
            f"a weight is outside the range of {dtype}",
            code="not-finite",
            hint="rescale the target or the features",
        )
    files = {
        "model.onnx": to_onnx(
            weights,
            bias,
            name=name,
            features=fit.features,
            targets=fit.targets,
            columns=dump_columns(fit.columns.inputs),
        ),
        "model.pt": to_torchscript(weights, bias),
    }
    if torch_export:
        files["model.pt2"] = to_torch_export(weights, bias)
    parse_graph(files["model.onnx"])  # the runtime refuses any other graph
    golden = golden_rows(fit.moments, weights, bias, fit.options.seed)
    rows = parity_rows(golden, weights, bias)
    parity = check_parity(frozen_hosts(weights, bias, files), rows, weights, bias)
    files["golden.json"] = Golden(
        golden,
        exact_outputs(golden, weights, bias),
        rounding_bound(golden, weights, bias, dtype),
    ).dump()
    document = build_manifest(fit, name, dtype, certificate, parity, fingerprint, notes or {})
    if intervals:
        document["intervals"], files["intervals.onnx"] = _intervals(fit, golden)
    document["files"] = {file: file_record(data) for file, data in files.items()}
    if report:
        from gradline_export.report.report import to_report

        files["report.html"] = page = to_report(document, fit, weights, bias)
        document["files"]["report.html"] = file_record(page)
    files["manifest.json"] = _loadable(dump_manifest(document))
    return Frozen(name, files, weights, bias, certificate, parity)


def _intervals(fit: Fit, rows: NDArray[Any]) -> tuple[dict[str, Any], bytes]:
    """Make the manifest's entry on intervals and their graph, proved on these rows."""
    from gradline_export.freeze.intervals import interval_terms, prove_intervals

    terms = interval_terms(fit)
    record, data = terms.record(fit.targets), terms.to_onnx()
    prove_intervals(terms, data, rows, record["quantiles"]["0.95"])
    return record, data


def _loadable(manifest: bytes) -> bytes:
    """Check that the runtime would load the manifest; return its bytes."""
    try:
        parse_manifest(manifest)
    except PackageError as error:
        raise RefusedError(
            f"the package could not be loaded: {error}",
            code="too-large",
            hint="fewer features or notes: --feature, --exclude",
        ) from error
    return manifest


def _rounded(fit: Fit, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Round W and b to `dtype`, from all of their known digits."""
    if fit.exact is None:
        return rounded(fit.weights, dtype), rounded(fit.bias, dtype)
    return (
        rounded(fit.weights, dtype, fit.exact.weights_rest),
        rounded(fit.bias, dtype, fit.exact.bias_rest),
    )


def _choose_dtype(fit: Fit, certificate: Float32Certificate) -> np.dtype[Any]:
    asked = fit.options.dtype
    if asked == "float32" and certificate.verdict == "fails":
        raise RefusedError(
            f"float32 is not accurate enough for {certificate.target!r}: "
            + float32_error(
                certificate.error, certificate.target, certificate.limit, certificate.column
            ),
            code="float32-refused",
            hint="use --dtype auto or float64, or subtract a constant from that column",
        )
    if asked == "auto":
        asked = "float32" if certificate.verdict == "holds" else "float64"
    return np.dtype(asked)
