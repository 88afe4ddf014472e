"""A frame whose numbers are text: the model takes the very frame that it was learned from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gradline
from gradline_trainer import LinearRegression, fit

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=40).round(3)
COLUMNS: dict[str, Any] = {
    "size": [str(number) for number in NUMBERS],
    "price": 2 * NUMBERS + RANDOM.normal(size=40),
}
FORMS = [dict, pd.DataFrame, pl.DataFrame, pa.table]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [{}, {"features": ["size"]}, {"missing": "mean"}])
def test_a_model_takes_its_own_training_rows(
    form: Callable[[Any], Any], options: dict[str, Any], tmp_path: Path
) -> None:
    table = form(COLUMNS)
    fitted = fit(table, "price", **options)
    model = gradline.load(fitted.export(tmp_path, report=False))
    rows = form({"size": COLUMNS["size"]})
    expected = NUMBERS * fitted.weights.item() + fitted.bias.item()
    np.testing.assert_allclose(model.predict(rows)[:, 0], expected, rtol=1e-5)
    assert np.array_equal(model.predict(rows), fitted.predict(rows))
    assert np.array_equal(model.predict({"size": NUMBERS}), model.predict(rows))
    assert model.predict({"size": COLUMNS["size"][0]}) == model.predict(rows)[:1]


def test_so_does_the_package_of_an_estimator(tmp_path: Path) -> None:
    X = pd.DataFrame(COLUMNS)[["size"]]
    estimator = LinearRegression().fit(X, COLUMNS["price"])
    model = gradline.load(estimator.export(tmp_path, report=False))
    np.testing.assert_allclose(model.predict(X)[:, 0], estimator.predict(X), rtol=1e-5)


def test_a_text_file_gives_the_package_that_it_gave(tmp_path: Path) -> None:
    pd.DataFrame(COLUMNS | {"kind": list("abcd") * 10}).to_csv(tmp_path / "t.csv", index=False)
    assert fit(tmp_path / "t.csv", "price", ["size"]).columns.plan.format == 1
    assert fit(tmp_path / "t.csv", "price", exclude="kind").columns.plan.format == 1
