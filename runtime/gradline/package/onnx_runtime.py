"""Import ONNX Runtime with its telemetry off; no other module imports it.

Since 1.29 the library writes a device id and a database below the home directory and sends data to
its makers. Telemetry starts with the import, so its own off switch comes too late.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without telemetry, unless the environment asks for it."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_module("onnxruntime")
