"""What the server and its models say of themselves."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from gradline.serve.inference import INPUT, OUTPUT, Served

__all__ = ["model_metadata", "server_metadata"]

EXTENSIONS = ["binary_tensor_data", "model_repository"]


def server_metadata() -> dict[str, Any]:
    """Return the protocol's server metadata."""
    return {"name": "gradline", "version": version("gradline"), "extensions": EXTENSIONS}


def model_metadata(served: Served, versions: list[str]) -> dict[str, Any]:
    """Return the protocol's model metadata; names and ranges are among its properties."""
    model = served.model
    properties = {
        "features": json.dumps(model.features, ensure_ascii=False),
        "targets": json.dumps(model.targets, ensure_ascii=False),
        "served_version": served.version,
    }
    if columns := model.manifest.get("columns"):
        ranges = {
            name: columns[name] for name in (*model.features, *model.targets) if name in columns
        }
        properties["columns"] = json.dumps(ranges, ensure_ascii=False)
    if proofs := _proofs(model.manifest):
        properties["proofs"] = json.dumps(proofs, ensure_ascii=False)
    shape = {"datatype": served.datatype}
    return {
        "name": model.name,
        "versions": versions,
        "platform": "onnx_onnxv1",
        "inputs": [{"name": INPUT, **shape, "shape": [-1, len(model.features)]}],
        "outputs": [{"name": OUTPUT, **shape, "shape": [-1, len(model.targets)]}],
        "properties": properties,
    }


def _proofs(manifest: dict[str, Any]) -> list[str]:
    """Return in a sentence each what the package proves; nothing where it lacks its record."""
    from gradline.wording import float32_error, number

    try:
        certificate = manifest["certificates"]["float32"]
        parity, optimum = manifest["parity"], manifest["certificates"]["optimality"]
        told = {name: certificate[name] for name in ("error", "target", "limit", "column")}
        reached = "reached the optimum" if optimum["converged"] else "stopped before the optimum"
        return [
            "its golden rows were predicted here, each within its rounding bound",
            f"{', '.join(parity['within'])} agreed on {parity['rows']} rows, within the same bound",
            f"float32 {certificate['verdict']}: {float32_error(**told)}",
            f"training {reached}, W within {number(optimum['weights_error'])} of it"
            if optimum.get("weights_error") is not None
            else f"training {reached}",
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        return []
