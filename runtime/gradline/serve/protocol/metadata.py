"""What the server and its models say of themselves."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from gradline.columns.encoding import dump_columns
from gradline.errors import PackageError
from gradline.serve.protocol.inference import INPUT, OUTPUT, Served

__all__ = ["model_metadata", "server_metadata"]

EXTENSIONS = ["binary_tensor_data", "model_repository"]


def server_metadata() -> dict[str, Any]:
    """Return the protocol's server metadata."""
    return {"name": "gradline", "version": version("gradline"), "extensions": EXTENSIONS}


def model_metadata(served: Served, versions: list[str]) -> dict[str, Any]:
    """Return the protocol's model metadata.

    Its properties, each but the version as JSON: names; where they are known, the ranges of the
    training rows and what a row's leverage follows from; the table's columns where some have
    categories or a fill value; the columns' places, the most telling first; and the proofs.
    """
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
    if encoding := dump_columns(model.columns):
        properties["encoding"] = json.dumps(encoding, ensure_ascii=False)
    if leverage := model.manifest.get("leverage"):
        properties["leverage"] = json.dumps(leverage)
    with suppress(PackageError):  # of a bare graph, or deviations that are none
        properties["order"] = json.dumps(model.by_effect())
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
    from gradline.formatting import float32_error, in_doubt, number, reached

    try:
        certificate = manifest["certificates"]["float32"]
        parity, optimum = manifest["parity"], manifest["certificates"]["optimality"]
        told = {name: certificate[name] for name in ("error", "target", "limit", "column")}
        ended = reached(optimum) + in_doubt(optimum.get("supposed_dependent"))
        return [
            "its golden rows were predicted here, each within its rounding bound",
            f"{', '.join(parity['within'])} agreed on {parity['rows']} rows, within the same bound",
            f"float32 {certificate['verdict']}: {float32_error(**told)}",
            f"training {ended}, W within {number(optimum['weights_error'])} of it"
            if optimum.get("weights_error") is not None
            else f"training {ended}",
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        return []
