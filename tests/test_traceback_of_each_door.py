"""A traceback of each public function shows at most three of our frames, and its warnings our line.

See test_tracebacks for the decorator itself.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression as Reference
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

import gradline
from gradline_export import export_package, package_coefficients
from gradline_trainer import LinearRegression, fit, load_moments, save_moments

ROOT = Path(__file__).parent.parent
TABLE = pd.DataFrame({"size": [1.0, 2, 4, 7], "kind": list("aabb"), "price": [1.0, 2, 3, 5]})
X, Y = TABLE[["size", "kind"]], TABLE["price"]
FITTED = fit(X, Y, ["size", "kind"])
ESTIMATOR = LinearRegression().fit(X, Y)
TWINS = pd.DataFrame({"a": [1.0, 2, 4], "b": [2.0, 4, 8], "y": [1.0, 2, 5]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> gradline.Model:
    return gradline.load(FITTED.export(tmp_path_factory.mktemp("packages"), report=False))


DOORS: dict[str, Callable[[gradline.Model], Any]] = {
    "fit": lambda model: fit(TABLE, "cost"),
    "Fit.predict": lambda model: FITTED.predict([{"size": 1}]),
    "Fit.explain": lambda model: FITTED.explain([{"size": 1}]),
    "Fit.evaluate": lambda model: FITTED.evaluate({"size": [1]}),
    "Fit.export": lambda model: FITTED.export(name="a/b"),
    "Fit.summary": lambda model: FITTED.summary(95),
    "evaluate": lambda model: gradline.evaluate(model, {"size": [1]}),
    "load": lambda model: gradline.load("nowhere"),
    "Model.predict": lambda model: model.predict([{"size": 1}]),
    "Model.predict, intervals": lambda model: model.predict(X, intervals=95),
    "Model.predict, a level": lambda model: model.predict(
        X.assign(kind="c"), unknown_category="error"
    ),
    "Model.explain": lambda model: model.explain([{"size": 1}]),
    "LinearRegression.fit": lambda model: LinearRegression(terms=["log(size):q"]).fit(X, Y),
    "LinearRegression.predict": lambda model: ESTIMATOR.predict(X.assign(size="wide")),
    "LinearRegression.export": lambda model: (
        make_pipeline(RobustScaler(), LinearRegression()).fit(X[["size"]], Y)[-1].export()
    ),
    "export_package": lambda model: export_package(Reference()),
    "package_coefficients": lambda model: package_coefficients([1, 2], 0, ["a"], "y"),
    "load_moments": lambda model: load_moments("nowhere"),
    "save_moments": lambda model: save_moments(FITTED, "nowhere"),
}


@pytest.mark.parametrize("door", DOORS)
def test_at_most_three_frames_are_ours(door: str, model: gradline.Model) -> None:
    with pytest.raises(gradline.GradlineError) as caught:
        DOORS[door](model)
    files = [Path(f.filename) for f in traceback.extract_tb(caught.value.__traceback__)]
    wings = ("runtime", "trainer", "export")
    ours = [f for f in files if f.is_relative_to(ROOT) and f.relative_to(ROOT).parts[0] in wings]
    assert 1 <= len(ours) <= 3


def test_an_estimator_in_a_pipeline_warns_at_the_caller_s_line() -> None:
    pipeline = make_pipeline(StandardScaler(), LinearRegression())
    with pytest.warns(gradline.GradlineWarning, match="dependent='drop'") as caught:
        pipeline.fit(TWINS[["a", "b"]], TWINS["y"])
    assert [Path(w.filename).name for w in caught] == [Path(__file__).name]


def test_an_estimator_in_a_cross_validation_warns_at_the_caller_s_line() -> None:
    table = pd.concat([TWINS] * 4, ignore_index=True)
    with pytest.warns(gradline.GradlineWarning) as caught:
        cross_val_score(LinearRegression(), table[["a", "b"]], table["y"], cv=3)
    assert {Path(w.filename).name for w in caught} == {Path(__file__).name}


def test_an_estimator_exports_with_the_arguments_of_a_fit(tmp_path: Path) -> None:
    assert ESTIMATOR.export(tmp_path, "sales", report=False) == tmp_path / "sales" / "1"
