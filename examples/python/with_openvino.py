"""OpenVINO, for float32 packages: python with_openvino.py artifacts/orchard/1."""

import sys

import openvino
from golden import check

# By default, OpenVINO uses bfloat16 if the processor has it: 3 digits instead of 7.
options = {"INFERENCE_PRECISION_HINT": "f32"}
model = openvino.Core().compile_model(f"{sys.argv[1]}/model.onnx", "CPU", options)
check(lambda rows: model([rows])["y"])
