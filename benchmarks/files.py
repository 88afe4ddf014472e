"""From a file to a published model: `train-and-export` against scripts that do the same.

Measures wall time and peak memory of whole processes. A process's time counts only after its ONNX
file's predictions agree with the least-squares solution.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.comparison import Comparison, compare
from benchmarks.measure import Commands, peak_memory, time_processes
from benchmarks.orchard import TRAIN_AND_EXPORT
from benchmarks.synthetic import Array, Solution, draw, optimum
from gradline.package.reading import read_package
from gradline.package.rounding_bound import rounding_bound

__all__ = ["run"]

FEATURES, TARGETS = 20, 2
FORMS = {"parquet": "Parquet", "csv": "CSV"}  # by the file's extension
ROWS = {"parquet": 5_000_000, "csv": 1_000_000}
QUICK_ROWS = {"parquet": 20_000, "csv": 10_000}
TURNS, MEMORY_TURNS = 5, 1  # a peak hardly varies
PEERS = {
    "pandas, LinearRegression, skl2onnx": "pandas_linear_regression.py",
    "polars, Ridge(cholesky), skl2onnx": "polars_ridge.py",
}
TIME_GOALS = {"parquet": (1 / 3, 1 / 1.2), "csv": (1 / 1.8, 1 / 1.25)}  # in the peers' order
MEMORY_GOALS = {"parquet": (1 / 5, 1 / 4), "csv": (None, None)}


def run(quick: bool) -> list[Comparison]:
    """Compare file by file: time, then memory."""
    rows = QUICK_ROWS if quick else ROWS
    return [line for form in rows for line in _lines(form, rows[form], quick)]


def _lines(form: str, rows: int, quick: bool) -> Iterator[Comparison]:
    what = f"train-and-export, {rows:,} × {FEATURES + TARGETS} {FORMS[form]}"
    with TemporaryDirectory() as folder:
        data = Path(folder) / f"data.{form}"
        commands = _commands(what, data, _write(data, rows))
        seconds = time_processes(commands, 1 if quick else TURNS)
        peaks = peak_memory(commands, MEMORY_TURNS)
    for peer, goal in zip(PEERS, TIME_GOALS[form], strict=True):
        yield compare(seconds, what, peer, goal)
    peaks[f"{what}, peak memory"] = peaks.pop(what)
    for peer, limit in zip(PEERS, MEMORY_GOALS[form], strict=True):
        yield compare(peaks, f"{what}, peak memory", peer, limit, unit="B")


def _write(data: Path, rows: int) -> Callable[[bytes], None]:
    """Write a table, and make a check of the ONNX files learned from it."""
    import polars as pl

    X, Y = draw(rows, FEATURES, TARGETS)
    names = [f"x{i}" for i in range(FEATURES)], [f"y{i}" for i in range(TARGETS)]
    frame = pl.DataFrame(X, schema=names[0]).hstack(pl.DataFrame(Y, schema=names[1]))
    frame.write_parquet(data) if data.suffix == ".parquet" else frame.write_csv(data)
    best, few = optimum(X, Y), X[:1000].copy()
    return lambda model: _check(model, best, few)


def _check(model: bytes, best: Solution, rows: Array) -> None:
    import onnxruntime as ort

    session = ort.InferenceSession(model)
    (answer,) = session.run(None, {"x": rows.astype(np.float32)})
    W, b = best
    expected = rows @ W.T + b
    bound = 2 * rounding_bound(
        rows, W, b, np.dtype(np.float32)
    )  # one for W, b and the rows themselves
    off = np.abs(answer - expected)
    assert (off <= bound).all(), f"a model is off by {off.max():.1e}"


def _commands(what: str, data: Path, check: Callable[[bytes], None]) -> Commands:
    out = data.parent / "artifacts"

    def check_ours(stdout: str) -> None:
        check(read_package(out / data.stem).onnx)

    options = ["-t", "y0", "-t", "y1", "-o", str(out), "-q"]
    commands: Commands = {what: ([TRAIN_AND_EXPORT, str(data), *options], check_ours)}
    for name, script in PEERS.items():
        commands[name] = _peer(script, data, check)
    return commands


def _peer(
    script: str, data: Path, check: Callable[[bytes], None]
) -> tuple[Sequence[str], Callable[[str], None]]:
    model = data.with_name(f"{script}.onnx")

    def check_peer(stdout: str) -> None:
        check(model.read_bytes())
        model.unlink()

    path = Path(__file__).parent / "peers" / script
    return [sys.executable, str(path), str(data), str(model)], check_peer
