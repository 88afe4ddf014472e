"""Tables with categories: predictions against scikit-learn's Pipeline of one-hot columns.

The table has two text columns, of 30 and 8 levels, and two numbers. All run on one thread in one
process; files are predicted by whole processes. A time counts only after the predictions agree
with the model's own, computed in float64.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import gradline
from benchmarks.comparison import Comparison, compare
from benchmarks.measure import time_calls, time_processes
from benchmarks.scoring import GRADLINE, writes
from benchmarks.synthetic import Array
from gradline_export import export_package
from gradline_trainer import fit

__all__ = ["run"]

LEARNED = 20_000
ROWS, QUICK_ROWS = 1_000_000, 20_000
TURNS, FILE_TURNS = 11, 5
PIPELINE = "Pipeline.predict, OneHotEncoder and LinearRegression"
#: By the text's type in pandas, the largest acceptable ratio.
GOALS = {"str": 1 / 5, "object": 1 / 5, "category": None}
READERS = {name: f"{name}, the same Pipeline" for name in ("pandas", "polars")}
FORMS = {"parquet": "Parquet", "csv": "CSV"}  # by the file's extension
ONE_ROW = "Model.predict, one row of 4 columns as mapping"


def run(quick: bool) -> list[Comparison]:
    """Compare frames of each type of text, then one row, then files."""
    from threadpoolctl import threadpool_limits

    rows = QUICK_ROWS if quick else ROWS
    with TemporaryDirectory() as folder, threadpool_limits(1):
        learned = _frame(LEARNED, 0)
        learned["y"] = _exact(learned) + np.random.default_rng(1).normal(0, 0.1, LEARNED)
        package = export_package(fit(learned, "y"), Path(folder) / "artifacts", "model")
        pipeline = _pipeline(learned)
        model, frame = gradline.load(package), _frame(rows, 2)
        lines = list(_in_memory(model, pipeline, frame, 2 if quick else TURNS))
        for form in FORMS:
            lines += _files(package, pipeline, frame, form, 1 if quick else FILE_TURNS)
    return lines


def _frame(rows: int, seed: int) -> Any:
    """Draw a table; pandas shares the objects of its text, as after reading a file."""
    import pandas as pd

    generator = np.random.default_rng(seed)
    stores = np.array([f"store {place:02}" for place in range(30)], object)
    kinds = np.array([f"kind {place}" for place in range(8)], object)
    return pd.DataFrame(
        {
            "store": pd.Series(stores[generator.integers(0, 30, rows)], dtype=object),
            "kind": pd.Series(kinds[generator.integers(0, 8, rows)], dtype=object),
            "area": generator.normal(100, 20, rows),
            "age": generator.normal(10, 3, rows),
        }
    )


def _exact(frame: Any) -> Array:
    store = frame["store"].str[-2:].astype(float).to_numpy()
    found: Array = store / 10 + frame["area"].to_numpy() / 50 - frame["age"].to_numpy() / 20
    return found


def _pipeline(learned: Any) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(drop="first", handle_unknown="ignore")
    columns = make_column_transformer((encoder, ["store", "kind"]), remainder="passthrough")
    return make_pipeline(columns, LinearRegression()).fit(
        learned.drop(columns="y").astype({"store": "str", "kind": "str"}), learned["y"]
    )


def _in_memory(
    model: gradline.Model, pipeline: Any, frame: Any, turns: int
) -> Iterator[Comparison]:
    row = {name: [values.iloc[0]] for name, values in frame.items()}
    one = frame[:1].astype({"store": "str", "kind": "str"})
    for dtype, goal in GOALS.items():
        table = frame.astype({"store": dtype, "kind": dtype})
        what = f"Model.predict, {len(frame):,} rows of pandas, text as {dtype}"
        calls = {what: _calls(model, table), PIPELINE: _calls(pipeline, table)}
        _agree(*(call() for call in calls.values()))
        yield compare(time_calls(calls, turns), what, PIPELINE, goal)
    calls = {ONE_ROW: _calls(model, row), PIPELINE: _calls(pipeline, one)}
    _agree(*(call() for call in calls.values()))
    yield compare(time_calls(calls, turns), ONE_ROW, PIPELINE)


def _calls(model: Any, rows: Any) -> Callable[[], Any]:
    return lambda: model.predict(rows)


def _agree(ours: Array, theirs: Array) -> None:
    off = np.abs(ours.ravel() - theirs.ravel()).max()
    assert off <= 1e-5 * np.abs(theirs).max(), f"predictions are off by {off:.1e}"


def _files(package: Path, pipeline: Any, frame: Any, form: str, turns: int) -> Iterator[Comparison]:
    folder = package.parent.parent.parent
    data, pickled = folder / f"data.{form}", folder / "pipeline.pickle"
    frame.to_parquet(data) if form == "parquet" else frame.to_csv(data, index=False)
    pickled.write_bytes(pickle.dumps(pipeline))
    exact = pipeline.predict(frame)[:, None]
    what = f"gradline predict, {len(frame):,} rows with categories, {FORMS[form]} to {FORMS[form]}"
    script = str(Path(__file__).parent / "peers" / "pipeline_predict.py")
    ours = [GRADLINE, "predict", str(package), str(data), "-q", "-o"]
    commands = {what: writes(ours, folder / f"ours.{form}", exact)}
    for reader, peer in READERS.items():
        arguments = [sys.executable, script, reader, str(pickled), str(data)]
        commands[peer] = writes(arguments, folder / f"{reader}.{form}", exact)
    samples = time_processes(commands, turns)
    for peer in READERS.values():
        yield compare(samples, what, peer)
