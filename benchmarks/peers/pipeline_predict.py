"""A table to predictions with pandas or polars, and scikit-learn's Pipeline.

The arguments are the library that reads and writes, the pickled pipeline, the table, and the file
for the predictions.
"""

import pickle
import sys
from pathlib import Path

import pandas as pd

library, pipeline, data, out = sys.argv[1:]
parquet = data.endswith(".parquet")
if library == "polars":
    import polars as pl

    frame = (pl.read_parquet(data) if parquet else pl.read_csv(data)).to_pandas()
else:
    frame = pd.read_parquet(data) if parquet else pd.read_csv(data)
model = pickle.loads(Path(pipeline).read_bytes())  # noqa: S301 - the benchmark wrote it
predicted = model.predict(frame)
if library == "polars":
    answers = pl.DataFrame({"y": predicted})
    answers.write_parquet(out) if parquet else answers.write_csv(out)
elif parquet:
    pd.DataFrame({"y": predicted}).to_parquet(out)
else:
    pd.DataFrame({"y": predicted}).to_csv(out, index=False)
