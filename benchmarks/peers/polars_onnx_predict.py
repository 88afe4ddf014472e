"""MODEL.onnx and DATA to OUT with polars and ONNX Runtime, by hand."""

import sys

import numpy as np
import onnxruntime as ort
import polars as pl

model_file, data, out = sys.argv[1:]
session = ort.InferenceSession(model_file)
frame = pl.read_parquet(data) if data.endswith(".parquet") else pl.read_csv(data)
rows = np.ascontiguousarray(frame.to_numpy(), np.float32)
answers = pl.DataFrame(session.run(None, {"x": rows})[0], schema=["y0", "y1"])
answers.write_parquet(out) if out.endswith(".parquet") else answers.write_csv(out)
