"""Runs of every kind over tables that are the same on every machine, and a digest of each result.

    python tests/other_machines.py

prints, as JSON, what the libraries took from the environment, and by run the arithmetic and SHA-256
digests of W, b and each file of the package. test_other_machines.py compares them.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from gradline_export import export_package
from gradline_trainer import Fit, fit, load_moments, save_moments

Pair = tuple[NDArray[Any], NDArray[np.float64]]
LONGLEY = Path(__file__).parent / "nist" / "Longley.csv"


def table(rows: int, features: int, targets: int = 1) -> Pair:
    """Make X and Y without BLAS and without functions of libm, whose last bits a CPU decides.

    Integers from NumPy's generator are the same everywhere, sums of int64 are exact, and a division
    is correctly rounded.
    """
    random = np.random.default_rng([rows, features])
    X = random.integers(-50_000, 50_000, (rows, features)) + 500 * np.arange(features)
    weights = random.integers(-9, 10, (features, targets))
    Y = X @ weights + random.integers(-90_000, 90_000, (rows, targets))
    return X / 1000, Y / 1000


def mixed(folder: Path) -> Path:
    """Write a CSV file with categories, weights and missing numbers."""
    X, Y = table(400, 3)
    random = np.random.default_rng(4)
    shops, weights = random.integers(0, 4, 400), random.integers(1, 9, 400)
    path = folder / "mixed.csv"
    lines = ["a,b,c,shop,weight,y"]
    for i, ((a, b, c), (y,)) in enumerate(zip(X.tolist(), Y.tolist(), strict=True)):
        shop = ("north", "south", "east", "west")[shops[i]]
        lines.append(f"{a},{b if i % 7 else ''},{c},{shop},{weights[i] / 4},{y}")
    path.write_text("\n".join(lines) + "\n")
    return path


def of_saved_moments(path: Path, folder: Path) -> Fit:
    save_moments(fit(path, "y", keep_moments=True, exclude="weight", missing="mean"), folder / "m")
    return fit(load_moments(folder / "m"))


def runs(folder: Path) -> dict[str, Callable[[], Fit]]:
    """Return what trains, by the name of the run."""
    file = mixed(folder)
    wide = table(30, 900, 3)
    off = table(2000, 5)[0] + 1e6, table(2000, 5)[1]  # ill-conditioned: the offset is large
    return {
        "plain": lambda: fit(table(500, 8, 2)),
        "longley": lambda: fit(LONGLEY, "y"),
        "longley fast": lambda: fit(LONGLEY, "y", arithmetic="fast"),
        "ill-conditioned": lambda: fit(off),
        "no bias": lambda: fit(off, bias=False),
        "float32": lambda: fit(tuple(part.astype(np.float32) for part in table(700, 6, 2))),
        "ridge": lambda: fit(table(500, 8, 2), ridge=3.0),
        "ridge auto": lambda: fit(table(500, 60), ridge="auto", folds=5),
        "holdout": lambda: fit(table(3000, 10), holdout=0.2, arithmetic="fast"),
        "robust": lambda: fit(table(2000, 12), robust="HC3"),
        "weights": lambda: fit(file, "y", sample_weight="weight", missing="drop", exclude="shop"),
        "one-hot": lambda: fit(file, "y", one_hot="shop", missing="drop", exclude="weight"),
        "missing mean": lambda: fit(file, "y", missing="mean", exclude=("shop", "weight")),
        "saved moments": lambda: of_saved_moments(file, folder),
        "tutorial": lambda: fit(table(3000, 20), preconditioning="none", epochs=30),
        "tutorial float32": lambda: fit(
            table(3000, 20), preconditioning="none", epochs=30, dtype="float32"
        ),
        "standardize 45": lambda: fit(table(3000, 45, 2), preconditioning="standardize"),
        "standardize 100": lambda: fit(table(2000, 100, 2), preconditioning="standardize"),
        "wide": lambda: fit(wide, ridge=2.0, arithmetic="fast"),
        "900 x 400 fast": lambda: fit(table(900, 400), arithmetic="fast"),
        "blocks fast": lambda: fit(table(70_000, 12, 2), arithmetic="fast"),
    }


def digest(data: bytes) -> str:
    """Return the head of the SHA-256 digest."""
    return hashlib.sha256(data).hexdigest()[:16]


def digests() -> dict[str, dict[str, str]]:
    """Train and export each run; return its arithmetic and digests."""
    found = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for run, train in runs(folder).items():
            learned = train()
            intervals = not learned.options.ridge and learned.converged
            version = export_package(learned, folder / "artifacts", "m", intervals=intervals)
            found[run] = {
                "arithmetic": learned.arithmetic.used,
                "W": digest(learned.weights.numpy().tobytes()),
                "b": digest(learned.bias.numpy().tobytes()),
                **{file.name: digest(file.read_bytes()) for file in sorted(version.iterdir())},
            }
    return found


def libraries() -> dict[str, Any]:
    """Return how many threads PyTorch and NumPy's BLAS have, and the CPU that BLAS computes for."""
    blas = next(library for library in threadpool_info() if library["user_api"] == "blas")
    threads = [torch.get_num_threads(), blas["num_threads"]]
    return {"threads": threads, "cpu": blas.get("architecture")}


if __name__ == "__main__":
    if threads := os.environ.get("OMP_NUM_THREADS"):  # itself it gives no more than there are cores
        torch.set_num_threads(int(threads))
        threadpool_limits(int(threads), "blas")
    json.dump({"libraries": libraries(), "runs": digests()}, sys.stdout, indent=1)
