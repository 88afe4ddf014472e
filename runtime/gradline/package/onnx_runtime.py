"""The only module that imports ONNX Runtime; it switches telemetry off first."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__all__ = ["import_onnxruntime"]


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without telemetry, unless the environment says otherwise.

    Since 1.29 the library writes a device id and a database below the home directory and reports
    to its makers. Its telemetry starts with the import, so its own off switch comes too late.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_module("onnxruntime")
