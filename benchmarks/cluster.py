"""Train and score on a Ray cluster of this machine: scaling, overhead, merge, Ray Data.

The table's files are one file under many names, so the disk's cache holds it and only the work on
the rows is measured. (Workers would import a module named ray here in place of Ray.)
"""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import ray
from ray.data import ActorPoolStrategy, DataContext

from benchmarks.comparison import Comparison, compare
from benchmarks.measure import Samples, time_calls
from benchmarks.synthetic import draw
from gradline import load
from gradline.scoring.folder import score_files
from gradline.scoring.open_engine import open_engine
from gradline.scoring.rows import Scoring
from gradline.tables import BLOCK_ROWS, open_files
from gradline_export import export_package
from gradline_trainer import Fit, fit
from gradline_trainer.moments.moments import Moments
from gradline_trainer.rows.passes import merge_all

__all__ = ["run"]

FEATURES, TARGETS = 100, 2
NAMES = [f"x{j}" for j in range(FEATURES)]
WEAK, OVERHEAD, MERGE = 2 / 1.7, 1.25, 2.0  # the last in seconds
BATCH = 65_536


def run(quick: bool) -> list[Comparison]:
    """Run all comparisons."""
    rows, files, turns = (20_000, 4, 1) if quick else (1_000_000, 24, 3)
    with TemporaryDirectory() as name:
        folder = Path(name)
        half, whole = _table(folder / "half", rows, files // 2), _table(folder / "t", rows, files)
        samples: Samples = {}
        learned: list[Fit] = []
        job = f"{rows * files:,} × {FEATURES} Parquet"
        weak, one = f"{job} on 2 workers", "half of it on 1 worker, 1 core"
        local = f"{job} without Ray"
        with _workers(1):
            samples |= time_calls({one: lambda: _fit(half, "ray")}, turns)
        with _workers(2):
            jobs = {
                weak: lambda: learned.append(_fit(whole, "ray")),
                local: lambda: _fit(whole, "local"),
            }
            samples |= time_calls(jobs, turns)
            package = export_package(learned[0], folder / "artifacts", "m")
            scoring, by_hand = f"score {job} on 2 workers", "Ray Data, map_batches"
            jobs = {
                scoring: lambda: _score(package, whole, folder),
                by_hand: lambda: _map_batches(package, whole, folder),
            }
            samples |= time_calls(jobs, turns)
        return [
            compare(samples, weak, one, WEAK),
            compare(samples, weak, local, OVERHEAD),
            _merge(100 if quick else 10_000, turns),
            compare(samples, scoring, by_hand, 1.0),
        ]


def _table(folder: Path, rows: int, files: int) -> Path:
    """Write a table of one file under many names."""
    folder.mkdir()
    X, Y = draw(rows, FEATURES, TARGETS)
    frame = pl.DataFrame(np.hstack([X, Y]), schema=[*NAMES, "y0", "y1"])
    frame.write_parquet(folder / "0000.parquet", compression="uncompressed")
    for place in range(1, files):
        os.link(folder / "0000.parquet", folder / f"{place:04d}.parquet")
    return folder


@contextmanager
def _workers(number: int) -> Iterator[None]:
    """Start a cluster with one core per worker, including the driver's own work.

    One worker that may use every core would be more than half of two: its reader has threads.
    """
    cores = os.sched_getaffinity(0)
    _keep_to(set(sorted(cores)[:number]))
    ray.init(num_cpus=number, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()
        _keep_to(cores)


def _keep_to(cores: set[int]) -> None:
    """Restrict all threads of this process, and their children, to these cores."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def _fit(folder: Path, engine: str) -> Fit:
    return fit(folder, ["y0", "y1"], NAMES, arithmetic="fast", engine=engine)


def _score(package: Path, data: Path, folder: Path) -> None:
    with _fresh(folder / "out") as out, open_engine("ray", None) as engine:
        assert engine is not None
        scoring = Scoring(load(package), open_files(data))
        found = score_files(scoring, out, "parquet", engine, lambda stage, rows: None)
    assert found.rows == scoring.table.expected_rows()


def _map_batches(package: Path, data: Path, folder: Path) -> None:
    """Predict with the same session by Ray Data, which also writes files."""

    class Predict:
        def __init__(self) -> None:
            self.model = load(package)

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            matrix = np.column_stack([batch[name] for name in NAMES])
            answers = self.model.predict(matrix)
            return {target: answers[:, k] for k, target in enumerate(self.model.targets)}

    with _fresh(folder / "by_hand") as out:
        table = ray.data.read_parquet(str(data), columns=NAMES)
        # With a whole core for each, two would leave no core for reading and writing.
        pool = {"compute": ActorPoolStrategy(size=2), "num_cpus": 0.5}
        table.map_batches(Predict, batch_size=BATCH, **pool).write_parquet(str(out))
        assert any(out.iterdir())


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _merge(number: int, turns: int) -> Comparison:
    """Measure the time to unpack and merge the statistics of many shards."""
    X, Y = draw(BLOCK_ROWS, FEATURES, TARGETS)
    rows = np.hstack([X, Y])
    some = [pickle.dumps(Moments.of(part)) for part in np.array_split(rows, 16)]

    def arriving() -> Iterator[Moments]:
        for place in range(number):
            yield pickle.loads(some[place % len(some)])  # noqa: S301 - made above

    what = f"merge {number:,} statistics of {FEATURES + TARGETS} columns"
    seconds = time_calls({what: lambda: merge_all(arriving())}, turns)[what]
    allowed = MERGE * number / 10_000
    return compare({what: seconds, "its limit": [allowed] * len(seconds)}, what, "its limit", 1.0)
