"""From a table to predictions: `gradline predict` against scripts that do the same.

Measures wall time and peak memory of whole processes. A process's time counts only after its
predictions agree with the model's own, computed in float64.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.comparison import Comparison, compare
from benchmarks.measure import Commands, peak_memory, time_processes
from benchmarks.synthetic import Array, draw
from gradline_export import export_package
from gradline_trainer import fit

__all__ = ["GRADLINE", "run", "writes"]

FEATURES, TARGETS = 20, 2
FORMS = {"parquet": "Parquet", "csv": "CSV"}  # by the file's extension
ROWS = {"parquet": 5_000_000, "csv": 1_000_000}
QUICK_ROWS = {"parquet": 20_000, "csv": 10_000}
TURNS, MEMORY_TURNS = 5, 1  # a peak hardly varies
GRADLINE = str(Path(sysconfig.get_path("scripts")) / "gradline")
PANDAS, POLARS = "pandas, LinearRegression.predict", "polars, ONNX Runtime by hand"
TIME_GOALS = {"parquet": {PANDAS: 1 / 3, POLARS: 1 / 1.2}, "csv": {PANDAS: 1 / 3, POLARS: None}}
CHECKED, CHECK_GOAL = "gradline predict --check", 1.2
MEMORY_GOALS = {"parquet": {PANDAS: 1 / 5, POLARS: None}, "csv": {PANDAS: None, POLARS: None}}


def run(quick: bool) -> list[Comparison]:
    """Compare file by file: time, then memory."""
    rows = QUICK_ROWS if quick else ROWS
    return [line for form in rows for line in _lines(form, rows[form], quick)]


def _lines(form: str, rows: int, quick: bool) -> Iterator[Comparison]:
    what = f"gradline predict, {rows:,} × {FEATURES} {FORMS[form]} to {FORMS[form]}"
    with TemporaryDirectory() as folder:
        commands = _commands(what, Path(folder), form, rows)
        seconds = time_processes(commands, 1 if quick else TURNS)
        peaks = peak_memory(commands, MEMORY_TURNS)
    for peer, goal in TIME_GOALS[form].items():
        yield compare(seconds, what, peer, goal)
    yield compare(seconds, CHECKED, what, CHECK_GOAL)
    peaks[f"{what}, peak memory"] = peaks.pop(what)
    for peer, limit in MEMORY_GOALS[form].items():
        yield compare(peaks, f"{what}, peak memory", peer, limit, unit="B")


def _commands(what: str, folder: Path, form: str, rows: int) -> Commands:
    import polars as pl

    X, Y = draw(rows, FEATURES, TARGETS)
    frame = pl.DataFrame(X, schema=[f"x{i}" for i in range(FEATURES)])
    data = folder / f"data.{form}"
    frame.write_parquet(data) if form == "parquet" else frame.write_csv(data)
    model = fit((X[:100_000], Y[:100_000]))
    package = export_package(model, folder / "artifacts", "model")
    weights, bias = model.weights.numpy(), model.bias.numpy()
    np.savez(folder / "model.npz", weights=weights, bias=bias)
    exact = X @ weights.T + bias
    here = Path(__file__).parent / "peers"
    ours = [GRADLINE, "predict", str(package), str(data), "-q", "-o"]
    pandas = [sys.executable, str(here / "pandas_predict.py"), str(folder / "model.npz"), str(data)]
    polars = [sys.executable, str(here / "polars_onnx_predict.py"), str(package / "model.onnx")]
    return {
        what: writes(ours, folder / f"ours.{form}", exact),
        CHECKED: writes([*ours[:-1], "--check", "-o"], folder / f"checked.{form}", exact),
        PANDAS: writes(pandas, folder / f"pandas.{form}", exact),
        POLARS: writes([*polars, str(data)], folder / f"polars.{form}", exact),
    }


def writes(
    arguments: Sequence[str], out: Path, exact: Array
) -> tuple[Sequence[str], Callable[[str], None]]:
    """Make the command that writes to `out`, and the check of its output."""
    import polars as pl

    def check(stdout: str) -> None:
        read = pl.read_parquet if out.suffix == ".parquet" else pl.read_csv
        off = np.abs(read(out)[:, : exact.shape[1]].to_numpy() - exact).max()
        assert off <= 1e-5 * np.abs(exact).max(), f"predictions are off by {off:.1e}"
        out.unlink()

    return [*arguments, str(out)], check
