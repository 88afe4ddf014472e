"""What several test files share."""

from __future__ import annotations

import functools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # one of as many processes as there are cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from gradline.cli import main
from gradline_export import export_package
from gradline_trainer import Fit, fit
from gradline_trainer.orchard import TARGETS, orchard
from hosts import lock
from outcomes import Outcome, Run

# On a developer's machine hypothesis looks elsewhere each time; CI must say the same twice. How
# long an example takes depends on what else the machine does.
settings.register_profile("gradline", derandomize=bool(os.environ.get("CI")), deadline=None)
settings.load_profile("gradline")

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # for tests that import ONNX Runtime

# A shell's background job ignores interrupts, and so would every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def alone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Run a test that is marked `alone` while no other worker runs one."""
    marked = request.node.get_closest_marker("alone") is not None
    with lock(tmp_path_factory.getbasetemp().parent / "alone.lock", shared=not marked):
        yield


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Undoes what a command ends with: it ignores interrupts, and so would pytest from then on."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="session")
def orchard_fit() -> Fit:
    return fit(orchard(), TARGETS)


@pytest.fixture(scope="session")
def orchard_package(orchard_fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version directory artifacts/orchard/1: copy it to change it."""
    return export_package(orchard_fit, tmp_path_factory.mktemp("artifacts"), "orchard")


@pytest.fixture(scope="session")
def package_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the orchard's package of a dtype, with model.pt2; float32 is orchard/1 and that."""

    @functools.cache
    def make(dtype: str) -> Path:
        learned = fit(orchard(), TARGETS, dtype=dtype)
        root = tmp_path_factory.mktemp(dtype)
        package = export_package(learned, root, "orchard", torch_export=True)
        if dtype == "float32":
            reference = Path(__file__).parent.parent / "artifacts" / "orchard" / "1"
            shutil.copytree(reference, package, dirs_exist_ok=True)
        return package

    return make


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return call
