"""How much of our code one run enters: `python -m benchmarks.entered [--list]`.

A newcomer who asks how a training run works has to read the files that it enters. For `fit` of a
large and a small table in arrays, and for `train-and-export` of a CSV file, this counts our own
files and functions, and the moves from one file to another. Each is run once before, so imports do
not count, and neither do comprehensions. --list shows each file with its functions.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import numpy as np

import gradline
import gradline_export
import gradline_trainer
from gradline.commands.group import run
from gradline_trainer import fit

__all__ = ["Entered", "entered_by_fit", "entered_by_train_and_export"]

WINGS = tuple(str(Path(w.__path__[0])) for w in (gradline, gradline_trainer, gradline_export))


@dataclass
class Entered:
    """What a call entered.

    Attributes:
        functions: Our files, each with the qualified names of its functions.
        moves: How often a function of another file than the one before was entered.
    """

    functions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    moves: int = 0

    def __str__(self) -> str:
        count = sum(map(len, self.functions.values()))
        return f"{len(self.functions)} files, {count} functions, {self.moves} moves between files"


def entered_by_fit(rows: int, features: int) -> Entered:
    """Count what `fit((X, Y))` enters; exact arithmetic, for small tables, enters more."""
    X = np.random.default_rng(0).standard_normal((rows, features + 2))
    return _second_run(lambda: fit((X[:, 2:], X[:, :2])))


def entered_by_train_and_export() -> Entered:
    """Count what `train-and-export TABLE.csv -t y` enters for a small table."""
    rows = np.random.default_rng(0).standard_normal((100, 4))
    with TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        table = Path(folder) / "table.csv"
        np.savetxt(table, rows, delimiter=",", header="a,b,c,y", comments="")
        words = ["train-and-export", str(table), "-t", "y", "-o", folder]
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            return _second_run(lambda: run(words))


def _second_run(call: Callable[[], object]) -> Entered:
    call()
    found = Entered()
    last = ""

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal last
        code = frame.f_code
        is_function = "comp>" not in code.co_name and code.co_name != "<genexpr>"
        if event == "call" and is_function and code.co_filename.startswith(WINGS):
            found.functions[code.co_filename].add(code.co_qualname)
            found.moves += code.co_filename != last
            last = code.co_filename

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.entered", description=__doc__)
    parser.add_argument("--list", action="store_true", help="each file with its functions")
    listed = parser.parse_args().list
    counted = {
        "fit, 50,000 x 20": entered_by_fit(50_000, 20),
        "fit, 100 x 3, exact arithmetic": entered_by_fit(100, 3),
        "train-and-export": entered_by_train_and_export(),
    }
    for name, found in counted.items():
        print(f"{name}: {found}")
        for file, functions in sorted(found.functions.items() if listed else ()):
            print(f"  {os.path.relpath(file)}: {' '.join(sorted(functions))}")


if __name__ == "__main__":
    main()
