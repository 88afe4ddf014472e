"""Loading and serving tell nobody: ONNX Runtime's telemetry is off before it can start."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradline.package.onnx_runtime import import_onnxruntime

ROOT = Path(__file__).parents[1]
WINGS = ("runtime/gradline", "trainer/gradline_trainer", "export/gradline_export")
THE_PLACE = ROOT / "runtime" / "gradline" / "package" / "onnx_runtime.py"
LOADED = """
import os, sys
import gradline
model = gradline.load(sys.argv[1])
if os.environ["FORKED"] and os.fork() == 0:
    model.predict([[73, 67, 43]])
    sys.exit(3)  # with all that is done at an exit
if os.environ["FORKED"]:
    print(os.waitstatus_to_exitcode(os.wait()[1]))
sockets = 0
if os.path.isdir("/proc/self/fd"):
    sockets = sum(os.path.islink(p) and os.readlink(p).startswith("socket")
                  for p in map("/proc/self/fd/{}".format, os.listdir("/proc/self/fd")))
print("sockets", sockets)
"""


def load_in(home: Path, package: Path, forked: str = "", **environment: str) -> str:
    """Return what a process prints that loads a package, with an empty home and not in CI."""
    ci = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    kept = {name: value for name, value in os.environ.items() if name not in ci}
    surroundings = kept | {"HOME": str(home), "FORKED": forked} | environment
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", LOADED, str(package)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=surroundings, timeout=30
    )
    assert done.stderr == ""
    return done.stdout


def test_loading_writes_nothing_below_the_home_and_opens_no_socket(
    orchard_package: Path, tmp_path: Path
) -> None:
    assert load_in(tmp_path, orchard_package) == "sockets 0\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_predicts_and_ends(orchard_package: Path, tmp_path: Path) -> None:
    assert load_in(tmp_path, orchard_package, "yes") == "3\nsockets 0\n"


def test_what_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the modules that are imported at run time, at the top of a file or further in."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield node.module or ""
    if isinstance(node, ast.Call) and "import" in ast.unparse(node.func) and node.args:
        yield ast.unparse(node.args[0]).strip("'\"")
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


def test_onnxruntime_is_imported_at_one_place() -> None:
    files = [file for wing in WINGS for file in sorted((ROOT / wing).rglob("*.py"))]
    found = [
        file
        for file in files
        for name in imports(ast.parse(file.read_text("utf-8")))
        if name.partition(".")[0] == "onnxruntime"
    ]
    assert found == [THE_PLACE]
