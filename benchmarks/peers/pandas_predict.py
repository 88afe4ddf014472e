"""MODEL.npz and DATA to OUT with pandas and scikit-learn's LinearRegression.predict."""

import sys

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

model_file, data, out = sys.argv[1:]
kept = np.load(model_file)
model = LinearRegression()
model.coef_, model.intercept_ = kept["weights"], kept["bias"]
frame = pd.read_parquet(data) if data.endswith(".parquet") else pd.read_csv(data)
answers = pd.DataFrame(model.predict(frame.to_numpy()), columns=["y0", "y1"])
answers.to_parquet(out) if out.endswith(".parquet") else answers.to_csv(out, index=False)
