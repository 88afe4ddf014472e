"""From a fit to a version directory: choose the dtype, freeze, prove, seal, publish."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.bound import rounding_bound
from gradline.encoding import dump_columns
from gradline.errors import InputError, PackageError, RefusedError
from gradline.package.golden import Golden
from gradline.package.graph import FORMAT, parse_graph
from gradline.package.manifest import dump_manifest, file_record, parse_manifest
from gradline.tables import TableFile
from gradline.tables.objects import ObjectFile
from gradline.wording import float32_error
from gradline_export.certificate import Float32Certificate, certify_float32
from gradline_export.exact import exact_outputs
from gradline_export.fingerprints import sha256
from gradline_export.frozen import rounded, to_onnx, to_torch_export, to_torchscript
from gradline_export.leverage_record import leverage_record
from gradline_export.parity import HostParity, check_parity, frozen_hosts
from gradline_export.publishing import check_name, publish
from gradline_export.statistics_record import statistics_record
from gradline_export.testrows import golden_rows, parity_rows
from gradline_trainer.ambient import known_state
from gradline_trainer.fitting import Fit

__all__ = [
    "Frozen",
    "column_record",
    "export_package",
    "freeze",
    "metrics_record",
]

LIBRARIES = ("gradline", "torch", "onnx", "onnxruntime", "numpy", "scipy")


@dataclass(frozen=True)
class Frozen:
    """A package's files, proved and sealed, not yet published.

    Attributes:
        name: The package's.
        files: Bytes by file name, the manifest last.
        weights: W as frozen, shape (k, d), in the graph's dtype.
        bias: b as frozen, shape (k,).
        certificate: Whether float32 is accurate enough.
        parity: How near each host came to the exact values.
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


