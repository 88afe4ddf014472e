"""examples/ with pipeline.onnx alone: a table's columns in, answers out."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import pytest

from cafe_package import answer, cafe_package
from hosts import HOSTS, Run, need, npm, old_onnxruntime, python

pytestmark = pytest.mark.slow

PIPELINE_HOSTS = {
    "onnxruntime": functools.partial(python, "with_pipeline.py"),
    "old onnxruntime": functools.partial(old_onnxruntime, "with_pipeline.py"),
    "node": HOSTS["node"],
}


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Run:
    return PIPELINE_HOSTS[request.param]()


@pytest.mark.parametrize("run", PIPELINE_HOSTS, indirect=True)
def test_raw_golden_rows_are_answered_within_their_bounds(run: Run, tmp_path: Path) -> None:
    ended = run(cafe_package(tmp_path / "1"))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "cafes: 6 raw golden rows, at most 0% of the bound\n"


@pytest.mark.parametrize("run", PIPELINE_HOSTS, indirect=True)
def test_a_raw_golden_row_off_by_twice_its_bound_is_named(run: Run, tmp_path: Path) -> None:
    package = cafe_package(tmp_path / "1")
    golden = json.loads((package / "golden.json").read_text())
    golden["raw"]["outputs"][3][0] += 2 * golden["raw"]["bounds"][3][0]
    (package / "golden.json").write_text(json.dumps(golden))
    ended = run(package)
    assert ended.returncode == 1
    assert ended.stderr.startswith("golden row 3, target revenue: the answer "), ended.stderr


@pytest.mark.parametrize("run", PIPELINE_HOSTS, indirect=True)
@pytest.mark.parametrize(("row", "output"), [(4, 1.0), (0, None)])
def test_a_row_with_an_answer_is_not_one_without(
    row: int, output: float | None, run: Run, tmp_path: Path
) -> None:
    package = cafe_package(tmp_path / "1")
    golden = json.loads((package / "golden.json").read_text())
    golden["raw"]["outputs"][row][0] = output
    (package / "golden.json").write_text(json.dumps(golden))
    ended = run(package)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"golden row {row}, target revenue: the answer "), ended.stderr


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"size": 71.5, "region": "north", "opened": "2024-03-09"}, (71.5, "north", 1709942400)),
        ({"size": None, "region": " east ", "opened": "1969-12-31"}, (None, "east", -86400)),
        ({"opened": "2024-03-09T00:01Z"}, (None, None, 1709942460)),
        ({"size": 1, "region": "west", "opened": "2024-03-09"}, (1, "west", 1709942400)),
        ({"size": 1, "region": "east"}, (1, "east", None)),
    ],
)
def test_a_row_of_any_kind_in_node(
    row: dict[str, object], expected: tuple[float | None, str | None, int | None], tmp_path: Path
) -> None:
    package = cafe_package(tmp_path / "1")
    script = _with_modules("with_pipeline.mjs", tmp_path)
    command = [need("node"), script, package / "pipeline.onnx", json.dumps(row)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    number = answer(*expected)
    if number == number:
        assert float(said.strip("[ ]\n")) == pytest.approx(number, rel=1e-6)
    else:
        assert said == "[ NaN ]\n"


def _with_modules(name: str, folder: Path) -> Path:
    """Copy a script of examples/node to where it finds its modules."""
    script = folder / name
    script.write_text((Path(__file__).parent.parent / "examples" / "node" / name).read_text())
    (folder / "node_modules").symlink_to(npm("node") / "node_modules")
    return script
