"""What surrounds a call in the caller's process changes no answer and breaks no call."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradline
from gradline_export import export_package
from gradline_trainer import LinearRegression, fit, load_moments, save_moments
from gradline_trainer.orchard import TARGETS, orchard
from gradline_trainer.rows.library_state import known_state

TINY = 1e-150  # whose square is near the least normal number, and which float32 has not
X = np.random.default_rng(0).normal(size=(60, 4)) * [1, 1e3, TINY, 1] + [0, 5, 0, 7]
Y = X @ [[1, 0], [0, 1e-3], [1 / TINY, 0], [2, 2]] + np.random.default_rng(1).normal(size=(60, 2))


def changed(change: Callable[[Any], object], to: Any, back: Any) -> Callable[[], Any]:
    """Make a context of a setting that has none."""

    @contextmanager
    def context() -> Iterator[None]:
        change(to)
        try:
            yield
        finally:
            change(back)

    return context


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "set_grad_enabled": changed(torch.set_grad_enabled, False, True),
    "float16": changed(torch.set_default_dtype, torch.float16, torch.float32),
    "bfloat16": changed(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "float64": changed(torch.set_default_dtype, torch.float64, torch.float32),
    "default device": changed(torch.set_default_device, "meta", None),
    "device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": changed(torch.use_deterministic_algorithms, True, False),
    "no subnormals": changed(torch.set_flush_denormal, True, False),
    "medium precision": changed(torch.set_float32_matmul_precision, "medium", "highest"),
    "errstate": lambda: np.errstate(all="raise"),
}


def package_bytes(root: Path, name: str, **options: Any) -> dict[str, bytes]:
    """Fit, summarize, export, load and predict; return all that came of it."""
    found = fit((X, Y), **options)
    if "preconditioning" not in options:
        found.summary()
    package = export_package(found, root / name, report=name == "exact")
    model = gradline.load(package)
    with np.errstate(under="ignore"):
        rows = X.astype(model.dtype)
    by_name = {feature: X[:, j] for j, feature in enumerate(model.features)}
    return {file.name: file.read_bytes() for file in package.iterdir()} | {
        "predicted": model.predict(rows).tobytes(),
        "by name": model.predict(by_name, check=True)[0].tobytes(),
        "explained": model.explain(rows).contributions.tobytes(),
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "exact": {},
    "fast": {"arithmetic": "fast"},
    "tutorial": {"preconditioning": "none", "learning_rate": 1e-8, "epochs": 5},
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    root = tmp_path_factory.mktemp("undisturbed")
    return {kind: package_bytes(root, kind, **options) for kind, options in OPTIONS.items()}


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_the_same_bytes_come_of_it(
    around: str, kind: str, undisturbed: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    with SURROUNDINGS[around]():
        found = package_bytes(tmp_path, kind, **OPTIONS[kind])
    assert found == undisturbed[kind]


@pytest.mark.parametrize("around", SURROUNDINGS)
def test_the_estimator_moments_and_categories_are_the_same(around: str, tmp_path: Path) -> None:
    def job() -> list[bytes]:
        estimator = LinearRegression().fit(X, Y)
        columns = {"a": X[:, 0], "b": X[:, 2], "c": ["u", "v", "w"] * 20, "y": Y[:, 0]}
        of_columns = fit(columns, "y", one_hot="c", keep_moments=True)
        save_moments(of_columns, tmp_path / "m.moments")
        again = fit(load_moments(tmp_path / "m.moments"))
        arrays = (estimator.coef_, estimator.predict(X), of_columns.weights.numpy())
        return [array.tobytes() for array in (*arrays, again.weights.numpy())]

    undisturbed = job()
    with SURROUNDINGS[around]():
        assert job() == undisturbed


def test_products_of_lower_precision_are_not_taken() -> None:
    # Shapes at which oneDNN takes bfloat16, on processors that have it.
    rng = np.random.default_rng(3)
    table = rng.normal(size=(300, 300)), rng.normal(size=(300, 50))
    options: dict[str, Any] = {"preconditioning": "none", "learning_rate": 1e-3, "epochs": 2}
    expected = fit(table, **options).weights
    with SURROUNDINGS["medium precision"]():
        assert torch.equal(fit(table, **options).weights, expected)


def test_a_run_that_diverges_says_why_also_where_anomalies_raise() -> None:
    with (
        torch.autograd.set_detect_anomaly(True),
        pytest.raises(gradline.RefusedError, match="above the largest stable rate"),
    ):
        fit(orchard(), TARGETS, preconditioning="none", learning_rate=1.0)


def test_the_callers_state_is_back_afterwards() -> None:
    def state() -> tuple[Any, ...]:
        return (
            torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype(),
            torch.get_default_device(), torch.is_autocast_enabled("cpu"), torch.get_num_threads(),
            torch.get_float32_matmul_precision(), np.geterr(), torch.finfo(torch.float64).tiny / 2,
        )  # fmt: skip

    for context in SURROUNDINGS.values():
        with context():
            before = state()
            with known_state():
                fit((X, Y))
            assert state() == before


def test_random_numbers_are_neither_taken_nor_set(tmp_path: Path) -> None:
    def states() -> list[Any]:
        shared = str(np.random.get_state())  # noqa: NPY002 - the one that others draw from
        return [torch.get_rng_state().tolist(), shared, random.getstate()]

    before = states()
    for options in (*OPTIONS.values(), {"ridge": "auto"}, {"holdout": 0.2}):
        export_package(fit((X, Y), **options), tmp_path, report=False)
    LinearRegression().fit(X, Y)
    assert states() == before


@pytest.mark.parametrize("row", [[1e-60, 67, 43], [73, -1e-300, 0], [1e30, 1e-40, 1]])
def test_a_row_is_predicted_checked_and_explained_where_underflow_raises(
    row: list[float], orchard_package: Path
) -> None:
    model = gradline.load(orchard_package)
    expected, outside = model.predict([row], check=True)
    with np.errstate(all="raise"):
        model = gradline.load(orchard_package)
        found, beyond = model.predict([row], check=True)
        parts = model.explain([row]).contributions
    assert (found == expected).all()
    assert (beyond.beyond == outside.beyond).all()
    assert (parts == model.explain([row]).contributions).all()


# Tensors as people have them


TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "requires grad": lambda t: t.clone().requires_grad_(),
    "parameter": torch.nn.Parameter,
    "lazy negation": lambda t: torch._neg_view(-t),
    "imaginary part": lambda t: torch.complex(0 * t, -t).conj().imag,
    "strided": lambda t: torch.stack([t, t], -1)[..., 0],
    "read only": lambda t: torch.from_numpy(t.numpy()),
    "bfloat16": lambda t: t.bfloat16(),
}


def inference(t: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return t + 0


@pytest.mark.parametrize("form", [*TENSORS.values(), inference], ids=[*TENSORS, "inference"])
def test_a_tensor_is_taken_as_the_array_that_it_holds(form: Any, orchard_package: Path) -> None:
    values = np.round(np.random.default_rng(2).normal(size=(40, 4)) * 8)  # bfloat16 holds them
    table = form(torch.from_numpy(values))
    expected = fit((values[:, :3], values[:, 3])).weights
    assert torch.equal(fit((table[:, :3], table[:, 3])).weights, expected)
    names = ["temperature", "rainfall", "humidity"]
    columns = {name: table[:, j] for j, name in enumerate(names)}
    assert torch.equal(fit({**columns, "y": table[:, 3]}, "y").weights, expected)
    model = gradline.load(orchard_package)
    predicted = model.predict(values[:, :3])
    assert (model.predict(table[:, :3]) == predicted).all()
    assert (model.predict(columns) == predicted).all()


@pytest.mark.parametrize(
    ("tensor", "hint"),
    [
        (torch.eye(3).to_sparse(), "make it dense: tensor.to_dense()"),
        (torch.eye(3, device="meta"), "fill it with values first"),
    ],
)
def test_a_tensor_without_values_of_its_own_is_refused(
    tensor: torch.Tensor, hint: str, orchard_package: Path
) -> None:
    model = gradline.load(orchard_package)
    calls = (
        lambda: fit((tensor, [1.0, 2.0, 3.0])),
        lambda: fit({"a": tensor[:, 0], "y": [1.0, 2.0, 3.0]}, "y"),
        lambda: model.predict(tensor),
    )
    for call in calls:
        with pytest.raises(gradline.InputError, match="expected a dense tensor that holds") as told:
            call()
        assert (told.value.code, told.value.hint) == ("not-numeric", hint)


@pytest.mark.parametrize(
    "form",
    [
        lambda a: np.broadcast_to(a, a.shape),
        lambda a: np.ascontiguousarray(a[::-1])[::-1],
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: np.repeat(a, 2, axis=0)[::2],
    ],
    ids=["read only", "backwards", "other byte order", "every second"],
)
def test_an_array_is_taken_however_it_lies_in_memory(form: Any) -> None:
    assert torch.equal(fit((form(X), form(Y))).weights, fit((X, Y)).weights)


def test_a_column_of_one_value_in_memory_is_a_constant() -> None:
    X_ = np.concatenate([X, np.broadcast_to(3.0, (60, 1))], axis=1)
    table = {"a": X[:, 0], "one": np.broadcast_to(3.0, 60), "y": Y[:, 0]}
    expected = fit((X_[:, [0, 4]], Y[:, 0])).weights
    assert torch.equal(fit(table, "y", strict=True).weights, expected)
    by_default = fit(table, "y")  # leaves constants out
    assert by_default.features == ["a"]
    assert torch.equal(by_default.weights, expected[:, :1])


def test_a_thread_of_the_callers_learns_the_same() -> None:
    expected = fit((X, Y)).weights
    found: list[torch.Tensor] = []
    threads = [threading.Thread(target=lambda: found.append(fit((X, Y)).weights)) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(one, expected) for one in found)
    assert len(found) == 2


# Settings of the process


@pytest.mark.parametrize("options", [{"legacy": "1.13"}, {"precision": 2, "floatmode": "fixed"}])
def test_how_numpy_prints_changes_no_byte(
    options: dict[str, Any], undisturbed: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    with np.printoptions(**options):
        assert package_bytes(tmp_path, "exact") == undisturbed["exact"]


def test_a_fit_finds_its_file_from_any_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    for folder, rows in ((tmp_path, "1,2\n2,3\n3,5\n"), (tmp_path / "there", "7,8\n")):
        (folder / "table.csv").write_text("a,y\n" + rows)
    monkeypatch.chdir(tmp_path)
    found = fit("table.csv", "y")
    monkeypatch.chdir(tmp_path / "there")  # where another file has its name
    package = export_package(found, "artifacts", report=False)
    data = (tmp_path / "table.csv").read_bytes()
    assert json.loads((package / "manifest.json").read_text())["training"]["files"] == [
        {"name": "table.csv", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    ]
    (tmp_path / "table.csv").unlink()
    for fingerprint in (True, False):
        with pytest.raises(gradline.InputError, match=r"table\.csv can no longer be read: No such"):
            export_package(found, "artifacts", fingerprint=fingerprint)


def test_where_pytorch_may_not_compile_nothing_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.jit, "script", lambda module: module)  # as PYTORCH_JIT=0 makes it
    with pytest.raises(gradline.InputError, match="PYTORCH_JIT=0") as told:
        export_package(fit((X, Y)), tmp_path)
    assert told.value.code == "no-torchscript"
    assert not list(tmp_path.iterdir())


PROCESS = """
import asyncio, decimal, hashlib, locale, sys, threading
from pathlib import Path

