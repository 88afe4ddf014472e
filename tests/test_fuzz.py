"""Nothing that was changed or forged loads, crashes, hangs, fills memory or opens another file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from gradline_export import export_package
from gradline_trainer import fit

FUZZING = Path(__file__).with_name("fuzzing.py")
TABLE = {
    "town": ["a", "b", "a", "c", "b", "a", "c", "b"],
    "x": [1.0, 2, None, 4, 5, 6, 7, 9],
    "y": [1.0, 4, 2, 9, 6, 5, 8, 7],
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak")
def test_twenty_thousand_damaged_and_forged_packages(orchard_package: Path, tmp_path: Path) -> None:
    wide = fit({"x": [1e9, 2e9, 3e9, 5e9], "z": [1.0, 0, 2, 1], "y": [1.0, 2, 3, 5]}, "y")
    towns = fit(pl.DataFrame(TABLE), "y", one_hot="town", missing="mean")
    packages = [
        orchard_package,
        export_package(wide, tmp_path, "wide"),
        export_package(towns, tmp_path, "towns"),
    ]
    folder = tmp_path / "fuzzed"
    words = [sys.executable, str(FUZZING), "7", str(folder), *map(str, packages)]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(found["counts"])
    assert found["wrong"] == []
    assert sum(found["counts"].values()) >= 20_000
    assert found["grown"] < 200
