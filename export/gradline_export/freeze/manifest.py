"""The manifest: what a package records of its model and its training."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from gradline.columns.encoding import dump_columns
from gradline.errors import InputError
from gradline.package.graph import FORMAT
from gradline.tables import TableFile
from gradline.tables.objects import ObjectFile
from gradline_export.freeze.float32 import Float32Certificate
from gradline_export.freeze.leverage_record import leverage_record
from gradline_export.freeze.parity import HostParity
from gradline_export.freeze.statistics_record import statistics_record
from gradline_export.publish.fingerprints import sha256
from gradline_trainer.fitting import Fit

__all__ = ["column_record", "metrics_record"]

LIBRARIES = ("gradline", "torch", "onnx", "onnxruntime", "numpy", "scipy")


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
