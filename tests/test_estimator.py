"""LinearRegression is a scikit-learn citizen, and its answers are those of scikit-learn's own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.linear_model as peers
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import gradline
from gradline.errors import InputError, RefusedError
from gradline_trainer import Fit, LinearRegression, fit
from gradline_trainer.orchard import FEATURES, TARGETS, orchard

Array = NDArray[np.float64]

U = 2.0**-53


def random_table(seed: int, n: int = 60, d: int = 3, k: int = 2) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.normal(rng.normal(0, 2, d), 1, (n, d))
    return X, X @ rng.normal(0, 3, (d, k)) + rng.normal(5, 1, (n, k))


def orchard_frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    values = orchard().values
    return pd.DataFrame(values[:, :3], columns=FEATURES), pd.DataFrame(
        values[:, 3:], columns=TARGETS
    )


@parametrize_with_checks(
    [
        LinearRegression(),
        LinearRegression(ridge=1.0),
        LinearRegression(fit_intercept=False),
        LinearRegression(gradient="rows"),
        LinearRegression(arithmetic="fast"),
    ]
)
def test_it_passes_all_of_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@given(
    st.integers(0, 2**32),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from([0, 0.5, 30]),
    st.booleans(),
    st.booleans(),
)
def test_the_coefficients_are_scikit_learns(
    seed: int, d: int, k: int, alpha: float, intercept: bool, weighted: bool
) -> None:
    X, Y = random_table(seed, 20 + 5 * d, d, k)
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(X)) if weighted else None
    peer: Any = peers.LinearRegression(fit_intercept=intercept)
    if alpha:
        peer = peers.Ridge(alpha, fit_intercept=intercept)
    peer.fit(X, Y, weights)
    found = LinearRegression(ridge=alpha, fit_intercept=intercept).fit(X, Y, weights)
    # With columns of unit norm, sums over n rows are off by n·u·‖y‖ and a solution by κ² as much.
    root = np.sqrt(np.ones(len(X)) if weights is None else weights)[:, None]
    A = root * np.c_[X, np.ones(len(X))]
    norms = np.linalg.norm(A, axis=0)
    bound = len(X) * (d + 1) * U * np.linalg.cond(A / norms) ** 2 * np.linalg.norm(root * Y)
    assert np.abs((found.coef_ - peer.coef_) * norms[:d]).max() <= bound
    assert np.abs((found.intercept_ - peer.intercept_) * norms[d]).max() <= bound


@pytest.mark.parametrize("single", [True, False])
def test_shapes_are_scikit_learns(single: bool) -> None:
    X, Y = random_table(0, k=1)
    y = Y[:, 0] if single else Y
    found, peer = LinearRegression().fit(X, y), peers.LinearRegression().fit(X, y)
    assert found.coef_.shape == peer.coef_.shape
    assert np.shape(found.intercept_) == np.shape(peer.intercept_)
    assert found.predict(X).shape == peer.predict(X).shape == y.shape
    assert found.n_features_in_ == 3
    assert not hasattr(found, "feature_names_in_")
    assert isinstance(found.fit_, Fit)
    assert found.n_iter_ == len(found.fit_.history) >= 1


def test_its_options_are_those_of_fit() -> None:
    options: dict[str, Any] = {
        "preconditioning": "none", "learning_rate": 1e-4, "epochs": 40, "tolerance": 0,
    }  # fmt: skip
    expected = fit(orchard(), TARGETS, seed=1337, bias=False, **options)
    found = LinearRegression(random_state=1337, fit_intercept=False, **options)
    with pytest.warns(ConvergenceWarning, match=r"stopped after 40 epochs, .* above the least"):
        found.fit(*orchard_frames())
    assert (found.coef_ == expected.weights.numpy()).all()
    assert found.fit_.history == expected.history
    assert (found.fit_.features, found.fit_.targets) == (FEATURES, TARGETS)


def test_cross_validation_chooses_a_penalty_also_beside_a_constant_target() -> None:
    X, Y = random_table(8)
    chosen = LinearRegression(ridge="auto", folds=4).fit(X, Y[:, 0])
    assert chosen.fit_.options.ridge == fit((X, Y[:, 0]), ridge="auto", folds=4).options.ridge
    Y[:, 1] = 0.1
    both = LinearRegression(ridge="auto", folds=4).fit(X, Y)
    assert both.fit_.options.ridge == chosen.fit_.options.ridge
    assert (both.coef_[1] == 0).all()


def test_it_works_where_scikit_learn_puts_it_together() -> None:
    X, Y = random_table(1)
    search = GridSearchCV(LinearRegression(), {"ridge": [1000.0, 0.1]}, cv=3).fit(X, Y)
    assert search.best_params_ == {"ridge": 0.1}
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
    assert pipeline.predict(X) == pytest.approx(search.predict(X), rel=0.1)
    scores = cross_val_score(clone(LinearRegression()), X, Y[:, 0], cv=4)
    assert scores == pytest.approx(
        cross_val_score(peers.LinearRegression(), X, Y[:, 0], cv=4), rel=1e-9
    )


def test_a_clone_has_the_options_and_a_pickle_the_fit() -> None:
    X, Y = random_table(2)
    found = LinearRegression(ridge=0.5, random_state=7).fit(X, Y)
    assert clone(found).get_params() == found.get_params()
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - its own
    assert (again.predict(X) == found.predict(X)).all()
    assert again.fit_.history == found.fit_.history


# What fit() refuses


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("what", ["target", "features", "row"])
def test_where_there_is_nothing_to_learn_it_answers_with_the_mean(
    what: str, weighted: bool
) -> None:
    X, Y = random_table(3)
    Y[:, 0] = 0.1
    weights = np.random.default_rng(3).uniform(0.1, 3, len(X)) if weighted else None
    if what == "target":
        Y = Y[:, :1]
    elif what == "features":
        X[:] = [0.1, 3e7, -1.7]
    else:
        X, Y, weights = X[:1], Y[:1], None if weights is None else weights[:1]
    with pytest.raises(InputError):
        fit((X, Y), sample_weight=weights)
    found = LinearRegression().fit(X, Y, weights)
    assert (found.coef_ == 0).all()
    assert found.intercept_ == pytest.approx(np.average(Y, 0, weights), rel=4 * U)
    assert found.intercept_[0] == pytest.approx(0.1, rel=2 * U)
    assert found.fit_.converged


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs = 0, expected"),
        ({"ridge": -1}, "ridge = -1, expected"),
        ({"fit_intercept": "yes"}, "fit_intercept = 'yes', expected True or False"),
        ({"preconditioning": "pca"}, "preconditioning = 'pca', expected one of"),
        ({"random_state": -1}, "Seed must be between 0"),
    ],
)
def test_options_are_checked_when_it_is_fitted(options: dict[str, Any], message: str) -> None:
    estimator = LinearRegression(**options)
    with pytest.raises(ValueError, match=message):
        estimator.fit(*random_table(0))


def test_a_run_that_diverges_is_refused() -> None:
    with pytest.raises(RefusedError, match="above the largest stable rate"):
        LinearRegression(preconditioning="none", learning_rate=1.0).fit(*orchard_frames())


def test_a_matrix_of_sample_weights_is_refused() -> None:
    X, Y = random_table(0)
    with pytest.raises(InputError, match="sample_weight has 2 columns, expected 1"):
        fit((X, Y), sample_weight=np.ones((len(X), 2)))


# The package


def test_its_package_has_the_frames_names_and_predicts_the_same(tmp_path: Path) -> None:
    X, Y = orchard_frames()
    found = LinearRegression(dtype="float64").fit(X, Y)
    path = found.export(tmp_path, name="fruit")
    assert path == tmp_path / "fruit" / "1"
    model = gradline.load(path)
    assert (model.features, model.targets) == (FEATURES, TARGETS)
    assert model.predict(X[FEATURES[::-1]]) == pytest.approx(found.predict(X), rel=1e-14)


def test_without_names_its_package_has_numbered_ones(tmp_path: Path) -> None:
    path = LinearRegression().fit(*random_table(4)).export(tmp_path, report=False)
    model = gradline.load(path)
    assert (model.name, model.features, model.targets) == (
        "model",
        ["x0", "x1", "x2"],
        ["y0", "y1"],
    )


def test_a_feature_may_have_a_targets_name(tmp_path: Path) -> None:
    X, Y = random_table(5, d=2)
    frame = pd.DataFrame(X, columns=["y0", "price"])
    found = LinearRegression().fit(frame, Y)
    assert found.fit_.targets == ["y0_", "y1_"]
    found = LinearRegression().fit(frame, pd.Series(Y[:, 0], name="price"))
    assert found.fit_.targets == ["price_"]
    assert found.predict(frame).shape == (60,)


def test_a_constant_target_is_exported_as_such(tmp_path: Path) -> None:
    X, Y = random_table(6, k=1)
    found = LinearRegression().fit(X, np.full_like(Y, 0.1))
    model = gradline.load(found.export(tmp_path))
    assert model.predict(X) == pytest.approx(np.full_like(Y, 0.1), rel=2 * U)


@pytest.mark.parametrize("rows", [1, 20])
def test_training_rows_are_not_exported(rows: int, tmp_path: Path) -> None:
    _, Y = random_table(7, n=rows)
    found = LinearRegression().fit(np.full((rows, 3), 4.2), Y)
    with pytest.raises(InputError, match="would hold the training rows"):
        found.export(tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_scikit_learn_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["sklearn"] = None
import gradline, gradline_trainer
gradline_trainer.fit
try:
    gradline_trainer.LinearRegression
except gradline.MissingExtraError as error:
    print(error, error.hint, sep=": ")
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == (
        "this needs the module 'sklearn', which is not installed: "
        'pip install "gradline[sklearn]"\n'
    )
