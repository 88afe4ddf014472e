"""`python -m benchmarks [--quick] [NAME …]`: run the benches and print one table.

Without names, run all. Each bench replaces its earlier results in benchmarks/results.json, and the
tables of README and docs/benchmarks.md are written from that file; --document does only the latter.
--quick takes few turns and small tables: it shows in a minute that everything works, and keeps
nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison, table
from benchmarks.document import PAGES, Kept, with_tables

BENCHES = (
    "whole_job",
    "first_prediction",
    "one_row",
    "training",
    "levels",
    "files",
    "scoring",
    "categories",
    "serve",
    "cluster",
)
LIBRARIES = (
    *("gradline", "torch", "onnx", "onnxruntime", "numpy", "polars", "pandas", "scikit-learn"),
    *("scikit-learn-intelex", "polars-ds", "statsmodels", "glum", "pyfixest", "skl2onnx", "ray"),
)
RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    """Run the named benches."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="few turns, small tables, not kept")
    parser.add_argument("--document", action="store_true", help="only write the pages' tables")
    given = parser.parse_args()
    if given.document:
        _document(json.loads(RESULTS.read_text()))
        return
    names = given.names
    for name in names:
        if name not in BENCHES:
            parser.error(f"no bench named {name!r}, there are {', '.join(BENCHES)}")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # of the peers', as gradline does
    machine, lines = describe_machine(), []
    for name in names or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        found = importlib.import_module(f"benchmarks.{name}").run(given.quick)
        lines += found
        if not given.quick:
            _keep(name, found, machine)
    print(_first_line(machine), "", *table(lines), sep="\n")
    if not given.quick:
        _document(json.loads(RESULTS.read_text()))


def _keep(bench: str, lines: list[Comparison], machine: dict[str, Any]) -> None:
    """Replace the bench's earlier results in the file."""
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results = [asdict(line) | {"reached": line.reached} for line in lines]
    before[bench] = {"machine": machine, "results": results}
    kept = {name: before[name] for name in BENCHES if name in before}
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _document(kept: Kept) -> None:
    """Write the tables of the pages."""
    for page in PAGES:
        page.write_text(with_tables(page.read_text(), kept))


def describe_machine() -> dict[str, Any]:
    """Describe what a time depends on, without anything that identifies this machine."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _first_line(machine: dict[str, Any]) -> str:
    libraries = (f"{name} {number}" for name, number in machine["libraries"].items())
    python = f"Python {machine['python']}"
    return ", ".join([f"{machine['cores']} cores", machine["cpu"], python, *libraries])


def _cpu() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
