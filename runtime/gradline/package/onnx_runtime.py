"""Import ONNX Runtime with its telemetry off, and open sessions; no other module imports it.

Since 1.29 the library writes a device id and a database below the home directory and sends data to
its makers. Telemetry starts with the import, so its own off switch comes too late.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradline.errors import PackageError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without telemetry, unless the environment asks for it."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_module("onnxruntime")


def open_session(onnx: bytes, threads: int = 1) -> InferenceSession:
    """Open an ONNX Runtime session on the CPU for a graph that was already checked."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime's own errors have no other base
        raise PackageError(
            f"ONNX Runtime cannot load model.onnx: {' '.join(str(error).split())}",
            code="not-the-graph",
        ) from error
