"""Build the protocol's metadata about the server and its models."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import numpy as np

from gradline.columns.encoding import dump_columns
from gradline.columns.targets import dump_functions
from gradline.errors import GradlineError, PackageError, RefusedError
from gradline.formatting import float32_error, in_doubt, number, reached
from gradline.model import Model
from gradline.package.manifest import learned_elsewhere
from gradline.presentation.provenance import UNKNOWN
from gradline.serve.protocol.messages import (
    ModelMetadata,
    ModelStatus,
    ServerMetadata,
    VersionStatus,
)
from gradline.serve.protocol.served_model import INPUT, OUTPUT, ServedModel


def server_metadata() -> ServerMetadata:
    """Build the server's metadata."""
    extensions = ["binary_tensor_data", "model_repository"]
    return {"name": "gradline", "version": version("gradline"), "extensions": extensions}


def model_metadata(served: ServedModel, versions: list[str]) -> ModelMetadata:
    """Build a model's metadata. Its properties are JSON; most exist only if they are known."""
    model = served.model
    properties: dict[str, Any] = {
        "features": model.features,
        "targets": model.targets,
        "served_version": int(served.version),
        **_facts(model),
    }
    if columns := model.manifest.get("columns"):
        properties["columns"] = {
            name: columns[name] for name in (*model.features, *model.targets) if name in columns
        }
    if model.plan.format == 2:
        plan = model.plan.dump()
        properties |= {"encoding": plan["columns"], "terms": plan["terms"]}
    elif encoding := dump_columns(model.columns):
        properties["encoding"] = encoding
    if functions := dump_functions(model.functions):
        properties["target_functions"] = functions
    if leverage := model.manifest.get("leverage"):
        properties["leverage"] = leverage
    if columns:
        with suppress(PackageError):  # invalid deviations
            properties["order"] = model.by_effect()
    if proofs := _proofs(model.manifest):
        properties["proofs"] = proofs
    if optional := optional_outputs(served):
        properties["optional_outputs"] = optional
    width, targets = len(model.features), len(model.targets)
    return {
        "name": model.name,
        "versions": versions,
        "platform": "onnx_onnxv1",
        "inputs": [{"name": INPUT, "datatype": served.datatype, "shape": [-1, width]}],
        "outputs": [{"name": OUTPUT, "datatype": served.datatype, "shape": [-1, targets]}],
        "properties": {
            name: json.dumps(value, ensure_ascii=False) for name, value in properties.items()
        },
    }


def _facts(model: Model) -> dict[str, Any]:
    """Collect what the page shows about a model, and why it has no intervals if it has none."""
    manifest = model.manifest
    found: dict[str, Any] = {
        "equation": model.equation,
        "report": "report.html" in manifest.get("files", {}),
    }
    if metrics := model.metrics:
        found["metrics"] = metrics
    if origin := manifest.get("origin"):
        found["origin"] = origin
    try:
        _ = model.intervals
    except GradlineError as error:
        found["no_intervals"] = str(error).removeprefix("no intervals: ")
    return found


def optional_outputs(served: ServedModel) -> list[dict[str, Any]]:
    """Describe the outputs that a request's parameters can add for this package."""
    model, k = served.model, len(served.model.targets)
    found: list[dict[str, Any]] = []
    with suppress(RefusedError, PackageError):
        _ = model.intervals
        found += [_optional("intervals", name, "FP64", [-1, k]) for name in ("lower", "upper")]
    with suppress(PackageError):
        parts = model.explain(np.zeros((1, len(model.features)), model.dtype))
        about = {"columns": list(parts.columns), "baseline": parts.baseline.tolist()}
        shape = [-1, k, len(parts.columns)]
        found.append(_optional("explain", "contributions", "FP64", shape) | about)
    if served.has_ranges:
        found.append(_optional("check", "outside", "BYTES", [-1]))
    return found


def _optional(parameter: str, name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"parameter": parameter, "name": name, "datatype": datatype, "shape": shape}


def model_status(served: ServedModel) -> ModelStatus:
    """Build the status of a version, with the members of KServe V1 and of TensorFlow Serving."""
    status = {"error_code": "OK", "error_message": ""}
    version: VersionStatus = {"version": served.version, "state": "AVAILABLE", "status": status}
    return {"name": served.model.name, "ready": True, "model_version_status": [version]}


def _proofs(manifest: dict[str, Any]) -> list[str]:
    """State each of a package's proofs in a sentence; none if its record of them is incomplete."""
    try:
        parity = manifest["parity"]
        hosts = ", ".join(parity["within"])
        agreed = [
            "golden rows: predicted here, each within its rounding bound",
            f"{hosts}: agree on {parity['rows']} rows within the same bound",
        ]
        if learned_elsewhere(manifest):
            return [*agreed, f"learned elsewhere, so unknown: {UNKNOWN}"]
        certificate = manifest["certificates"]["float32"]
        optimum = manifest["certificates"]["optimality"]
        rounding = {name: certificate[name] for name in ("error", "target", "limit", "column")}
        ended = reached(optimum) + in_doubt(optimum.get("supposed_dependent"))
        if (distance := optimum.get("weights_error")) is not None:
            ended += f", W within {number(distance)} of it"
        return [
            *agreed,
            f"float32 {certificate['verdict']}: {float32_error(**rounding)}",
            f"training {ended}",
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        return []
