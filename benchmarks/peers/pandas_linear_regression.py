"""DATA to OUT.onnx with pandas, scikit-learn's LinearRegression and skl2onnx."""

import sys
from pathlib import Path

import pandas as pd
from skl2onnx import to_onnx  # type: ignore[import-untyped]
from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-untyped]
from sklearn.linear_model import LinearRegression

data, out = sys.argv[1:]
frame = pd.read_parquet(data) if data.endswith(".parquet") else pd.read_csv(data)
targets = ["y0", "y1"]
model = LinearRegression().fit(frame.drop(columns=targets).to_numpy(), frame[targets].to_numpy())
graph = to_onnx(model, initial_types=[("x", FloatTensorType([None, model.n_features_in_]))])
Path(out).write_bytes(graph.SerializeToString())
