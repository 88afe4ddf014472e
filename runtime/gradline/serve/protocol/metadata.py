"""Build the protocol's metadata about the server and its models."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import numpy as np

from gradline.columns.encoding import dump_columns
from gradline.columns.targets import dump_functions
from gradline.errors import PackageError, RefusedError
from gradline.formatting import float32_error, in_doubt, number, reached
from gradline.serve.protocol.facts import facts
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
        **facts(model),
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


def optional_outputs(served: ServedModel) -> list[dict[str, Any]]:
    """Describe the outputs that a request's parameters add, as far as the package has them."""
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
        certificate = manifest["certificates"]["float32"]
        parity, optimum = manifest["parity"], manifest["certificates"]["optimality"]
        rounding = {name: certificate[name] for name in ("error", "target", "limit", "column")}
        ended = reached(optimum) + in_doubt(optimum.get("supposed_dependent"))
        if (distance := optimum.get("weights_error")) is not None:
            ended += f", W within {number(distance)} of it"
        return [
            "golden rows: predicted here, each within its rounding bound",
            f"{', '.join(parity['within'])}: agree on {parity['rows']} rows within the same bound",
            f"float32 {certificate['verdict']}: {float32_error(**rounding)}",
            f"training {ended}",
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        return []
