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
    shape = {"datatype": served.datatype}
    return {
        "name": model.name,
        "versions": versions,
        "platform": "onnx_onnxv1",
        "inputs": [{"name": INPUT, **shape, "shape": [-1, len(model.features)]}],
        "outputs": [{"name": OUTPUT, **shape, "shape": [-1, len(model.targets)]}],
        "properties": properties,
    }
