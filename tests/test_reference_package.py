"""artifacts/orchard/1, the package that comes with the sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradline import load
from gradline.package.reading import check_files, read_package
from gradline_export.freeze.freezing import freeze
from gradline_trainer import Fit

REFERENCE = Path(__file__).parent.parent / "artifacts" / "orchard" / "1"


def test_it_verifies_and_predicts() -> None:
    assert "report.html" in check_files(read_package(REFERENCE))
    answers = load(REFERENCE).predict([[73, 67, 43], [102, 43, 37]])
    np.testing.assert_allclose(answers, [[56.9, 69.9], [21.1, 37.1]], atol=0.05)


@pytest.mark.parametrize("file", ["model.onnx", "model.pt", "golden.json"])
def test_training_again_gives_its_very_bytes(orchard_fit: Fit, file: str) -> None:
    frozen = freeze(orchard_fit, "orchard")
    assert frozen.files[file] == (REFERENCE / file).read_bytes()
