"""A package takes no more memory than its schema can need, whatever its manifest announces."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import gradline
from gradline.commands.group import run
from gradline.package.files import BARE_LIMIT, file_limit
from gradline.package.reading import check_files, read_package
from gradline_export import export_package
from gradline_trainer import fit
from hostile.case import sealed

HUGE = 3 << 29  # 1.5 GiB, of which the disk holds nothing
FEW = 8 << 20


@pytest.fixture
def package(orchard_package: Path, tmp_path: Path) -> Path:
    """A copy of artifacts/orchard/1, to be forged."""
    return Path(shutil.copytree(orchard_package, tmp_path / "orchard" / "1"))


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """The most bytes that Python has held since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def announce(package: Path, name: str, size: int) -> None:
    """Make a file as long as that, and have the manifest say so."""
    path = package / "manifest.json"
    document = json.loads(path.read_bytes())
    del document["seal"]
    document["files"][name] = {"sha256": "0" * 64, "bytes": size}
    path.write_bytes(sealed(json.dumps(document, indent=1)))
    os.truncate(package / name, size)


@pytest.mark.parametrize("name", ["model.onnx", "golden.json", "model.pt", "report.html"])
def test_a_file_longer_than_the_schema_can_need_is_refused_unread(
    name: str, package: Path, peak: Callable[[], int]
) -> None:
    announce(package, name, HUGE)
    with pytest.raises(gradline.PackageError) as caught:
        check_files(read_package(package))
    schema = json.loads((package / "manifest.json").read_bytes())["schema"]
    limit = file_limit(name, schema)
    assert str(caught.value) == f"{name} is larger than the limit of {limit} bytes"
    for command in (["verify"], ["sign", "--key", "none.pem"]):
        assert run([*command, str(package)]) == 1
    assert limit <= 20 << 20
    assert peak() < FEW


@pytest.mark.parametrize("command", ["inspect", "diff", "predict", "serve"])
def test_every_command_refuses_it_unread(
    command: str, package: Path, peak: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"diff": [str(package)], "predict": ["t.csv"]}
    for name in ("golden.json", "model.onnx"):
        announce(package, name, HUGE)
        assert run([command, str(package), *more.get(command, [])]) == 1
        assert f"{name} is larger than the limit" in capsys.readouterr().err
    assert peak() < FEW


@pytest.mark.parametrize("size", [HUGE, 1 << 36])
def test_a_manifest_and_a_bare_graph_have_limits_too(
    size: int, package: Path, peak: Callable[[], int]
) -> None:
    os.truncate(package / "model.onnx", size)
    with pytest.raises(gradline.PackageError) as caught:
        gradline.load(package / "model.onnx")
    assert str(caught.value) == f"model.onnx is larger than the limit of {BARE_LIMIT} bytes"
    assert caught.value.hint == "load the package that it belongs to: its manifest sets the limit"
    os.truncate(package / "manifest.json", size)
    with pytest.raises(gradline.PackageError, match=r"manifest\.json is larger than the limit"):
        gradline.load(package)
    assert peak() < FEW


@pytest.mark.parametrize(
    ("d", "k", "name"),
    [(1, 1, "x"), (60, 3, "\N{RED APPLE}" * 9), (2, 40, '"\n')],
)
def test_no_package_that_is_published_is_above_its_limits(
    d: int, k: int, name: str, tmp_path: Path
) -> None:
    chance = np.random.default_rng(0)
    X, Y = chance.normal(size=(d + 9, d)), chance.normal(size=(d + 9, k)) * 1e-30
    features, targets = ([f"{name}{kind}{j}" for j in range(n)] for kind, n in (("x", d), ("y", k)))
    learned = fit((X, Y), targets, features=features, dtype="float64", arithmetic="fast")
    path = export_package(learned, tmp_path, "m", intervals=True)
    schema = json.loads((path / "manifest.json").read_bytes())["schema"]
    for file in check_files(read_package(path)):
        assert (path / file).stat().st_size < file_limit(file, schema)
