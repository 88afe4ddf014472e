"""Try every case on the packages whose folders are named, and print the outcome as JSON.

A case may take 200 MiB of address space (an allocation beyond fails, and it ends in MemoryError)
and ten seconds (then a signal ends the process, with a traceback).
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from onnx import load_model_from_string, numpy_helper

from gradline import PackageError
from gradline.commands.group import cli
from gradline.model import Model
from gradline.package.reading import check_files, read_package
from hostile import damage, documents, graphs
from hostile.case import Case, Files

SEED = 1
MEMORY = 200 << 20
SECONDS = 10


class Outcome:
    """What became of the cases, and what they may not have done."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.loaded: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.opened: list[str] = []
        self.slowest = 0.0
        self._trying = False

    def watch(self, folder: Path) -> None:
        """Note every file that a case opens outside of `folder` from now on."""

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if self._trying and event == "open" and not isinstance(arguments[0], int):
                path = os.path.abspath(os.fsdecode(arguments[0]))
                if not path.startswith(f"{folder}{os.sep}"):
                    self.opened.append(path)

        sys.addaudithook(hook)

    def count(self, case: Case, path: Path) -> None:
        """Try a case, whose files are in place."""
        start = time.perf_counter()
        self._trying = True
        try:
            loaded = path / "model.onnx" if case.bare else path
            found = attempt(loaded) or inspected(loaded)
        except PackageError as error:
            told = str(error).isprintable() and error.code and error.hint
            self.refused[case.kind] += 1
            fault = None if told else f"says {error!r}"
        except BaseException as error:
            fault = f"ended in {error!r:.200}"
        else:
            self.loaded[case.kind] += 1
            fault = "was loaded" if case.refused else found
        self._trying = False
        self.slowest = max(self.slowest, time.perf_counter() - start)
        if fault:
            self.wrong.append(f"{case.kind}: {fault}")

    def record(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {key: value for key, value in vars(self).items() if key[0] != "_"}


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Limit the time and the further address space of what is done inside."""
    none = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + MEMORY, none))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (none, none))


def attempt(path: Path) -> str | None:
    """Load a package as `load` and `verify` do; return what is wrong with what was loaded."""
    package = read_package(path)
    check_files(package)
    model = Model(package)
    own = load_model_from_string(package.onnx)  # onnx's own reader, not ours
    W, b = map(numpy_helper.to_array, own.graph.initializer)
    rows = np.vstack([np.zeros_like(W[:1]), np.eye(W.shape[1], dtype=W.dtype)])
    with np.errstate(over="ignore"):
        expected = np.vstack([b, W.T + b])
    if not (np.isfinite(W).all() and np.isfinite(b).all()):
        return "was loaded with weights that are not finite"
    if not np.array_equal(model.predict(rows), expected):
        return "predicts something else than its graph says"
    golden = package.golden
    if golden is None:
        return None
    errors = np.abs(model.predict(golden.inputs).astype(np.float64) - golden.outputs)
    return None if (errors <= golden.bounds).all() else "is beyond the bounds of its golden rows"


def inspected(path: Path) -> str | None:
    """Return what is wrong with how `inspect` ends."""
    shown = CliRunner().invoke(cli, ["inspect", str(path)], standalone_mode=False)
    if shown.exception is None or isinstance(shown.exception, PackageError):
        return None
    return f"makes inspect end in {shown.exception!r}"


def contents(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def cases(files: Files) -> Iterator[Case]:
    """Yield all cases of a package, the same ones each time."""
    chance = random.Random(SEED)
    return chain.from_iterable(kind.cases(files, chance) for kind in (damage, documents, graphs))


def address_space() -> int:
    """Return what this process has of it, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def run(folder: Path, outcome: Outcome) -> None:
    """Try all cases of the package in `folder`, and leave it as it was."""
    files = contents(folder)
    for case in cases(files):
        if all(files[name] == data for name, data in case.changed.items()):
            continue
        for name, data in case.changed.items():
            (folder / name).write_bytes(data)
        with limits():
            outcome.count(case, folder)
        for name in case.changed:
            (folder / name).write_bytes(files[name])
    assert attempt(folder) is None  # it still loads: what was refused was the case


def main(folders: list[Path]) -> None:
    """Print what became of the cases of every package."""
    for folder in folders:
        assert (
            attempt(folder) or inspected(folder)
        ) is None  # and all that is imported late is imported now
    faulthandler.enable()  # a crash tells where
    faulthandler.register(signal.SIGALRM, chain=True)
    outcome = Outcome()
    outcome.watch(Path(os.path.commonpath(folders)))
    for folder in folders:
        run(folder, outcome)
    print(json.dumps(outcome.record()))


main([Path(argument).resolve() for argument in sys.argv[1:]])
