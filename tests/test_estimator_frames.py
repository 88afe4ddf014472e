"""LinearRegression takes frames with text, categories, times and missing values as they are."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn.linear_model as peers
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import gradline
from gradline.errors import InputError
from gradline_trainer import LinearRegression, fit
from gradline_trainer.estimating import surroundings

Array = NDArray[np.float64]
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*missing values (that were )?filled:gradline.GradlineWarning",
    "ignore:constant, so their weight is 0:gradline.GradlineWarning",
)


def table(n: int = 120) -> tuple[pd.DataFrame, pd.Series[float]]:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "size": rng.normal(50, 10, n),
            "store": rng.choice(list("ABC"), n),
            "sort": pd.Categorical(rng.choice(["u", "v"], n)),
            "open": rng.random(n) < 0.4,
            "day": pd.date_range("2024-01-01", periods=n),
            "five": 5.0,
        }
    )
    y = 2 * frame["size"] + 7 * frame["open"] + 3 * (frame["store"] == "B") + rng.normal(0, 1, n)
    frame.loc[::8, "size"] = np.nan
    frame.loc[3:90:9, "store"] = None
    return frame, y.rename("sales")


def complete() -> tuple[pd.DataFrame, pd.Series[float]]:
    frame, y = table()
    return frame.assign(size=frame["size"].fillna(50.0), store=frame["store"].fillna("A")), y


def test_columns_become_terms_by_their_kinds_and_nothing_is_left_out() -> None:
    frame, y = table()
    found = LinearRegression().fit(frame, y)
    assert found.term_names_[:2] == ["id", "size"]  # an identifier and a constant stay
    assert "five" in found.term_names_
    assert {"size is missing", "store is missing", "open=true"} <= set(found.term_names_)
    assert any(name.startswith("weekday(day)=") for name in found.term_names_)
    assert len(found.coef_) == len(found.term_names_)
    assert found.n_features_in_ == 7
    assert list(found.feature_names_in_) == list(frame)
    assert found.fit_.targets == ["sales"]
    assert found.score(frame, y) > 0.8


def test_the_terms_are_those_of_fit() -> None:
    frame, y = complete()
    everything = frame.assign(sales=y)
    for terms in ("*", ["size", "store", "size:open"], "size"):
        found = LinearRegression(terms=terms).fit(frame, y)
        expected = fit(everything, "sales", terms)
        assert found.term_names_ == expected.features
        assert (found.coef_ == expected.weights.numpy()[0]).all()
    assert "id" not in LinearRegression(terms="*").fit(frame, y).term_names_


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas, pd.DataFrame.to_numpy])
def test_frames_of_any_library_predict_the_same(convert: Any) -> None:
    frame, y = table()
    expected = LinearRegression().fit(frame, y)
    given = convert(frame)
    if isinstance(given, np.ndarray):
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            assert (expected.predict(given) == expected.predict(frame)).all()
        return
    found = LinearRegression().fit(given, y.to_numpy())
    assert (found.coef_ == expected.coef_).all()
    assert (found.predict(given) == expected.predict(frame)).all()


def test_a_frame_of_numbers_is_a_matrix() -> None:
    frame, y = complete()
    X = frame[["id", "size", "five"]].assign(twin=frame["size"])
    for given in (X, pl.from_pandas(X), pa.Table.from_pandas(X), X.astype(object)):
        with pytest.warns(gradline.GradlineWarning, match="linearly dependent"):
            found = LinearRegression().fit(given, y)
        assert found.term_names_ == list(X)
        assert found.coef_ == pytest.approx(peers.LinearRegression().fit(X, y).coef_)
        assert found.predict(given) == pytest.approx(peers.LinearRegression().fit(X, y).predict(X))


def test_weights_and_several_targets_go_with_a_frame() -> None:
    frame, y = complete()
    weights = np.random.default_rng(0).uniform(0.1, 3, len(y))
    Y = pd.DataFrame({"size": y, "other": -y})  # a target may have a column's name
    found = LinearRegression(terms=["size", "open"]).fit(frame, Y, sample_weight=weights)
    X = np.column_stack([frame["size"], frame["open"]])
    peer = peers.LinearRegression().fit(X, Y, weights)
    assert found.coef_ == pytest.approx(peer.coef_)
    assert found.intercept_ == pytest.approx(peer.intercept_)
    assert found.fit_.targets == ["size_", "other_"]
    assert found.predict(frame).shape == Y.shape


def test_a_penalty_keeps_every_level() -> None:
    frame, y = complete()
    X = frame[["store", "size"]]
    found = LinearRegression(ridge=2.0).fit(X, y)
    encoded = pd.get_dummies(X, dtype=float)[["store_A", "store_B", "store_C", "size"]]
    assert found.term_names_ == ["store=A", "store=B", "store=C", "size"]
    assert found.coef_ == pytest.approx(peers.Ridge(2.0).fit(encoded, y).coef_)


def test_a_category_with_one_value_is_left_out_with_a_warning() -> None:
    frame, y = complete()
    with pytest.warns(gradline.GradlineWarning, match="one value or none") as caught:
        found = LinearRegression().fit(frame[["size"]].assign(kind="k", empty=None), y)
    assert found.term_names_ == ["size"]
    assert caught[0].filename == __file__
    expected = "left out, because they have one value or none: 'kind', 'empty'"
    assert found.fit_.warnings[0] == expected
    with pytest.raises(InputError, match="nothing to learn"):
        LinearRegression().fit(frame[["store"]].assign(store="A"), y)


# Missing values


def test_a_missing_number_of_a_matrix_is_an_error_that_names_it() -> None:
    frame, y = table()
    X = frame[["id", "size"]]
    for given, name in ((X, "'size'"), (X.to_numpy(), "2"), (pl.from_pandas(X), "'size'")):
        with pytest.raises(InputError, match=f"X contains NaN: row 1 .* column {name}") as caught:
            LinearRegression().fit(given, y)
        assert caught.value.code == "missing-value"
        assert "missing='mean'" in caught.value.hint
    found = LinearRegression().fit(X.fillna(0), y)
    with pytest.raises(InputError, match="row 1 has no value in the column 'size'"):
        found.predict(X)


def test_missing_is_fits_option() -> None:
    frame, y = table()
    X = frame[["id", "size"]]
    found = LinearRegression(missing="mean").fit(X, y)
    filled = X.fillna(X["size"].mean())
    peer = peers.LinearRegression().fit(filled, y)
    assert found.coef_ == pytest.approx(peer.coef_)
    assert found.predict(X) == pytest.approx(peer.predict(filled))
    known = X["size"].notna()
    with pytest.warns(gradline.GradlineWarning, match="15 of 120 rows dropped"):
        found = LinearRegression(missing="drop").fit(X, y)
    assert found.coef_ == pytest.approx(peers.LinearRegression().fit(X[known], y[known]).coef_)
    with pytest.warns(gradline.GradlineWarning, match="15 of 120 rows have no answer") as caught:
        answers = found.predict(X)
    assert (np.isnan(answers) == ~known).all()
    assert caught[0].filename == __file__
    with pytest.raises(InputError, match="'store' has"):
        LinearRegression(missing="error").fit(frame[["store", "id"]], y)


def test_an_unknown_level_has_no_answer_and_is_told() -> None:
    frame, y = complete()
    found = LinearRegression().fit(frame, y)
    rows = frame.assign(store=["Z", *frame["store"][1:]])
    with pytest.warns(gradline.GradlineWarning) as caught:
        answers = found.predict(rows)
    assert [str(one.message) for one in caught] == [
        "1 of 120 rows have no answer (NaN): row 1 has a level that no training row had in 'store'"
    ]
    assert np.isnan(answers[0])
    assert (answers[1:] == found.predict(frame)[1:]).all()


@pytest.mark.filterwarnings("ignore::gradline.GradlineWarning")
@parametrize_with_checks([LinearRegression(missing="mean"), LinearRegression(missing="drop")])
def test_with_fills_it_passes_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


# In scikit-learn's company


@pytest.mark.filterwarnings("ignore:rows that the model has not seen:gradline.GradlineWarning")
def test_it_is_searched_scored_cloned_and_pickled() -> None:
    frame, y = table()
    options = {"ridge": [0.0, 10.0], "missing": ["auto", "mean"]}
    X = frame[["id", "size", "open"]]
    search = GridSearchCV(LinearRegression(), options, cv=3).fit(X, y)
    assert set(search.best_params_) == set(options)
    scores = cross_val_score(LinearRegression(terms="*"), frame, y, cv=3)
    assert (scores > 0.5).all()
    found = LinearRegression(terms=["size"], missing="mean").fit(frame, y)
    assert clone(found).get_params() == found.get_params()
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - its own
    assert (again.predict(frame) == found.predict(frame)).all()


def test_columns_in_another_order_are_refused_as_scikit_learn_does() -> None:
    frame, y = complete()
    found = LinearRegression().fit(frame, y)
    with pytest.raises(ValueError, match="must be in the same order"):
        found.predict(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        found.predict(frame[["id", "size"]])


def test_its_package_predicts_the_same_from_the_frame(tmp_path: Path) -> None:
    frame, y = table()
    found = LinearRegression(dtype="float64").fit(frame, y)
    model = gradline.load(found.export(tmp_path))
    assert model.predict(frame)[:, 0] == pytest.approx(found.predict(frame), rel=1e-12)


@pytest.mark.parametrize(
    ("terms", "match"),
    [
        (3, "terms = 3, expected '[*]', a term or a list of terms"),
        ([], r"terms = \[\], but no term is named"),
        (["sise"], "unknown feature 'sise'"),
        (["size", "size"], "'size' is named twice"),
        (["log(store)"], "log takes a number"),
    ],
)
def test_terms_that_do_not_fit_are_refused(terms: Any, match: str) -> None:
    frame, y = complete()
    with pytest.raises(InputError, match=match):
        LinearRegression(terms=terms).fit(frame, y)


def test_bad_tables_are_refused() -> None:
    frame, y = complete()
    with pytest.raises(InputError, match="ndarray without column names") as caught:
        LinearRegression(terms="*").fit(frame[["id"]].to_numpy(), y)
    assert caught.value.code == "bad-option"
    with pytest.raises(InputError, match="2 columns named 'size'"):
        LinearRegression().fit(pd.concat([frame, frame[["size"]]], axis=1), y)
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        LinearRegression().fit(frame[:0], y[:0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LinearRegression().fit(frame, y[:-1])
    with pytest.raises(ValueError, match="y contains NaN"):
        LinearRegression().fit(frame, y.where(y > y.median()))
    with pytest.raises(InputError, match=r"sample_weight has the shape \(3,\), expected"):
        LinearRegression().fit(frame, y, sample_weight=[1.0, 2.0, 3.0])
    with pytest.raises(NotFittedError):
        LinearRegression(terms="*").predict(frame)


# The pipeline around it


def test_it_knows_the_steps_before_it_wherever_it_is_fitted() -> None:
    frame, y = complete()
    X = frame[["id", "size"]]

    def names(estimator: Any) -> list[str]:
        return [name for name, _ in estimator.surroundings_.steps]

    assert names(LinearRegression().fit(X, y)) == []
    assert names(make_pipeline(LinearRegression()).fit(X, y)[-1]) == []
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, y)
    assert names(pipeline[-1]) == ["standardscaler"]
    assert pipeline[-1].surroundings_.steps[0][1] is pipeline[0]
    outer = make_pipeline(SimpleImputer(), clone(pipeline)).fit(X, y)
    assert names(outer[-1][-1]) == ["simpleimputer", "standardscaler"]
    search = GridSearchCV(clone(pipeline), {"linearregression__ridge": [0.0, 1.0]}).fit(X, y)
    assert names(search.best_estimator_[-1]) == ["standardscaler"]
    again = pickle.loads(pickle.dumps(pipeline[-1]))  # noqa: S301 - its own
    assert names(again) == ["standardscaler"]
    alone = pipeline[-1].fit(pipeline[0].transform(X), y)
    assert names(alone) == []


def test_an_estimator_within_another_class_of_ours_is_no_last_step() -> None:
    class Holder:
        def __init__(self) -> None:
            self.steps = [("scale", StandardScaler()), ("model", LinearRegression())]

        def fit(self, X: Any, y: Any) -> Any:
            return self.steps[-1][1].fit(X, y)

    frame, y = complete()
    assert Holder().fit(frame[["id", "size"]], y).surroundings_ == surroundings.Surroundings()


def test_a_transformed_target_is_not_exported(tmp_path: Path) -> None:
    frame, y = complete()
    inner = make_pipeline(StandardScaler(), LinearRegression())
    whole = TransformedTargetRegressor(inner, transformer=StandardScaler())
    whole.fit(frame[["id", "size"]], y)
    with pytest.raises(InputError, match="transformed by StandardScaler") as caught:
        whole.regressor_[-1].export(tmp_path)
    assert caught.value.code == "pipeline-steps"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", [1, 2])
def test_export_takes_in_the_steps_before_it(target: int, tmp_path: Path) -> None:
    frame, y = table()
    Y = y if target == 1 else pd.DataFrame({"sales": y, "loss": -y})
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    columns = ColumnTransformer(
        [("n", numbers, ["size", "id"]), ("c", OneHotEncoder(drop="first"), ["store", "open"])]
    )
    pipeline = Pipeline([("columns", columns), ("model", LinearRegression())]).fit(frame, Y)
    path = pipeline[-1].export(tmp_path, name="sales")
    model = gradline.load(path)
    assert model.targets == ["sales", "loss"][:target]
    assert model.predict(frame).reshape(np.shape(Y)) == pytest.approx(pipeline.predict(frame))


def test_export_refuses_to_lose_a_step(tmp_path: Path) -> None:
    frame, y = complete()
    roots = FunctionTransformer(np.sqrt)
    pipeline = make_pipeline(roots, LinearRegression()).fit(frame[["id", "size"]], y)
    with pytest.raises(InputError, match="the step 'functiontransformer'") as caught:
        pipeline[-1].export(tmp_path)
    assert caught.value.code == "pipeline-steps"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [{"size": [1.0]}, {"size": 1.0}, pd.Series([1.0, 2.0])])
def test_rows_that_are_no_matrix_are_refused_by_scikit_learn(rows: Any) -> None:
    X = pd.DataFrame({"size": [1.0, 2, 4, 8], "kind": list("aabb")})
    estimator = LinearRegression().fit(X, [1.0, 2, 3, 5])
    with pytest.raises(ValueError, match=r"Expected (2|a 2)"):
        estimator.predict(rows)