def export_package(
    fit: Fit,
    root: str | Path = "artifacts",
    name: str = "model",
    *,
    torch_export: bool = False,
    intervals: bool = False,
    report: bool = True,
    fingerprint: bool = True,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Return the path of the new version directory that holds the fit's package.

    Args:
        fit: What `gradline_trainer.fit` returned.
        root: The folder of packages.
        name: The package's.
        torch_export: Whether to add model.pt2.
        intervals: Whether to add intervals.onnx.
        report: Whether to add report.html.
        fingerprint: Whether to record the SHA-256 of the files that were read.
        notes: Recorded as they are: author, purpose, commit.

    Raises:
        InputError: For a name that no package can have.
        RefusedError: Where float32 was asked for and is not accurate enough, a frozen graph is
            outside the rounding bound, or the fit can have no intervals; nothing is published.
        OutputError: Where the folder can't be written.
    """
    check_name(name)
    frozen = freeze(
        fit,
        name,
        torch_export=torch_export,
        intervals=intervals,
        report=report,
        fingerprint=fingerprint,
        notes=notes,
    )
    return publish(frozen.files, root, name)


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
    """Return the fit's package, proved on this machine; see `export_package`."""
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
    parse_graph(files["model.onnx"])  # what the runtime will insist on
    golden = golden_rows(fit.moments, weights, bias, fit.options.seed)
    rows = parity_rows(golden, weights, bias)
    parity = check_parity(frozen_hosts(weights, bias, files), rows, weights, bias)
    files["golden.json"] = Golden(
        golden,
        exact_outputs(golden, weights, bias),
        rounding_bound(golden, weights, bias, dtype),
    ).dump()
    document = _manifest(fit, name, dtype, certificate, parity, fingerprint, notes or {})
    if intervals:
        document["intervals"], files["intervals.onnx"] = _intervals(fit, golden)
    document["files"] = {file: file_record(data) for file, data in files.items()}
    if report:
        from gradline_export.report import to_report

        files["report.html"] = page = to_report(document, fit, weights, bias)
        document["files"]["report.html"] = file_record(page)
    files["manifest.json"] = _loadable(dump_manifest(document))
    return Frozen(name, files, weights, bias, certificate, parity)


def _intervals(fit: Fit, rows: NDArray[Any]) -> tuple[dict[str, Any], bytes]:
    """Return the manifest's entry on the intervals, and their graph, proved on these rows."""
    from gradline_export.intervals import interval_terms, prove_intervals

    terms = interval_terms(fit)
    record, data = terms.record(fit.targets), terms.to_onnx()
    prove_intervals(terms, data, rows, record["quantiles"]["0.95"])
    return record, data


def _loadable(manifest: bytes) -> bytes:
    """Return the manifest's bytes where the runtime takes them."""
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
    """Return W and b in `dtype`, rounded from all the digits that are known of them."""
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


def _manifest(
    fit: Fit,
    name: str,
    dtype: np.dtype[Any],
    certificate: Float32Certificate,
    parity: list[HostParity],
    fingerprint: bool,
    notes: Mapping[str, str],
) -> dict[str, Any]:
    """Return the manifest but for its list of files: no time, path, user or measured error.

    Errors differ with the host's kernels; that each host is within the bound does not.
    """
    schema = {"features": fit.features, "targets": fit.targets, "dtype": str(dtype)}
    columns = dump_columns(fit.columns.inputs)
    return {
        "format": FORMAT,
        "name": name,
        "schema": schema if columns is None else {**schema, "columns": columns},
        "training": _training_record(fit, fingerprint, notes),
        "columns": column_record(fit),
        "metrics": metrics_record(fit),
        **statistics_record(fit),
        **leverage_record(fit, dtype),
        "parity": {
            "rows": parity[0].rows,
            "bound": "(d+2)u/(1-(d+2)u) * (|x||W|^T + |b|) + 2(d+2)w",
            "within": [host.host for host in parity],
        },
        "certificates": {
            "float32": _finite(asdict(certificate)),
            "optimality": _optimality(fit),
            **_exactness(fit),
        },
    }


def metrics_record(fit: Fit) -> dict[str, Any]:
    """Return the metrics of the training rows and the held-out rows, by target."""
    return {
        which: found and {target: asdict(m) for target, m in found.items()}
        for which, found in fit.metrics.items()
    }


def _optimality(fit: Fit) -> dict[str, Any]:
    """Build the record of how far the run ended from the optimum, and of doubtful features."""
    supposed = {"supposed_dependent": fit.supposed} if fit.supposed else {}
    return {"converged": fit.converged, **asdict(fit.optimality), **supposed}


def _exactness(fit: Fit) -> dict[str, Any]:
    """Return which coefficients are correctly rounded, of a run in exact arithmetic."""
    if fit.exact is None:
        return {}
    total = fit.weights.numel() + fit.options.bias * len(fit.targets)
    return {
        "exact": {
            "coefficients": total,
            "certified": total - len(fit.exact.uncertified),
            "uncertified": fit.names_of(fit.exact.uncertified),
            "zeros": fit.names_of(fit.exact.zeros),
        }
    }


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with None for infinities, which JSON has not."""
    return {k: None if v in (np.inf, -np.inf) else v for k, v in record.items()}


def _training_record(fit: Fit, fingerprint: bool, notes: Mapping[str, str]) -> dict[str, Any]:
    libraries = [*LIBRARIES, *(["polars"] if fit.paths else [])]
    return {
        "options": fit.options.recorded(),
        "ridge_path": fit.ridge_path and asdict(fit.ridge_path),
        "learning_rate": fit.learning_rate,
        "largest_stable_rate": fit.largest_stable_rate,
        "gradient": fit.options.gradient_source,
        "arithmetic": fit.arithmetic.used,
        "arithmetic_reason": fit.arithmetic.reason,
        "condition": fit.arithmetic.condition,
        "sample_weight": fit.columns.weight,
        "epochs": len(fit.history),
        "first_loss": fit.history[0],
        "last_loss": fit.history[-1],
        "rows": {
            "read": fit.rows_read,
            "dropped": fit.rows_dropped,
            "held_out": fit.rows_held_out,
            "trained": fit.moments.rows,
        },
        "files": [_input_record(path, fingerprint) for path in fit.paths],
        **_moments_record(fit, fingerprint),
        "versions": {"python": platform.python_version(), **{n: version(n) for n in libraries}},
        "notes": dict(notes),
        "warnings": fit.warnings,
    }


def _moments_record(fit: Fit, fingerprint: bool) -> dict[str, Any]:
    """Return which file of saved moments the fit was learned from, if it was."""
    if fit.gathered is None or fit.gathered.file is None:
        return {}
    record = asdict(fit.gathered.file)
    if not fingerprint:
        del record["sha256"]
    return {"moments": record}


def _input_record(path: TableFile, fingerprint: bool) -> dict[str, Any]:
    """Return what is recorded of a file.

    Of one in an object store neither size nor hash: it is read in pieces, and some not at all, so
    that to hash it would be to read it once more.
    """
    if isinstance(path, ObjectFile):
        return {"name": path.name, "store": path.store}
    try:
        record: dict[str, Any] = {"name": path.name, "bytes": path.stat().st_size}
        if fingerprint:
            record["sha256"] = sha256(path)
    except OSError as error:
        raise InputError(
            f"{path.name} can no longer be read: {error.strerror}", code="unreadable-data"
        ) from error
    return record


def column_record(fit: Fit) -> dict[str, Any]:
    """Return what each feature and target was over the training rows."""
    moments = fit.moments
    deviation = np.sqrt(np.maximum(moments.squares / moments.weight, 0))
    known = not np.isnan(moments.minimum).any()
    return {
        name: {
            "mean": float(moments.mean[j]),
            "deviation": float(deviation[j]),
            "minimum": float(moments.minimum[j]) if known else None,
            "maximum": float(moments.maximum[j]) if known else None,
        }
        for j, name in enumerate([*fit.features, *fit.targets])
    }
