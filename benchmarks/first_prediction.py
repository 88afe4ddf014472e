"""A fresh process that loads a package and predicts one row, against importing ONNX Runtime.

The difference is gradline's part of a cold start: the seal, the hashes, the graph, the session and
the golden rows.
"""

from __future__ import annotations

import json
import sys
from tempfile import TemporaryDirectory

from benchmarks.comparison import Comparison, compare
from benchmarks.measure import silent, time_processes
from benchmarks.orchard import X, check_optimal, published

__all__ = ["run"]

GOAL = 1.3
TURNS = 41
SCRIPT = f"""
import sys, gradline
print(gradline.load(sys.argv[1]).predict([{X[0].tolist()}]).tolist())
""".strip()


def run(quick: bool) -> list[Comparison]:
    """Compare the two."""
    ours, peer = "load and predict, a fresh process", 'python -c "import onnxruntime"'
    with TemporaryDirectory() as folder:
        package = str(published(folder))
        samples = time_processes(
            {
                ours: ([sys.executable, "-c", SCRIPT, package], _check),
                peer: ([sys.executable, "-c", "import onnxruntime"], silent),
            },
            2 if quick else TURNS,
        )
    return [compare(samples, ours, peer, GOAL)]


def _check(stdout: str) -> None:
    check_optimal(json.loads(stdout), rows=1)
