"""LinearRegression is a scikit-learn citizen, and its answers are those of scikit-learn's own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.linear_model as peers
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
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


@pytest.mark.filterwarnings("ignore::gradline.GradlineWarning")  # what the checks' tables deserve
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
    with (
        pytest.warns(gradline.GradlineWarning, match="optimum"),
        pytest.warns(ConvergenceWarning, match=r"stopped after 40 epochs, .* above the least"),
    ):
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


@pytest.mark.parametrize("weight", [3, 0.5, np.float32(2)])
def test_one_sample_weight_is_that_of_every_row(weight: Any) -> None:
    X, Y = random_table(9)
    found = LinearRegression(ridge=1.0).fit(X, Y, sample_weight=weight)
    each = LinearRegression(ridge=1.0).fit(X, Y, sample_weight=np.full(len(X), weight))
    assert (found.coef_ == each.coef_).all()
    assert (found.intercept_ == each.intercept_).all()
    with pytest.raises(InputError, match="are all zero"):
        LinearRegression().fit(X, Y, sample_weight=0)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
def test_a_sparse_matrix_gives_the_bits_of_the_dense_one(form: Any, arithmetic: Any) -> None:
    X, Y = random_table(10)
    X[np.random.default_rng(0).random(X.shape) < 0.6] = 0
    dense = LinearRegression(arithmetic=arithmetic).fit(X, Y)
    found = LinearRegression(arithmetic=arithmetic).fit(form(X), Y)
    assert (found.coef_ == dense.coef_).all()
    assert (found.intercept_ == dense.intercept_).all()
    assert found.predict(form(X)) == pytest.approx(dense.predict(X), rel=1e-14)
    assert torch.equal(fit((form(X), Y), arithmetic=arithmetic).weights, dense.fit_.weights)


def test_a_sparse_matrix_is_made_dense_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Watched(sparse.csr_array):  # type: ignore[misc]
        def toarray(self, *args: Any, **options: Any) -> Any:
            made.append(self.shape[0] * self.shape[1])
            return super().toarray(*args, **options)

    X = sparse.random_array((3000, 20), density=0.05, rng=np.random.default_rng(0), format="csr")
    Y = X @ np.arange(20.0) + np.random.default_rng(1).normal(size=3000)
    whole = fit((X.toarray(), Y), arithmetic="exact")
    monkeypatch.setattr("gradline_trainer.rows.arrays.DENSE", 1 << 13)
    found = fit((Watched(X), Y), arithmetic="exact")
    assert max(made) <= 1 << 13
    assert torch.equal(found.weights, whole.weights)
    assert torch.equal(found.bias, whole.bias)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (sparse.csr_array(np.array([[1 + 2j, 0], [0, 1]])), "X holds complex numbers"),
        (sparse.csr_array(np.array([[0, 1], [0, 2**53 + 1]])), "row 2, column 2: float64 is exact"),
        (sparse.coo_array([1.0, 2.0]), r"X has the shape \(2,\), expected one row per observation"),
    ],
)
def test_a_sparse_matrix_that_is_no_table_of_numbers_is_refused(X: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit((X, [1.0, 2.0]))


def test_a_missing_value_in_a_sparse_matrix_is_found_in_its_row() -> None:
    X = sparse.csr_array([[1.0, 0], [0, np.nan], [3, 1]])
    with pytest.raises(InputError, match="'x1' has 1 missing value, the first in row 2 of"):
        fit((X, [1.0, 2.0, 3.0]))


def test_intercepts_are_numpys() -> None:
    X, Y = random_table(11)
    for bias in (True, False):
        single = LinearRegression(fit_intercept=bias).fit(X, Y[:, 0])
        assert type(single.intercept_) is np.float64
        several = LinearRegression(fit_intercept=bias).fit(X, Y)
        assert several.intercept_.shape == (2,)


@pytest.mark.filterwarnings("error::gradline.GradlineWarning")
def test_what_its_fit_warns_of_is_a_warning_at_the_callers_line() -> None:
    X, Y = random_table(12)
    X[:, 1] = 4.0
    estimator = LinearRegression()
    with pytest.warns(gradline.GradlineWarning) as caught:
        estimator.fit(X, Y)
    assert [str(one.message) for one in caught] == estimator.fit_.warnings
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.raises(gradline.GradlineWarning, match="constant, so their weight is 0: 'x1'"):
        LinearRegression().fit(X, Y)  # pytest makes errors of warnings


def test_a_tensor_with_a_gradient_is_taken() -> None:
    X, Y = random_table(13)
    x, y = (torch.tensor(values, requires_grad=True) for values in (X, Y))
    found = LinearRegression().fit(x, y)
    assert (found.coef_ == LinearRegression().fit(X, Y).coef_).all()
    assert (found.predict(x) == found.predict(X)).all()


def saved_types(value: object) -> Iterator[type]:
    """Yield the types of all that is saved of an object."""
    yield type(value)
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    else:
        parts = [value.__getstate__()] if is_dataclass(value) else []
    for part in parts:
        yield from saved_types(part)


@pytest.mark.parametrize("options", [{}, {"arithmetic": "fast"}, {"ridge": "auto"}])
def test_it_is_saved_without_tensors_and_exports_the_same_bytes(
    options: dict[str, Any], tmp_path: Path
) -> None:
    found = LinearRegression(**options).fit(*orchard_frames())
    assert torch.Tensor not in set(saved_types(found.__getstate__()))
    with torch.device("meta"):
        again = pickle.loads(pickle.dumps(found))  # noqa: S301 - its own
    assert torch.equal(again.fit_.weights, found.fit_.weights)
    first, second = found.export(tmp_path), again.export(tmp_path)
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()


def test_skops_saves_and_loads_it(tmp_path: Path) -> None:
    io = pytest.importorskip("skops.io", reason="needs skops, of the development tools")
    found = LinearRegression().fit(*orchard_frames())
    data = io.dumps(found)
    again = io.loads(data, trusted=io.get_untrusted_types(data=data))
    assert (again.predict(orchard_frames()[0]) == found.predict(orchard_frames()[0])).all()
    assert again.export(tmp_path).name == "1"


# What fit() refuses


@pytest.mark.filterwarnings("ignore:constant, so their weight is 0:gradline.GradlineWarning")
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


@pytest.mark.filterwarnings("ignore:constant, so their weight is 0:gradline.GradlineWarning")
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
        "in the folder of gradline's sources: "
        'pip install ".[sklearn]"\n'
    )
