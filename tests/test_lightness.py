"""The runtime is light: what it imports, what it installs, and what it says of the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from gradline.commands.group import COMMANDS

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch", "onnx", "polars", "pandas", "pyarrow", "rich", "scipy", "jinja2",
    "gradline_trainer", "gradline_export",
}  # fmt: skip
LOADED = """
import sys
before = set(sys.modules)
{statements}
names = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(names - set(sys.stdlib_module_names)))
"""
RUN = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
from gradline.cli import main
main({arguments!r})
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def imported_by(statements: str, *arguments: str) -> set[str]:
    """Return the packages beyond the standard library that a fresh interpreter imports."""
    result = python(LOADED.format(statements=statements), *arguments)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.splitlines()[-1].split())


def gradline_without(blocked: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return how the `gradline` command ends where these modules are not installed."""
    return python(RUN.format(blocked=blocked, arguments=arguments))


# What is imported


def test_import_gradline_imports_numpy_and_nothing_else() -> None:
    assert imported_by("import gradline") <= {"gradline", "numpy"}


def test_a_prediction_imports_numpy_and_onnxruntime_and_nothing_else(
    orchard_package: Path,
) -> None:
    statements = """
import gradline
model = gradline.load(sys.argv[1])
model.predict([[73, 67, 43]])
model.predict(dict.fromkeys(model.features, [1.0]))
"""
    assert imported_by(statements, str(orchard_package)) == {"gradline", "numpy", "onnxruntime"}


@pytest.mark.parametrize("face", ["gradline_trainer", "gradline_export"])
def test_the_faces_of_the_wings_wait_with_their_imports(face: str) -> None:
    assert imported_by(f"import {face}") <= {"gradline", "numpy", face}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)],
    ids=" ".join,
)
def test_help_needs_nothing_heavy(arguments: list[str]) -> None:
    statements = f"""
from gradline.cli import main
try:
    main({arguments})
except SystemExit as end:
    assert end.code == 0
"""
    allowed = {"gradline", "gradline_trainer", "gradline_export", "click", "numpy"}
    assert imported_by(statements) <= allowed


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_looking_at_a_package_needs_nothing_heavy(command: str, orchard_package: Path) -> None:
    result = gradline_without(sorted(HEAVY), command, str(orchard_package))
    assert result.returncode == 0, result.stderr
    assert "orchard version 1" in result.stdout


# What is said where an extra is missing


@pytest.mark.parametrize(
    ("missing", "extra"),
    [("torch", "train"), ("onnx", "train"), ("scipy", "train"), ("gradline_trainer", "train")],
)
def test_training_without_its_extra_ends_with_the_line_that_installs_it(
    missing: str, extra: str, tmp_path: Path
) -> None:
    arguments = ["train-and-export", "--output", str(tmp_path / "artifacts")]
    result = gradline_without([missing], *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"Error: this needs the module {missing!r}, which is not installed\n"
        f'  in the folder of gradline\'s sources: pip install ".[{extra}]"\n'
    )
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.parametrize(("missing", "extra"), [("torch", "train"), ("onnx", "train")])
def test_a_missing_extra_is_one_json_object_where_json_was_asked_for(
    missing: str, extra: str, tmp_path: Path
) -> None:
    arguments = ["train-and-export", "--json", "--output", str(tmp_path)]
    result = gradline_without([missing], *arguments)
    assert result.returncode == 2
    assert json.loads(result.stderr) == {
        "error": "missing-extra",
        "message": f"this needs the module {missing!r}, which is not installed",
        "hint": f'in the folder of gradline\'s sources: pip install ".[{extra}]"',
    }


def test_tables_without_their_extra_end_with_the_line_that_installs_it(
    orchard_package: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n2,3\n")
    for arguments in (
        ["predict", str(orchard_package), str(ROOT / "examples" / "orchard.csv")],
        ["train-and-export", str(table), "-t", "b", "-o", str(tmp_path / "artifacts")],
    ):
        result = gradline_without(["polars"], *arguments)
        assert result.returncode == 2
        assert "this needs the module 'polars'" in result.stderr
        assert 'pip install ".[tables]"' in result.stderr
    assert not (tmp_path / "artifacts").exists()


def test_the_library_says_the_same() -> None:
    code = """
import sys
sys.modules["torch"] = None
import gradline
for face, name in (("gradline_trainer", "fit"), ("gradline_export", "export_package")):
    try:
        getattr(__import__(face), name)
    except gradline.MissingExtraError as error:
        print(error.code, error.exit_code, error.hint)
"""
    result = python(code)
    line = 'missing-extra 2 in the folder of gradline\'s sources: pip install ".[train]"'
    assert result.stdout.splitlines() == [line] * 2


# What is installed


@pytest.mark.slow
def test_the_wheel_alone_installs_light_and_predicts(orchard_package: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("gradline-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    info = next(top for top in tops if top.endswith(".dist-info"))
    assert tops == {"gradline", "gradline_trainer", "gradline_export", info}
    for package in sorted(tops - {info}):
        assert f"{package}/py.typed" in names

    venv.create(tmp_path / "light", with_pip=True)
    binaries = tmp_path / "light" / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check"]
    pinned = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "install", "--quiet", *pinned, str(wheel)], check=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True)
    installed = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert {"gradline", "numpy", "onnxruntime", "click"} <= installed
    assert not HEAVY & installed

    code = "import gradline, sys; print(gradline.load(sys.argv[1]).predict([[73, 67, 43]]).shape)"
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    predicted = subprocess.run(
        [str(binaries / "python"), "-c", code, str(orchard_package)],
        check=True, capture_output=True, text=True, cwd=tmp_path, env=surroundings,
    )  # fmt: skip
    assert predicted.stdout == "(1, 2)\n"

    for command in (
        ["gradline", "verify", str(orchard_package)],
        ["gradline", "--help"],
        ["train-and-export", "--help"],
    ):
        subprocess.run(
            [str(binaries / command[0]), *command[1:]],
            check=True,
            capture_output=True,
            cwd=tmp_path,
        )
    refused = subprocess.run(
        [str(binaries / "train-and-export")],
        check=False, capture_output=True, text=True, cwd=tmp_path, env=surroundings,
    )  # fmt: skip
    assert refused.returncode == 2
    assert 'pip install ".[train]"' in refused.stderr
    assert not (tmp_path / "artifacts").exists()
