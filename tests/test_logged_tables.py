"""Logged targets of tables with terms: whatever chose them, the package is of format 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gradline import load
from gradline_export import export_package
from gradline_trainer import Fit, fit, load_moments, save_moments


def table(n: int = 300) -> pl.DataFrame:
    """Make a table whose names and levels need backquotes in terms."""
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=n), rng.choice(["a, b", "c:d", "10", "2"], n)
    rooms = rng.choice([2, 3, 10], n)
    z = 1 + 0.5 * x + 0.2 * (kind == "10") + 0.1 * rooms + 0.1 * rng.normal(size=n)
    return pl.DataFrame({"x (m)": x, "kind": kind, "rooms": rooms, "y": np.exp(z)})


def checked(found: Fit, folder: Path) -> dict[str, Any]:
    """Publish a fit, and check what every package of a logged target has; return its manifest."""
    path = export_package(found, folder, "prices", report=False)
    manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text())
    assert manifest["format"] == 2
    assert {"columns", "terms", "target_functions"} <= manifest["schema"].keys()
    assert "pipeline.onnx" in manifest["files"]
    for column in manifest["schema"]["columns"]:
        standard = {"NA", "N/A", *(["?"] if column["kind"] == "number" else [])}
        assert standard <= set(column["null"])
    answers = load(path).predict(table())
    assert (answers == load(path / "model.onnx").predict(table())).all()
    total = table()["y"].sum()
    from_rows = manifest["schema"]["target_functions"][0]["scale_from"] == "rows"
    assert answers.astype(float).sum() == pytest.approx(total, rel=1e-6 if from_rows else 0.01)
    return manifest


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"features": ["x (m)", "`x (m)`^2", "kind", "`x (m)`:kind"]},
        {"strict": True},
        {"strict": True, "one_hot": ["kind", "rooms"]},
        {"one_hot": ["kind", "rooms"]},
        {"features": "x (m)", "missing": "mean"},
        {"ridge": "auto"},
        {"holdout": 0.2},
    ],
)
def test_each_way_to_choose_terms_gives_format_2(tmp_path: Path, options: dict[str, Any]) -> None:
    found = fit(table(), "log(y)", **options)
    if "holdout" in options:
        assert export_package(found, tmp_path, "prices", report=False).is_dir()
        return
    manifest = checked(found, tmp_path)
    validated = manifest["metrics"]["cross_validated"]["y"]
    assert (validated["rmse"], validated["mae"], validated["r2"]) == (None, None, None)
    assert 0.5 < validated["r2_log"] < 1


def test_one_more_text_that_means_missing_is_recorded(tmp_path: Path) -> None:
    found = fit(table(), "log(y)", "x (m)", null=["none given"])
    (column,) = checked(found, tmp_path)["schema"]["columns"]
    assert "none given" in column["null"]


@pytest.mark.parametrize("target", ["log(y)", "y"])
def test_a_package_is_followed_in_its_logarithm(tmp_path: Path, target: str) -> None:
    first = fit(table(), target, ["x (m)", "rooms"], one_hot="rooms")
    path = export_package(first, tmp_path / "first", "first", report=False)
    found = fit(table(), None if target == "log(y)" else "log(y)", like=path)
    checked(found, tmp_path)
    assert found.features == first.features
    assert found.columns.functions == ("log",)


@pytest.mark.parametrize("options", [{"strict": True, "one_hot": "kind"}, {}])
def test_moments_keep_terms(tmp_path: Path, options: dict[str, Any]) -> None:
    rows = fit(table(), "log(y)", **options, keep_moments=True, arithmetic="fast")
    save_moments(rows, tmp_path / "m")
    assert (tmp_path / "m").read_bytes().startswith(b"gradline moments 2\n")
    found = fit(load_moments(tmp_path / "m"))
    assert found.columns.plan == rows.columns.plan
    # The saved sums are of all levels, so their last bits may differ.
    np.testing.assert_allclose(found.weights, rows.weights, rtol=1e-12)
    checked(found, tmp_path)


def test_columns_of_moments_with_terms_are_chosen(tmp_path: Path) -> None:
    wanted = ["x (m)", "kind", "`x (m)`^2", "rooms"]
    rows = fit(table(), "log(y)", wanted, keep_moments=True, arithmetic="fast")
    save_moments(rows, tmp_path / "m")
    for chosen in (["rooms", "x (m)"], ["rooms", "x (m)", "`x (m)`^2"]):
        found = fit(load_moments(tmp_path / "m"), features=chosen)
        assert found.features == chosen
        direct = fit(table(), "log(y)", chosen, arithmetic="fast")
        np.testing.assert_allclose(found.weights, direct.weights, rtol=1e-9)
