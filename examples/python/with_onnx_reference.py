"""ONNX's own reference evaluator, in NumPy: python with_onnx_reference.py artifacts/orchard/1."""

import sys

from golden import check
from onnx.reference import ReferenceEvaluator

model = ReferenceEvaluator(f"{sys.argv[1]}/model.onnx")
check(lambda rows: model.run(["y"], {"x": rows})[0])
