"""What an editor knows: the names and types of the options of `fit`, and what comes back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Literal, get_args, get_type_hints

import pytest

from gradline_trainer.options import ROBUST_KINDS, Options, TrainingOptions, accepted
from hosts import ROOT

WINGS = ":".join(str(ROOT / wing) for wing in ("runtime", "trainer", "export"))
RIGHT = """
from pathlib import Path
from typing import assert_type

import numpy as np
from gradline import Prediction
from gradline_trainer import Fit, fit

X = np.ones((3, 2))
found = fit(X, X[:, 0], ridge="auto", folds=5, missing="mean", robust=None, bias=False)
assert_type(fit("sales.csv", "revenue", exclude=["id"], epochs=3, robust=True), Fit)
assert_type(found.predict(X, intervals=0.9), Prediction)
assert_type(found.export("artifacts", name="sales"), Path)
assert_type(found.history, list[float])
"""
WRONG = {
    'fit("sales.csv", "revenue", rigde=1.0)': "rigde",
    'fit("sales.csv", "revenue", missing="ignore")': "ignore",
    'fit("sales.csv", "revenue", robust="HC9")': "HC9",
    'fit("sales.csv", "revenue", epochs="many")': "epochs",
    'fit("sales.csv", "revenue", engine="spark")': "engine",
    'fit("sales.csv", "revenue").export(nmae="sales")': "nmae",
}


def test_the_types_for_editors_are_those_of_the_options() -> None:
    known, declared = get_type_hints(TrainingOptions), get_type_hints(Options)
    assert list(known) == [field.name for field in fields(Options)]
    robust = Literal["HC0", "HC1", "HC2", "HC3", True] | None
    assert known == declared | {"robust": robust}
    assert set(ROBUST_KINDS) == {word for word in get_args(get_args(robust)[0]) if word is not True}


@pytest.mark.parametrize("name", [n for n, v in accepted().items() if v.words and not v.number])
def test_the_words_of_an_option_are_its_literals(name: str) -> None:
    assert get_args(get_type_hints(TrainingOptions)[name]) == accepted()[name].words


def written(folder: Path) -> tuple[Path, Path]:
    right, wrong = folder / "right.py", folder / "wrong.py"
    right.write_text(RIGHT)
    wrong.write_text("\n".join(["from gradline_trainer import fit", *WRONG]) + "\n")
    return right, wrong


def check(output: str) -> None:
    """Each wrong line has its message, and no other line has one."""
    lines = [line for line in output.splitlines() if "error" in line and ".py:" in line]
    assert len(lines) == len(WRONG), output
    for number, word in enumerate(WRONG.values(), 2):
        assert any(f"wrong.py:{number}:" in line and word in line for line in lines), output


@pytest.mark.slow
def test_pyright_takes_right_keywords_and_names_wrong_ones(tmp_path: Path) -> None:
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text(f'{{"extraPaths": {WINGS.split(":")!r}}}'.replace("'", '"'))
    command = [sys.executable, "-m", "pyright", "-p", settings, "--pythonpath", sys.executable]
    written(tmp_path)
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    check(found.stdout)


@pytest.mark.slow
def test_mypy_takes_right_keywords_and_names_wrong_ones(tmp_path: Path) -> None:
    options = ["--config-file", ROOT / "pyproject.toml", "--no-error-summary"]
    found = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *written(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    check(found.stdout)
