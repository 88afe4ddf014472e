"""ONNX Runtime and a table's own columns: python with_pipeline.py artifacts/NAME/VERSION."""

import os
import sys

from golden import check_raw

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import, which starts it
import onnxruntime

session = onnxruntime.InferenceSession(f"{sys.argv[1]}/pipeline.onnx")
check_raw(lambda columns: session.run(None, columns)[0])
