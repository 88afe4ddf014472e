"""The manifest: what a package records of its model and its training."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from gradline.errors import InputError, RefusedError
from gradline.package.graph import Graph
from gradline.package.manifest import TOO_MANY
from gradline.package.pipeline import MOST_COLUMNS
from gradline.tables import TableFile
from gradline.tables.objects import ObjectFile
from gradline_export.freeze.float32 import Float32Certificate
from gradline_export.freeze.parity import BOUND, HostParity
from gradline_export.publish.fingerprints import sha256
from gradline_trainer.result import Fit
from gradline_trainer.rows.columns import is_unicode
from gradline_trainer.statistics.figures import column_record

LIBRARIES = ("gradline", "torch", "onnx", "onnxruntime", "numpy", "scipy")
MOST_FEATURES = 300  # with statistics; a person would not look at more
MOST_COEFFICIENTS = 3000
LEFT_OUT = ("coefficient", "lower", "upper", "standardized")  # they follow from the graph
U = 2.0**-53
UP = 1e-8  # the leverage limit is rounded up: its last digits vary with the order of the rows


def build_manifest(
    fit: Fit,
    graph: Graph,
    certificate: Float32Certificate,
    parity: list[HostParity],
    fingerprint: bool,
    notes: Mapping[str, str],
) -> dict[str, Any]:
    """Build the manifest without its list of files.

    It holds no time, path, user or measured error. Measured errors depend on each machine's
    kernels, so only the names of the hosts within the bound are recorded.
    """
    too_many = graph.format == 2 and len(graph.plan.columns) > MOST_COLUMNS
    return {
        "format": graph.format,
        "name": graph.name,
        "schema": graph.schema(),
        **({"pipeline": TOO_MANY} if too_many else {}),
        "training": _training_record(fit, fingerprint, notes),
        "columns": column_record(fit),
        "metrics": {
            which: found and {target: m.record() for target, m in found.items()}
            for which, found in fit.metrics.items()
        },
        **_statistics_record(fit),
        **leverage_record(fit, graph.dtype),
        "parity": {
            "rows": parity[0].rows,
            "bound": BOUND,
            "within": [host.host for host in parity],
        },
        "certificates": {
            # JSON has no infinity.
            "float32": {k: v if v != np.inf else None for k, v in asdict(certificate).items()},
            "optimality": {
                "converged": fit.converged,
                **asdict(fit.optimality),
                **({"supposed_dependent": fit.supposed} if fit.supposed else {}),
            },
            **_exactness_record(fit),
        },
    }


def _exactness_record(fit: Fit) -> dict[str, Any]:
    """Record which coefficients are correctly rounded, if the arithmetic was exact."""
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


def _training_record(fit: Fit, fingerprint: bool, notes: Mapping[str, str]) -> dict[str, Any]:
    libraries = [*LIBRARIES, *(["polars"] if fit.paths else [])]
    moments = asdict(fit.gathered.file) if fit.gathered and fit.gathered.file else {}
    if moments and not fingerprint:
        del moments["sha256"]
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
        **({"moments": moments} if moments else {}),
        "versions": {"python": platform.python_version(), **{n: version(n) for n in libraries}},
        "notes": dict(notes),
        "warnings": fit.warnings,
        **_decisions_record(fit),
    }


def _decisions_record(fit: Fit) -> dict[str, Any]:
    """Record what was decided about each column, in a package of format 2."""
    if not (fit.columns.has_format_2 and fit.columns.decisions):
        return {}
    return {"columns": [asdict(decision) for decision in fit.columns.decisions]}


def _input_record(path: TableFile, fingerprint: bool) -> dict[str, Any]:
    """Record an input file; without a hash in an object store, as it would be read once more."""
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


def _statistics_record(fit: Fit) -> dict[str, Any]:
    """Record the fit's statistics by term, unless it has none (see `Fit.summary`) or too many."""
    if len(fit.features) > MOST_FEATURES or fit.weights.numel() > MOST_COEFFICIENTS:
        return {}
    try:
        summary = fit.summary()
    except RefusedError:
        return {}
    return {
        "statistics": {
            "model_dof": summary.model_dof,
            "residual_dof": summary.residual_dof,
            **({"robust": summary.robust} if summary.robust else {}),
            "terms": summary.terms,
            "vif": summary.vif,
            "targets": {
                target: {k: v for k, v in asdict(found).items() if k not in LEFT_OUT}
                for target, found in summary.targets.items()
            },
        }
    }


def leverage_record(fit: Fit, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Record what a host needs to detect hidden extrapolation; see `gradline.explain.leverage`.

    Nothing is recorded if the features' ranges are unknown, or if there are more features than
    `gradline_trainer.statistics.whitening` measures. `dtype` is the graph's: a host rounds a row
    to it before it computes the leverage. With a ridge penalty α, the trace of the hat matrix,
    p − α·‖R‖², stands for the p coefficients.
    """
    if fit.leverage is None or np.isnan(fit.moments.minimum).any():
        return {}
    whitening, d = fit.leverage.whitening, len(fit.features)
    factor = whitening.triangular_factor(d)
    if fit.leverage.largest is None:
        penalty = float(fit.options.ridge) * np.square(factor).sum()
        limit = 3 * (len(whitening.root) - penalty) / fit.moments.weight
        limit += _largest_of_single_features(fit, whitening.active) + whitening.least
    else:
        # Room for rounding a row to the graph's dtype, and for its leverage in float64.
        most = np.maximum(np.abs(fit.moments.minimum), np.abs(fit.moments.maximum))[:d]
        unit = np.finfo(dtype).eps / 2 + 2 * (d + 4) * U
        off = unit * float(np.linalg.norm(np.abs(factor) @ most))
        far = np.sqrt(fit.leverage.largest - whitening.least)
        limit = whitening.least + (far + off) ** 2
    return {
        "leverage": {
            "limit": float(f"{limit * (1 + UP):.9g}"),
            "rule": "3p/n beyond a single feature" if fit.leverage.largest is None else "largest",
            **whitening.record(d),
        }
    }


def _largest_of_single_features(fit: Fit, active: list[int]) -> float:
    """Compute the largest leverage that a single feature reaches within its range."""
    moments = fit.moments
    centre = moments.mean * fit.options.bias
    second = moments.squares + moments.weight * (moments.mean - centre) ** 2
    reach = np.maximum(moments.maximum - centre, centre - moments.minimum)
    share = (reach**2)[active] / (second[active] + float(fit.options.ridge))
    return float(share.max(initial=0.0))


def check_notes(notes: Mapping[str, str]) -> None:
    """Check that notes are text that a manifest can hold."""
    for key, value in notes.items():
        if not all(isinstance(text, str) and is_unicode(text) for text in (key, value)):
            raise InputError(
                f"the note {key!r} is {value!r}, expected Unicode text",
                code="bad-option",
                hint="make it text: str(value)",
            )
