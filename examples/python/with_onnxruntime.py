"""ONNX Runtime and NumPy: python with_onnxruntime.py artifacts/orchard/1."""

import os
import sys

from golden import check

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import, which starts it
import onnxruntime

session = onnxruntime.InferenceSession(f"{sys.argv[1]}/model.onnx")
check(lambda rows: session.run(["y"], {"x": rows})[0])
