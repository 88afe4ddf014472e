"""The one place that imports ONNX Runtime, with its telemetry off."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__all__ = ["import_onnxruntime"]


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without telemetry, unless the environment says otherwise.

    Since 1.29 the library writes a device id and a database below the home directory and reports
    to its makers. Its own function that ends this comes too late: it starts with the import.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_module("onnxruntime")
