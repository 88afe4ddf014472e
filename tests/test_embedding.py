"""Engines of every kind answer a package's golden rows within their bounds, without gradline."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gradline_export import export_package
from gradline_trainer import fit
from gradline_trainer.orchard import TARGETS, orchard
from hosts import EXAMPLES, HOSTS, REFERENCE, Run, with_moved_row, with_nan

pytestmark = pytest.mark.slow

FILES = {"torchscript": "model.pt", "torch.export": "model.pt2"}  # the others read model.onnx
VERDICT = re.compile(r"(?:orchard: )?64 golden rows, at most (\d+)% of the bound\n")


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    return HOSTS[request.param]()


@pytest.mark.parametrize("run", HOSTS, indirect=True)
def test_the_reference_package_is_answered_within_its_bounds(
    run: Run, package_of: Callable[[str], Path]
) -> None:
    ended = run(package_of("float32"))
    assert ended.returncode == 0, ended.stderr
    verdict = VERDICT.fullmatch(ended.stdout)
    assert verdict, ended.stdout
    assert 0 <= int(verdict[1]) <= 100


@pytest.mark.parametrize("run", [name for name in HOSTS if name != "openvino"], indirect=True)
def test_a_float64_package_is_answered_within_its_bounds(
    run: Run, package_of: Callable[[str], Path]
) -> None:
    ended = run(package_of("float64"))
    assert ended.returncode == 0, ended.stderr
    assert VERDICT.fullmatch(ended.stdout), ended.stdout


@pytest.mark.parametrize("run", ["openvino"], indirect=True)
def test_an_engine_that_takes_float64_for_float32_is_found_out(
    run: Run, package_of: Callable[[str], Path]
) -> None:
    ended = run(package_of("float64"))
    assert ended.returncode == 1
    assert ended.stderr.startswith("golden row ")


@pytest.mark.parametrize("run", HOSTS, indirect=True)
def test_a_golden_row_off_by_twice_its_bound_is_named(
    run: Run, package_of: Callable[[str], Path], tmp_path: Path
) -> None:
    ended = run(with_moved_row(shutil.copytree(package_of("float32"), tmp_path / "1")))
    assert ended.returncode == 1
    assert re.match(r"golden row 7, target (oranges|1): ", ended.stderr), ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("host", HOSTS)
def test_the_answers_are_those_of_the_packages_own_file(
    host: str, package_of: Callable[[str], Path], tmp_path: Path
) -> None:
    other = fit(orchard(), TARGETS, dtype="float32", ridge=1e-3)
    made = export_package(other, tmp_path, "orchard", torch_export=host == "torch.export")
    file = FILES.get(host, "model.onnx")
    package = shutil.copytree(package_of("float32"), tmp_path / "1")
    shutil.copy(made / file, package)
    ended = HOSTS[host]()(package)
    assert ended.returncode == 1
    assert ended.stderr.startswith("golden row ")


@pytest.mark.parametrize("run", ["onnxruntime", "node", "c"], indirect=True)
def test_a_nan_is_outside_every_bound(run: Run, tmp_path: Path) -> None:
    ended = run(with_nan(shutil.copytree(REFERENCE, tmp_path / "1")))
    assert ended.returncode == 1
    assert re.match(r"golden row 0, target (oranges|1): ", ended.stderr), ended.stderr


def test_inference_takes_less_than_twenty_lines() -> None:
    for script in (EXAMPLES / "python").glob("with_*.py"):
        assert len(script.read_text().splitlines()) < 20, script.name
