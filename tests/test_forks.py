"""A forked child: what can work there gives the same answers, the rest is refused at once."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import gradline
from gradline.tables import lazy_polars
from gradline_export import export_package
from gradline_trainer import Fit, fit

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),  # Python 3.12
]
PATIENCE = 60  # seconds; what hangs hangs for ever
X = np.random.default_rng(0).normal(size=(200, 3))
Y = X @ [1.0, 2.0, 3.0] + np.random.default_rng(1).normal(size=200)
COLUMNS = {"a": X[:, 0], "b": X[:, 1], "y": Y}


def in_child(work: Callable[[], Any]) -> Any:
    """Return what `work` returns or raises in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)  # ends even a process that waits outside of Python
        try:
            answer = work()
        except BaseException as error:
            answer = error
        os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answers:
        data = answers.read()
    assert os.waitpid(child, 0)[1] == 0, "the child does not return"
    return pickle.loads(data)  # noqa: S301 - its own


def learn(what: str, folder: Path) -> Fit:
    """Return a fit of the same rows, held in one way or another."""
    if what == "arrays":
        return fit((X, Y))
    if what == "mapping":
        return fit(COLUMNS, "y")
    if what == "frame":
        return fit(pl.DataFrame(COLUMNS), "y")
    path = folder / "table.parquet"
    if not path.exists():
        pl.DataFrame(COLUMNS).write_parquet(path)
    return fit(path, "y")


@pytest.fixture
def threads() -> Iterator[None]:
    """Gives PyTorch two threads, and has them work."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.linalg.inv(torch.eye(600) + torch.ones(600, 600) @ torch.ones(600, 600))
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("first", ["mapping", "frame", "file"])
def test_after_a_table_a_child_fits_arrays_and_is_refused_tables(
    first: str, tmp_path: Path
) -> None:
    learn("file", tmp_path)
    learn(first, tmp_path)
    found = in_child(lambda: learn("arrays", tmp_path).weights.numpy())
    assert (found == learn("arrays", tmp_path).weights.numpy()).all()
    for what in ("mapping", "frame", "file"):
        error = in_child(lambda what=what: learn(what, tmp_path))
        assert isinstance(error, gradline.InputError)
        assert (str(error).partition(":")[0], error.code) == (
            "this process was forked from one in which Polars had read a table",
            "forked",
        )
        assert 'get_context("spawn")' in error.hint


def test_a_child_of_a_child_is_refused_too(tmp_path: Path) -> None:
    learn("file", tmp_path)
    error = in_child(lambda: in_child(lambda: learn("frame", tmp_path)))
    assert getattr(error, "code", error) == "forked"


def test_a_child_fits_and_exports_wide_arrays(threads: None, tmp_path: Path) -> None:
    wide = np.random.default_rng(2).normal(size=(300, 120))
    target = wide[:, 0] + np.random.default_rng(3).normal(size=300)

    def job() -> tuple[bytes, str]:
        found = fit((wide, target), arithmetic="fast")
        package = export_package(found, tmp_path, report=False)
        return (package / "model.onnx").read_bytes(), str(found.summary())

    here = job()
    assert in_child(job) == here


@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_predicts_the_same_in_a_child(threads: int, orchard_package: Path) -> None:
    model = gradline.load(orchard_package, threads=threads)
    rows = np.random.default_rng(4).normal(70, 10, (5000, 3)).astype(model.dtype)
    frame = pl.DataFrame(rows, schema=model.features)
    here = model.predict(rows)
    assert (in_child(lambda: model.predict(rows)) == here).all()
    assert (in_child(lambda: model.predict(frame)) == here).all()
    assert (in_child(lambda: gradline.load(orchard_package).predict(rows)) == here).all()


IMPORTED = """
import os, sys
import polars as pl
import gradline
from gradline_trainer import fit

frame = pl.DataFrame({"a": [1.0, 2, 3, 5], "y": [1.0, 2, 4, 4]})
if sys.argv[1] == "worked":
    frame.lazy().select(pl.col("a").sum()).collect()
if os.fork() == 0:
    try:
        print(fit(frame, "y").features, flush=True)
    except gradline.InputError as error:
        print(error.code, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize(("what", "told"), [("imported", "['a']"), ("worked", "forked")])
def test_what_counts_is_whether_polars_has_worked(what: str, told: str) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", IMPORTED, what]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout == f"{told}\n"


def test_where_threads_have_no_names_an_imported_polars_counts_as_working(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lazy_polars, "TASKS", tmp_path / "none")
    assert lazy_polars._has_threads()
    monkeypatch.delitem(sys.modules, "polars")
    assert not lazy_polars._has_threads()