locale.setlocale(locale.LC_ALL, "")
sys.setrecursionlimit(300)
decimal.getcontext().prec = 3
sys.stdout = sys.stderr = None
import gradline
from gradline_export import export_package
from gradline_trainer import fit

def job():
    found = fit(sys.argv[1], ["apples", "oranges"], exclude="region")
    package = export_package(found, sys.argv[2])
    answer = gradline.load(package).predict([[73, 67, 43]]).tobytes()
    data = b"".join(file.read_bytes() for file in sorted(package.iterdir()))
    Path(sys.argv[2], "found").write_text(hashlib.sha256(data + answer).hexdigest())

async def in_a_loop():
    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.01)

asyncio.run(in_a_loop())
"""


def test_the_process_and_its_environment_change_no_byte(tmp_path: Path) -> None:
    table = Path(__file__).parents[1] / "examples" / "orchard.csv"
    hostile = {
        "PYTHONHASHSEED": "77", "PYTHONWARNINGS": "error", "PYTHONINTMAXSTRDIGITS": "640",
        "TZ": "Asia/Kathmandu", "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    found = []
    for place, environment, flags in (("plain", {}, []), ("hostile", hostile, ["-O"])):
        (tmp_path / place).mkdir()
        command = [sys.executable, *flags, "-c", PROCESS, str(table), str(tmp_path / place)]
        done = subprocess.run(
            command, env=os.environ | environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        found.append((tmp_path / place / "found").read_text())
    assert found[0] == found[1]
