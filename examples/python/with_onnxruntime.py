"""ONNX Runtime and NumPy: python with_onnxruntime.py artifacts/orchard/1."""

import sys

import onnxruntime
from golden import check

session = onnxruntime.InferenceSession(f"{sys.argv[1]}/model.onnx")
check(lambda rows: session.run(["y"], {"x": rows})[0])
