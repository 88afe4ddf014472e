"""Size limits for a package's files, from its schema; a larger file is refused unread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradline.package.golden import row_count

__all__ = ["BARE_LIMIT", "MANIFEST_LIMIT", "file_limit"]

MANIFEST_LIMIT = 16 << 20
BARE_LIMIT = 256 << 20  # an ONNX file without a manifest and so without a schema
MODEL_LIMIT = 2 << 30  # protobuf's own limit
DIGITS = 26  # -2.2250738585072014e-308, a comma and a space
FIXED = {  # bytes besides numbers and names; PyTorch's vary by release
    "model.onnx": 128 << 10,
    "model.pt": 256 << 10,
    "model.pt2": 2 << 20,
    "intervals.onnx": 16 << 10,
    "golden.json": 256 << 10,
    "report.html": 16 << 20,
}
REPEATED = 32  # how often the report may repeat each name


def file_limit(name: str, schema: Mapping[str, Any]) -> int:
    """Compute the largest size in bytes that a package's file can have.

    Args:
        name: One of `gradline.package.manifest.FILES`.
        schema: The manifest's schema, already checked.
    """
    d, k = len(schema["features"]), len(schema["targets"])
    model = int(np.dtype(schema["dtype"]).itemsize) * k * (d + 1)
    names = len(json.dumps(schema))  # non-ASCII letters as escapes, the longest form
    sizes: dict[str, int] = {
        "model.onnx": model + names,
        "model.pt": model,
        "model.pt2": model,
        "intervals.onnx": 8 * (k * (d + 3) + d * (d + 2)),
        "golden.json": row_count(max(d, 1)) * DIGITS * (d + 2 * k + 1),
        "report.html": REPEATED * names,
    }
    return min(sizes[name] + FIXED[name], MODEL_LIMIT)
