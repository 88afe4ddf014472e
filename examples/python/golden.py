"""Compare an engine's answers to a package's golden rows with the exact values and bounds."""

import json
import sys
from pathlib import Path

import numpy as np


def check(predict):
    """Exit with 0 if every answer is within its bound; else name the worst and exit with 1.

    Args:
        predict: From rows, shape (n, d) in the graph's dtype, to answers, shape (n, k).
    """
    package = Path(sys.argv[1])
    golden = json.loads((package / "golden.json").read_bytes())
    manifest = json.loads((package / "manifest.json").read_bytes())
    rows = np.array(golden["inputs"], golden["dtype"])
    answers = np.asarray(predict(rows)).astype(np.float64)
    shares = np.abs(answers - golden["outputs"]) / golden["bounds"]
    row, k = np.unravel_index(np.argmax(shares), shares.shape)  # a NaN counts as the largest
    if not shares[row, k] <= 1:
        sys.exit(
            f"golden row {row}, target {manifest['schema']['targets'][k]}: the answer "
            f"{float(answers[row, k])!r} is not within {golden['outputs'][row][k]!r} "
            f"± {golden['bounds'][row][k]:.3g}"
        )
    largest = f"{shares[row, k]:.0%}"
    print(f"{manifest['name']}: {len(rows)} golden rows, at most {largest} of the bound")
