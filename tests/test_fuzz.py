"""Tens of thousands of damaged and forged packages: each is refused, or is what its graph says.

They are tried in one process of their own (tests/hostile), which counts what became of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from gradline_export import export_package
from gradline_trainer import fit
from gradline_trainer.orchard import TARGETS, orchard

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
#: What only a seal or a hash tells: no such case may load.
SEALED = (
    *(f"a bit of {name} flipped" for name in ("golden.json", "manifest.json", "model.onnx")),
    *(f"a bit of {name} flipped" for name in ("model.pt", "report.html")),
    "a file cut",
    "a file with more at its end",
    "a file with more at its start",
    "a file twice",
    "a file in another's place",
    "two files swapped",
    "a forged manifest with its old seal",
    "bytes that are no manifest",
)
#: What is sealed again by its forger, but is no linear model or no JSON.
FORGED = (
    "bytes that are no golden rows, resealed",
    "large golden rows, resealed",
    "a graph of another kind, resealed",
    "a bare graph of another kind",
)
#: What may be a package of another model, or the same one with another record.
OTHER = (
    "a bit of model.onnx flipped, resealed",
    "a bit of a bare model.onnx flipped",
    "a forged manifest, resealed",
    "a large manifest, resealed",
    "forged golden rows, resealed",
    "a changed field of the graph, resealed",
    "a changed field of a bare graph",
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """An empty folder, in memory where the machine has one there."""
    memory = "/dev/shm"  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if os.path.isdir(memory) else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def outcome(folder: Path) -> dict[str, Any]:
    """What became of every case on three packages."""
    packages = folder / "packages"
    chance = np.random.default_rng(7)
    area = chance.normal(100.0, 20.0, 60)
    area[::11] = np.nan
    shop = {"region": chance.choice(["north", "süd", "west"], 60).tolist(), "area": area}
    shop["revenue"] = np.nan_to_num(area) + chance.normal(size=60)
    filled = fit(shop, "revenue", one_hot="region", missing="mean")
    shutil.copytree(ROOT / "artifacts" / "orchard" / "1", packages / "orchard" / "1")
    export_package(fit(orchard(), TARGETS, dtype="float64"), packages, "orchard64")
    export_package(filled, packages, "shop")
    work = folder / "work"  # where an ONNX file's weights may be said to lie
    work.mkdir()
    weights = onnx.load(packages / "orchard" / "1" / "model.onnx").graph.initializer[0].raw_data
    for file in (work / "weights.bin", folder / "weights.bin"):
        file.write_bytes(weights)
    command = [sys.executable, "-m", "hostile"]
    paths = [ROOT / "tests", *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [*command, *(packages / name / "1" for name in ("orchard", "orchard64", "shop"))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
        cwd=work,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_case_is_refused_or_is_what_its_graph_says(outcome: dict[str, Any]) -> None:
    assert outcome["wrong"] == []


def test_the_cases_are_many_and_of_every_kind(outcome: dict[str, Any]) -> None:
    refused, loaded = outcome["refused"], outcome["loaded"]
    for kind in (*SEALED, *FORGED, *OTHER):
        print(f"{refused.get(kind, 0):6} refused, {loaded.get(kind, 0):5} loaded: {kind}")
    print(
        f"{sum(refused.values())} refused, {sum(loaded.values())} loaded, "
        f"at most {outcome['slowest']:.2f} s each"
    )
    assert set(refused) == {*SEALED, *FORGED, *OTHER}
    assert set(loaded) <= set(OTHER)
    assert sum(refused[kind] for kind in SEALED) > 20_000
    assert sum(refused[kind] for kind in FORGED) > 500


def test_no_case_takes_more_than_200_mib(outcome: dict[str, Any]) -> None:
    # More is refused to it, and ends it in MemoryError.
    assert not [fault for fault in outcome["wrong"] if "MemoryError" in fault]


def test_no_case_takes_more_than_ten_seconds(outcome: dict[str, Any]) -> None:
    assert 0 < outcome["slowest"] < 10


def test_no_case_opens_a_file_outside_of_its_package(outcome: dict[str, Any]) -> None:
    assert outcome["opened"] == []
