"""The same bytes for any number of threads, and the same exact weights on any CPU.

Each setting is a process of its own, since the libraries read their switches when they are loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
CPUS = ("OPENBLAS_CORETYPE", "MKL_CBWR", "ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES")
SETTINGS = {
    **{f"{count} threads": dict.fromkeys(THREADS, str(count)) for count in (1, 2, 4)},
    "OpenBLAS for Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "MKL for any CPU": {"MKL_CBWR": "COMPATIBLE"},
}
EVERYWHERE = ("W", "b", "model.onnx", "model.pt")  # what exact arithmetic promises on any CPU


def run_under(setting: str) -> dict[str, Any]:
    """Run other_machines.py under these switches, and no others that this machine may set."""
    own = {name: value for name, value in os.environ.items() if name not in (*THREADS, *CPUS)}
    script = Path(__file__).with_name("other_machines.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=own | SETTINGS[setting],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(SETTINGS, pool.map(run_under, SETTINGS), strict=True))


@pytest.mark.parametrize("threads", [2, 4])
def test_no_file_depends_on_the_number_of_threads(
    found: dict[str, dict[str, Any]], threads: int
) -> None:
    one, more = found["1 threads"], found[f"{threads} threads"]
    assert one["libraries"]["threads"] == [1, 1]
    assert more["libraries"]["threads"] == [threads, threads]
    assert more["runs"] == one["runs"]


@pytest.mark.parametrize("setting", ["OpenBLAS for Haswell", "MKL for any CPU"])
def test_exact_weights_and_graphs_are_the_same_on_any_cpu(
    found: dict[str, dict[str, Any]], setting: str
) -> None:
    here, there = found["1 threads"]["runs"], found[setting]["runs"]
    if setting == "OpenBLAS for Haswell" and found[setting]["libraries"]["cpu"]:  # OpenBLAS, on x86
        assert found[setting]["libraries"]["cpu"] == "Haswell"
    exact = [run for run, result in here.items() if result["arithmetic"] == "exact"]
    assert len(exact) > 8
    for run in exact:
        for part in EVERYWHERE:
            assert there[run][part] == here[run][part], (run, part)
