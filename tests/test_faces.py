"""The public names: what the three faces export is what docs/python.md documents."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from types import ModuleType

import pytest

import gradline
import gradline_export
import gradline_trainer
from hosts import ROOT
from pages import blocks

FACES = (gradline, gradline_trainer, gradline_export)
BY_NAME = {face.__name__: face for face in FACES}
PUBLIC = [(face, name) for face in FACES for name in face.__all__]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]


def sections(text: str, mark: str) -> dict[str, str]:
    """Return the text below each heading of one rank."""
    parts = re.split(rf"^{mark} (.*)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def sources() -> dict[str, str]:
    """Return the Python code in README, docs and examples by its place."""
    found = {
        str(block): block.text for p in PAGES for block in blocks(p) if block.language == "python"
    }
    paths = [p for p in (ROOT / "examples").rglob("*.py") if "node_modules" not in p.parts]
    return found | {str(path.relative_to(ROOT)): path.read_text() for path in paths}


@pytest.mark.parametrize("face", FACES, ids=BY_NAME)
def test_each_public_name_is_documented_with_an_example(face: ModuleType) -> None:
    section = sections((ROOT / "docs" / "python.md").read_text(), "##")[face.__name__]
    documented = sections(section, "###")
    assert sorted(documented) == sorted(face.__all__)
    for name, text in documented.items():
        example = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        assert any(re.search(rf"\b{name}\b|\bmodel\.", code) for code in example), name


@pytest.mark.parametrize(("face", "name"), PUBLIC, ids=[name for _, name in PUBLIC])
def test_each_public_name_has_a_docstring(face: ModuleType, name: str) -> None:
    assert name in dir(face)
    assert inspect.getdoc(getattr(face, name))
    assert getattr(face, name).__doc__, "an inherited docstring"


def test_the_lazy_faces_show_their_names_before_they_are_imported() -> None:
    assert {"Fit", "LinearRegression", "fit"} <= set(dir(gradline_trainer))
    assert "export_package" in dir(gradline_export)
    assert {"Model", "app", "load"} <= set(dir(gradline))
    for face in FACES:
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = face.nothing


def test_documents_and_examples_import_only_public_names() -> None:
    for place, code in sources().items():
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gradline"):
                assert node.module in BY_NAME, f"{place}: from {node.module} import …"
                names = {alias.name for alias in node.names}
                assert names <= set(BY_NAME[node.module].__all__), f"{place}: {names}"
            if isinstance(node, ast.Import):
                ours = {a.name for a in node.names if a.name.startswith("gradline")}
                assert ours <= set(BY_NAME), f"{place}: import {ours}"


# Which module is imported first

EACH_FIRST = """
import gc
import sys
from importlib import import_module
for library in "numpy torch polars onnx onnxruntime scipy.stats sklearn.base msgspec".split():
    import_module(library)
gc.freeze()  # else each collection looks at all of PyTorch
for name in sys.stdin.read().split():
    for loaded in [loaded for loaded in sys.modules if loaded.startswith("gradline")]:
        del sys.modules[loaded]
    try:
        import_module(name)
    except Exception as error:
        print(f"{name}: {error!r}")
"""


def test_every_package_can_be_the_first_of_ours_that_is_imported() -> None:
    """An import circle can fail for one order of imports and work for another.

    A module is imported after the packages that it is in, and import-linter finds circles among
    modules, so each package is tried.
    """
    names = [
        found.name
        for face in FACES
        for found in pkgutil.walk_packages(face.__path__, f"{face.__name__}.")
        if found.ispkg
    ]
    assert len(names) > 20
    done = subprocess.run(
        [sys.executable, "-c", EACH_FIRST], input=" ".join(names), capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
