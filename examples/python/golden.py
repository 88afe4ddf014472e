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
    golden = _read("golden.json")
    rows = np.array(golden["inputs"], golden["dtype"])
    _compare("golden rows", golden, predict(rows))


def check_raw(predict):
    """Do the same with a table's own columns.

    Args:
        predict: From columns by name, shape (n, 1), to answers, shape (n, k).
    """
    raw, columns = _read("golden.json")["raw"], {}
    for column in _read("manifest.json")["schema"]["columns"]:
        name = column["name"] or "Unnamed: 0"  # a header may have no name
        values = raw["columns"][name]
        if column["kind"] == "category":
            array = np.array([text or "" for text in values], object)
        else:
            array = np.array(values, np.float64)  # None becomes NaN
        columns[name] = array[:, None]
    _compare("raw golden rows", raw, predict(columns))


def _read(name):
    return json.loads((Path(sys.argv[1]) / name).read_bytes())


def _compare(what, golden, answers):
    manifest = _read("manifest.json")
    answers = np.asarray(answers).astype(np.float64)
    outputs, bounds = (np.array(golden[name], np.float64) for name in ("outputs", "bounds"))
    shares = np.abs(answers - outputs) / bounds
    shares[np.isnan(answers) & np.isnan(outputs)] = 0  # null: a row that has no answer
    row, k = np.unravel_index(np.argmax(shares), shares.shape)  # a NaN counts as the largest
    if not shares[row, k] <= 1:
        sys.exit(
            f"golden row {row}, target {manifest['schema']['targets'][k]}: the answer "
            f"{float(answers[row, k])!r} is not within {float(outputs[row, k])!r} "
            f"± {bounds[row, k]:.3g}"
        )
    largest = f"{shares[row, k]:.0%}"
    print(f"{manifest['name']}: {len(answers)} {what}, at most {largest} of the bound")
