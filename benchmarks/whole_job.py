"""From the shell's prompt to a proven package, against importing PyTorch and doing nothing.

No program that trains with PyTorch starts faster than its import; the rest is gradline's part.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import gradline
from benchmarks.comparison import Comparison, compare
from benchmarks.measure import silent, time_processes
from benchmarks.orchard import TRAIN_AND_EXPORT, X, check_optimal

__all__ = ["run"]

GOAL = 2.0
TURNS = 11


def run(quick: bool) -> list[Comparison]:
    """Compare the two."""
    job, peer = "train-and-export on the orchard", 'python -c "import torch"'
    with TemporaryDirectory() as folder:

        def check(stdout: str) -> None:
            newest = gradline.load(Path(folder) / "orchard")
            assert f"package  {Path(folder) / 'orchard' / str(newest.version)}\n" in stdout
            check_optimal(newest.predict(X), rows=len(X))

        samples = time_processes(
            {
                job: ([TRAIN_AND_EXPORT, "--output", folder], check),
                peer: ([sys.executable, "-c", "import torch"], silent),
            },
            2 if quick else TURNS,
        )
    return [compare(samples, job, peer, GOAL)]
