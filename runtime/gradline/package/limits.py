"""How large a package's files can be, as its schema says: a larger one is refused unread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradline.package.golden import row_count

__all__ = ["BARE_LIMIT", "MANIFEST_LIMIT", "file_limit"]

MANIFEST_LIMIT = 16 << 20
BARE_LIMIT = 256 << 20  # an ONNX file without a manifest, of which no schema is known
MODEL_LIMIT = 2 << 30  # protobuf's own
DIGITS = 26  # -2.2250738585072014e-308, a comma and a blank
FIXED = {  # bytes beside numbers and names; those of PyTorch change with its releases
    "model.onnx": 128 << 10,
    "model.pt": 256 << 10,
    "model.pt2": 2 << 20,
    "intervals.onnx": 16 << 10,
    "golden.json": 128 << 10,
    "report.html": 16 << 20,
}
REPEATED = 32  # times that the report may have each name


def file_limit(name: str, schema: Mapping[str, Any]) -> int:
    """Return the most bytes that a file of a package can have.

    Args:
        name: One of `gradline.package.manifest.FILES`.
        schema: The manifest's, checked.
    """
    d, k = len(schema["features"]), len(schema["targets"])
    model = int(np.dtype(schema["dtype"]).itemsize) * k * (d + 1)
    names = len(json.dumps(schema))  # each letter beyond ASCII as an escape, the longest form
    sizes: dict[str, int] = {
        "model.onnx": model + names,
        "model.pt": model,
        "model.pt2": model,
        "intervals.onnx": 8 * (k * (d + 3) + d * (d + 2)),
        "golden.json": row_count(max(d, 1)) * DIGITS * (d + 2 * k + 1),
        "report.html": REPEATED * names,
    }
    return min(sizes[name] + FIXED[name], MODEL_LIMIT)
