"""The programs in examples/ as the tests run them, what they need installed once into .cache/."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
import pytest

__all__ = [
    "EXAMPLES",
    "HOSTS",
    "REFERENCE",
    "Run",
    "call",
    "installed",
    "lock",
    "need",
    "npm",
    "old_onnxruntime",
    "python",
    "with_moved_row",
    "with_nan",
]

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
REFERENCE = ROOT / "artifacts" / "orchard" / "1"
Run = Callable[[Path], "subprocess.CompletedProcess[str]"]  # a version directory to how it ended

OPENVINO = ["openvino==2026.4.1", "openvino-telemetry==2025.2.0"]
# The oldest with wheels for Python 3.11; it was built against NumPy 1.
OLD_ONNXRUNTIME = ["onnxruntime==1.15.0", "numpy==1.26.4"]

CONSTRAINED = ["--constraint", str(ROOT / "constraints.txt")]

# Runs a script as `python SCRIPT PACKAGE` would, in an interpreter that can't import gradline.
ALONE = """
import runpy, sys
from pathlib import Path
for name in ("gradline", "gradline_trainer", "gradline_export"):
    sys.modules[name] = None
del sys.argv[0]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def unavailable(reason: str) -> NoReturn:
    """Skips the test; in CI, where every host must be there, it fails."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def need(command: str) -> str:
    """Return where a command of the system is."""
    return shutil.which(command) or unavailable(f"needs the command {command!r}")


def installed(name: str, pins: str, install: Callable[[Path], object]) -> Path:
    """Return a folder that `install` has filled, once for each text of pins."""
    folder = ROOT / ".cache" / f"{name}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(exist_ok=True)
    with lock(folder.with_suffix(".lock")):  # other processes run tests, too
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                install(folder)
            except subprocess.CalledProcessError as error:
                unavailable(f"{name} can't be installed: {error.stderr or error.stdout}")
            (folder / "installed").touch()
    return folder


@contextmanager
def lock(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a file's lock: alone, or with all others that share it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def call(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd)


def outcome(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def virtual_environment(name: str, *requirements: str) -> Path:
    """Return the folder of commands of an environment that holds these requirements."""

    def install(folder: Path) -> None:
        call(sys.executable, "-m", "venv", "--without-pip", folder)
        pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
        call(*pip, "install", "--quiet", "--only-binary=:all:", *requirements)

    return installed(name, " ".join(requirements), install) / "bin"


def npm(name: str, root: Path = EXAMPLES) -> Path:
    """Return a folder with the node_modules of the lock file in `root/name`."""
    example = root / name
    lock = (example / "package-lock.json").read_text()

    def install(folder: Path) -> None:
        for file in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(example / file, folder)
        call(need("npm"), "ci", "--ignore-scripts", cwd=folder)

    return installed(name, lock, install)


def python(script: str, interpreter: str | Path = sys.executable) -> Run:
    path = EXAMPLES / "python" / script
    return lambda package: outcome(interpreter, "-c", ALONE, path, package)


def openvino() -> Run:
    environment = virtual_environment("openvino", *OPENVINO, *CONSTRAINED)
    return python("with_openvino.py", environment / "python")


def old_onnxruntime(script: str = "with_onnxruntime.py") -> Run:
    environment = virtual_environment("old", "--no-deps", *OLD_ONNXRUNTIME)
    return python(script, environment / "python")


def node() -> Run:
    folder = npm("node")
    script = folder / "with_onnxruntime.mjs"
    copy = shutil.copy(EXAMPLES / "node" / script.name, folder / f"{os.getpid()}.mjs")
    os.replace(copy, script)  # another process may run it
    command = [need("node"), script]
    return lambda package: outcome(*command, package)


def c() -> Run:
    requirements = (EXAMPLES / "c" / "requirements.txt").read_text().split()
    generator = virtual_environment("c", *requirements, *CONSTRAINED) / "emx-onnx-cgen"
    compiler = need("cc")

    def run(package: Path) -> subprocess.CompletedProcess[str]:
        real = "double" if '"float64"' in (package / "golden.json").read_text() else "float"
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copy(EXAMPLES / "c" / "main.c", folder)
            source = [package / "model.onnx", "model.c", "--large-weight-threshold", "0"]
            call(generator, "compile", *source, cwd=folder)
            flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", f"-DREAL={real}"]
            call(compiler, *flags, "main.c", "-lm", "-o", "golden", cwd=folder)
            return outcome(folder / "golden", package / "golden.json")

    return run


HOSTS: dict[str, Callable[[], Run]] = {
    "onnxruntime": functools.partial(python, "with_onnxruntime.py"),
    "old onnxruntime": old_onnxruntime,
    "torchscript": functools.partial(python, "with_torchscript.py"),
    "torch.export": functools.partial(python, "with_torch_export.py"),
    "onnx reference": functools.partial(python, "with_onnx_reference.py"),
    "openvino": openvino,
    "node": node,
    "c": c,
}


def with_moved_row(package: Path) -> Path:
    """Move an output of a package's golden row 7 by twice its bound."""
    golden = json.loads((package / "golden.json").read_text())
    golden["outputs"][7][1] += 2 * golden["bounds"][7][1]
    (package / "golden.json").write_text(json.dumps(golden))
    return package


def with_nan(package: Path) -> Path:
    """Make the second target's bias in model.onnx a NaN."""
    model = onnx.load(package / "model.onnx")
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name == "b")
    values = onnx.numpy_helper.to_array(bias).copy()
    values[1] = np.nan
    bias.CopyFrom(onnx.numpy_helper.from_array(values, "b"))
    onnx.save(model, package / "model.onnx")
    return package
