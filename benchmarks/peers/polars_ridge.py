"""DATA to OUT.onnx with polars, scikit-learn's Ridge by Cholesky and skl2onnx."""

import sys
from pathlib import Path

import polars as pl
from skl2onnx import to_onnx  # type: ignore[import-untyped]
from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-untyped]
from sklearn.linear_model import Ridge

data, out = sys.argv[1:]
frame = pl.read_parquet(data) if data.endswith(".parquet") else pl.read_csv(data)
targets = ["y0", "y1"]
solver = Ridge(alpha=0.0, solver="cholesky")  # no penalty, like the others
model = solver.fit(frame.drop(targets).to_numpy(), frame.select(targets).to_numpy())
graph = to_onnx(model, initial_types=[("x", FloatTensorType([None, model.n_features_in_]))])
Path(out).write_bytes(graph.SerializeToString())
