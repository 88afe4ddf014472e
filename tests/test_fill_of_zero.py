"""A fill value of 0.0, which Python takes for False, is kept wherever a column is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gradline
from gradline.columns.kinds import Column, dump_column, load_column
from gradline_export import export_package
from gradline_trainer import fit


@pytest.mark.parametrize("fill", [0.0, -0.0, 1.0, None])
def test_a_column_is_read_as_it_was_written(fill: float | None) -> None:
    column = Column("x", fill=fill)
    assert repr(load_column(dump_column(column)).fill) == repr(fill)


@pytest.mark.filterwarnings("ignore::gradline.GradlineWarning")
def test_a_training_mean_of_exactly_0_fills(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x: list[Any] = [-1.0, 1.0] * 20 + [None] * 12
    y = random.normal(size=52)
    fitted = fit(pl.DataFrame({"x": x, "s": ["a", "b", "c", "c"] * 13, "y": y}), "y")
    assert fitted.moments.mean[fitted.features.index("x")] == 0.0
    model = gradline.load(fitted.export(tmp_path))
    rows = {"x": [None, 0.0], "s": ["a", "a"]}
    filled, given = model.predict(rows)[:, 0]
    marked = model.coefficients["y"]["x is missing"]
    assert filled == pytest.approx(given + marked, rel=1e-12)


@pytest.mark.filterwarnings("ignore::gradline.GradlineWarning")
def test_a_pipeline_that_fills_with_0_is_packaged_so(tmp_path: Path) -> None:
    x = np.array([[1.0, 2.0], [np.nan, 1.0], [3.0, np.nan], [4.0, 7.0], [5.0, 1.0]])
    filling = SimpleImputer(strategy="constant", fill_value=0.0, add_indicator=True)
    pipeline = make_pipeline(filling, StandardScaler(), LinearRegression()).fit(x, x[:, 0] > 3)
    model = gradline.load(export_package(pipeline, tmp_path, "m"))
    answers = model.predict({"x0": x[:, 0], "x1": x[:, 1]})[:, 0]
    assert np.allclose(answers, pipeline.predict(x), rtol=1e-12)
