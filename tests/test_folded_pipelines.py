"""A scikit-learn pipeline becomes terms, weights and a bias that predict as the pipeline does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)

import gradline_trainer
from gradline.columns.parsing import values_of
from gradline.columns.plan import Plan
from gradline.errors import InputError, RefusedError
from gradline_export.elsewhere.folding import proof
from gradline_export.elsewhere.pipelines import Folded, fold

Array = NDArray[np.float64]
NUMBERS = ["year", "size"]


def table(seed: int = 0, n: int = 200) -> tuple[pd.DataFrame, Array]:
    """Make rows with numbers, text, integers and booleans; size and store miss some values."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "year": rng.integers(2000, 2010, n),
            "size": rng.normal(50, 10, n),
            "store": rng.choice(list("ABCDEF"), n, p=[0.3, 0.3, 0.2, 0.1, 0.06, 0.04]),
            "zip": rng.choice([10115, 20095, 3], n),
            "open": rng.random(n) < 0.4,
        }
    )
    frame.loc[:5, "store"] = list("ABCDEF")  # each level occurs
    y = frame["size"] * 2 + frame["open"] * 7 + (frame.store == "A") * 3 + rng.normal(0, 1, n)
    frame.loc[rng.random(n) < 0.1, "size"] = np.nan
    frame.loc[rng.random(n) < 0.1, "store"] = np.nan
    return frame, y.to_numpy()


def folded(pipeline: Any) -> Folded:
    return fold(pipeline.steps[:-1], pipeline[-1], None)


def answers(found: Folded, rows: pd.DataFrame, unknown: str = "missing") -> Array:
    """Predict from the folded model as a package does, shape (n, k)."""
    values = [values_of(column, rows[column.name], unknown) for column in found.plan.columns]
    predicted: Array = found.plan.compute(np.column_stack(values)) @ found.weights.T + found.bias
    return predicted


def agree(pipeline: Any, rows: pd.DataFrame, unknown: str = "missing") -> Folded:
    """Fold, and compare with the pipeline's own predictions."""
    found = folded(pipeline)
    expected = np.asarray(pipeline.predict(rows)).reshape(len(rows), -1)
    got = answers(found, rows, unknown)
    assert np.abs(got - expected).max() <= 1e-9 * (1 + np.abs(expected).max())
    return found


def filled(*more: Any, **options: Any) -> Any:
    return make_pipeline(SimpleImputer(**options), *more)


# Each step


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler((-2, 3)),
        make_pipeline(StandardScaler(), MinMaxScaler(), StandardScaler()),
        "passthrough",
    ],
)
def test_scaled_numbers_stay_one_weight_per_column(scaler: Any) -> None:
    frame, y = table()
    X = frame[NUMBERS].fillna(50.0)
    pipeline = Pipeline([("scale", scaler), ("model", LinearRegression())]).fit(X, y)
    found = agree(pipeline, X)
    assert found.plan == Plan.of_columns(found.plan.columns)  # format 1: nothing but numbers
    assert found.plan.features == NUMBERS
    assert found.unknown is None
    plain = LinearRegression().fit(X, y)
    assert found.weights[0] == pytest.approx(plain.coef_, rel=1e-9)


def test_a_weight_is_the_exact_quotient_rounded_once() -> None:
    X = np.array([[1e9 + 1], [1e9 + 2], [1e9 + 4]])
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, [1.0, 2.0, 3.5])
    found = folded(pipeline)
    scale, mean = float(pipeline[0].scale_[0]), float(pipeline[0].mean_[0])
    weight = Fraction(float(pipeline[-1].coef_[0])) / Fraction(scale)
    bias = Fraction(float(pipeline[-1].intercept_)) - weight * Fraction(mean)
    assert found.weights[0, 0] == float(weight)
    assert found.bias[0] == float(bias)


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("marked", [False, True])
def test_missing_numbers_are_filled(strategy: str, marked: bool) -> None:
    frame, y = table()
    steps = filled(StandardScaler(), strategy=strategy, add_indicator=marked)
    pipeline = make_pipeline(steps, Ridge()).fit(frame[NUMBERS], y)
    found = agree(pipeline, frame[NUMBERS])
    assert found.plan.format == (2 if marked else 1)
    assert found.plan.features == [*NUMBERS, "size is missing"][: 2 + marked]
    assert [column.fill for column in found.plan.columns] == pytest.approx(
        [float(value) for value in pipeline[0][0].statistics_]
    )


def test_an_imputer_behind_a_scaler_fills_in_the_columns_units() -> None:
    frame, y = table()
    pipeline = make_pipeline(StandardScaler(), SimpleImputer(), Ridge()).fit(frame[NUMBERS], y)
    found = agree(pipeline, frame[NUMBERS])
    assert found.plan.columns[1].fill == pytest.approx(frame["size"].mean())


ENCODERS = [
    OneHotEncoder(),
    OneHotEncoder(drop="first"),
    OneHotEncoder(drop="if_binary"),
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(min_frequency=15, handle_unknown="ignore"),
    OneHotEncoder(max_categories=3, drop="first"),
    OneHotEncoder(min_frequency=15, drop="first"),
    OneHotEncoder(handle_unknown="infrequent_if_exist"),
]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    "before",
    ["passthrough", SimpleImputer(strategy="most_frequent"),
     SimpleImputer(strategy="constant", fill_value="none")],
)  # fmt: skip
def test_encoded_text_is_a_category(encoder: Any, before: Any) -> None:
    frame, y = table()
    pipeline = make_pipeline(before, encoder, Ridge()).fit(frame[["store"]], y)
    found = agree(pipeline, frame[["store"]])
    (column,) = found.plan.columns
    assert column.kind == "category"
    assert column.missing
    ignores = encoder.handle_unknown != "error"
    assert found.unknown == ("zero" if ignores else "error")
    if ignores:
        unseen = pd.DataFrame({"store": ["A", "Z", "F"]})
        got = answers(found, unseen, "zero")
        assert got[:, 0] == pytest.approx(pipeline.predict(unseen))


def test_a_missing_value_that_an_encoder_ignores_has_no_weight() -> None:
    frame, y = table()
    known = frame["store"].notna()
    encoder = OneHotEncoder(handle_unknown="ignore")
    pipeline = make_pipeline(encoder, Ridge()).fit(frame.loc[known, ["store"]], y[known])
    found = agree(pipeline, frame[["store"]])
    assert found.plan.columns[0].missing
    assert "store is missing" not in found.plan.features
    strict = make_pipeline(OneHotEncoder(), Ridge()).fit(frame.loc[known, ["store"]], y[known])
    assert np.isnan(answers(folded(strict), frame)[~known.to_numpy()]).all()


def test_none_and_nan_may_be_categories() -> None:
    frame, y = table()
    X = pd.DataFrame({"open": frame["open"].astype(object), "zip": frame["zip"].astype(float)})
    X.loc[::7, "open"], X.loc[::9, "zip"] = None, np.nan
    found = agree(make_pipeline(OneHotEncoder(drop="first"), Ridge()).fit(X, y), X)
    assert {"open is missing", "zip is missing", "open=true"} < set(found.plan.features)


def test_a_category_whose_levels_are_all_dropped_is_not_asked_for() -> None:
    frame, y = table()
    encoder = OneHotEncoder(min_frequency=150, drop="first")  # all are rare
    columns = ColumnTransformer([("c", encoder, ["store"]), ("n", "passthrough", ["year"])])
    found = agree(make_pipeline(columns, Ridge()).fit(frame, y), frame)
    assert found.plan.features == ["year"]
    assert found.unknown is None


def test_levels_of_integers_and_booleans_are_those_of_format_1() -> None:
    frame, y = table()
    pipeline = make_pipeline(OneHotEncoder(drop="first"), Ridge()).fit(frame[["zip", "open"]], y)
    found = agree(pipeline, frame[["zip", "open"]])
    assert found.plan.format == 1
    assert found.plan.features == ["zip=10115", "zip=20095", "open=true"]
    assert found.unknown == "error"


@pytest.mark.parametrize("dtype", ["boolean", object])
@pytest.mark.parametrize("handle_unknown", ["error", "ignore"])
@pytest.mark.parametrize("options", [{"strategy": "most_frequent"}, {"fill_value": False}])
def test_booleans_behind_an_imputer_and_an_encoder_are_read_as_they_were(
    dtype: Any, handle_unknown: str, options: dict[str, Any]
) -> None:
    """scikit-learn turns nullable booleans of pandas into 0.0 and 1.0."""
    frame, y = table()
    values = [pd.NA if dtype == "boolean" else np.nan, *frame["open"][1:].tolist()]
    rows = pd.DataFrame({"open": pd.Series(values, dtype=dtype)})
    if "fill_value" in options:
        options = {"strategy": "constant", **options}
    pipeline = filled(OneHotEncoder(handle_unknown=handle_unknown), Ridge(), **options)
    found = agree(pipeline.fit(rows, y), rows)
    levels = {"boolean": ("0", "1"), object: ("false", "true")}[dtype]
    assert found.plan.columns[0].levels == levels


@pytest.mark.parametrize("options", [{"interaction_only": True}, {"degree": 3}, {}])
@pytest.mark.parametrize("bias", [False, True])
def test_products_become_terms(options: dict[str, Any], bias: bool) -> None:
    frame, y = table()
    X = frame[["size", "open"]].fillna(50.0)
    products = PolynomialFeatures(include_bias=bias, **options)
    pipeline = make_pipeline(StandardScaler(), products, Ridge()).fit(X, y)
    found = agree(pipeline, X)
    assert {"size", "open", "size:open"} <= set(found.plan.features)
    if options.get("degree") == 3:
        assert {"size^3", "size^2:open"} <= set(found.plan.features)


def test_products_of_levels_of_one_column_are_left_out() -> None:
    frame, y = table()
    columns = ColumnTransformer(
        [("c", OneHotEncoder(), ["zip", "open"]), ("n", SimpleImputer(), ["size"])],
        sparse_threshold=0,
    )
    products = PolynomialFeatures(interaction_only=True, include_bias=False)
    pipeline = make_pipeline(columns, products, Ridge()).fit(frame, y)
    pipeline[-1].coef_ = np.arange(1.0, len(pipeline[-1].coef_) + 1)  # 0 · 0 has a weight too
    names = agree(pipeline, frame).plan.features
    assert "zip=3:open=true" in names
    assert "size:zip=3" in names
    assert len(names) == 1 + 3 + 2 + 5 + 6


# Together


def test_a_column_transformer_takes_each_column_its_way() -> None:
    frame, y = table()
    numbers = filled(StandardScaler(), strategy="median", add_indicator=True)
    chosen = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), ["store"]),
            ("numbers", numbers, make_column_selector("year|size")),
            ("kept", "passthrough", slice("zip", "zip")),
            ("flag", MinMaxScaler(), [False, False, False, False, True]),
        ],
        transformer_weights={"numbers": 0.5},
        sparse_threshold=0,
    )
    pipeline = make_pipeline(chosen, MinMaxScaler(), Lasso(0.01)).fit(frame, y)
    found = agree(pipeline, frame)
    assert [column.name for column in found.plan.columns] == list(frame)
    assert found.plan.features[:4] == ["year", "size", "size is missing", "store=A"]
    assert found.plan.features[-2:] == ["zip", "open"]
    assert [column.kind for column in found.plan.columns] == [
        "number", "number", "category", "number", "number",
    ]  # fmt: skip


def test_a_remainder_is_passed_through_and_what_is_dropped_is_not_asked_for() -> None:
    frame, y = table()
    chosen = ColumnTransformer(
        [("text", OneHotEncoder(), ["open"]), ("gone", "drop", ["store", "size"])],
        remainder=StandardScaler(),
    )
    pipeline = make_pipeline(chosen, LinearRegression()).fit(frame, y)
    found = agree(pipeline, frame)
    assert [column.name for column in found.plan.columns] == ["year", "zip", "open"]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**16),
    st.sampled_from(ENCODERS),
    st.sampled_from(["mean", "median", "most_frequent"]),
    st.booleans(),
    st.sampled_from([StandardScaler(), MinMaxScaler(), "passthrough"]),
    st.sampled_from(
        [PolynomialFeatures(interaction_only=True), PolynomialFeatures(), "passthrough"]
    ),
    st.integers(1, 3),
)
def test_any_combination_predicts_the_same(
    seed: int,
    encoder: Any,
    strategy: str,
    marked: bool,
    scaler: Any,
    products: Any,
    targets: int,
) -> None:
    frame, y = table(seed, 80)
    numbers = make_pipeline(
        SimpleImputer(strategy=strategy, add_indicator=marked), scaler, products
    )
    chosen = ColumnTransformer(
        [("n", numbers, NUMBERS), ("c", encoder, ["store"])], sparse_threshold=0
    )
    Y = np.column_stack([y, -y, y**2])[:, :targets]
    agree(make_pipeline(chosen, scaler, Ridge()).fit(frame, Y), frame)


def test_arrays_and_polars_frames_are_folded_too() -> None:
    frame, y = table()
    X = frame[NUMBERS].to_numpy()
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), Ridge()).fit(X, y)
    assert folded(pipeline).plan.features == ["x0", "x1"]
    named = fold(pipeline.steps[:-1], pipeline[-1], ["a", "b"])
    assert named.plan.features == ["a", "b"]
    framed = make_pipeline(SimpleImputer(), Ridge()).fit(pl.from_pandas(frame[NUMBERS]), y)
    assert folded(framed).plan.features == NUMBERS


def test_array_columns_keep_the_tables_order() -> None:
    frame, y = table()
    X = frame[NUMBERS].fillna(50.0).to_numpy()
    chosen = ColumnTransformer([("b", StandardScaler(), [1]), ("a", MinMaxScaler(), [0])])
    pipeline = make_pipeline(chosen, Ridge()).fit(X, y)
    found = folded(pipeline)
    assert found.plan.features == ["x0", "x1"]
    got = X @ found.weights[0] + found.bias[0]
    assert got == pytest.approx(pipeline.predict(X), rel=1e-12)


def test_the_plan_can_be_written_and_read() -> None:
    frame, y = table()
    chosen = ColumnTransformer(
        [("n", filled(add_indicator=True), NUMBERS), ("c", ENCODERS[4], ["store"])]
    )
    found = agree(make_pipeline(chosen, Ridge()).fit(frame, y), frame)
    written = json.loads(json.dumps(found.plan.dump()))
    assert Plan.load(**written) == found.plan


# What is refused


def refused(pipeline: Any, X: Any, match: str, y: Sequence[float] | None = None) -> InputError:
    if y is None:
        y = table()[1]
    with pytest.raises(InputError, match=match) as caught:
        folded(pipeline.fit(X, y))
    assert caught.value.code == "pipeline-steps"
    assert caught.value.hint
    return caught.value


def test_a_step_that_is_no_sum_of_terms_is_named() -> None:
    frame, _ = table()
    X = frame[NUMBERS].fillna(50.0)
    error = refused(
        make_pipeline(StandardScaler(), PCA(2), Ridge()), X, r"the step 'pca' \(PCA\) cannot"
    )
    assert "StandardScaler" in error.hint
    nested = ColumnTransformer([("a", make_pipeline(QuantileTransformer(n_quantiles=10)), NUMBERS)])
    path = r"'columntransformer__a__quantiletransformer' \(QuantileTransformer\)"
    refused(make_pipeline(nested, Ridge()), X, path)


@pytest.mark.parametrize(
    ("step", "columns", "match"),
    [
        (MinMaxScaler(clip=True), ["year"], "clip=True"),
        (SimpleImputer(missing_values=0), ["year"], "fills 0"),
        (make_pipeline(StandardScaler(), OneHotEncoder()), ["zip"], "encodes what another step"),
        (
            OneHotEncoder(min_frequency=30, handle_unknown="infrequent_if_exist"),
            ["store"],
            "counts an unknown level as an infrequent one",
        ),
        (
            ColumnTransformer([("a", OneHotEncoder(), ["zip"]), ("b", StandardScaler(), ["zip"])]),
            ["zip"],
            "'zip' is a number in one step and encoded in another",
        ),
        (
            ColumnTransformer(
                [
                    ("a", SimpleImputer(), ["size"]),
                    ("b", SimpleImputer(strategy="constant", fill_value=1.0), ["size"]),
                ]
            ),
            ["size"],
            "missing values of 'size' are filled with",
        ),
        (
            ColumnTransformer(
                [("a", OneHotEncoder(), ["zip"]), ("b", OneHotEncoder(drop="first"), ["zip"])]
            ),
            ["zip"],
            "'zip' is encoded in two ways",
        ),
        (PolynomialFeatures(7), ["zip"], "a power above 6"),
    ],
)
def test_what_a_package_cannot_say_is_refused(step: Any, columns: list[str], match: str) -> None:
    frame, _ = table()
    refused(make_pipeline(step, Ridge()), frame[columns], match)


def test_levels_that_a_package_cannot_tell_apart_are_refused() -> None:
    X = pd.DataFrame({"store": ["a", " a", "b", "c"]})
    refused(
        make_pipeline(OneHotEncoder(), Ridge()), X, "are the same level 'a'", [1.0, 2.0, 3.0, 4.0]
    )


def test_a_pipeline_that_was_never_fitted_is_refused() -> None:
    frame, y = table()
    model = Ridge().fit(frame[["year"]], y)
    with pytest.raises(InputError, match=r"the step 'scale' \(StandardScaler\) is not fitted") as e:
        fold([("scale", StandardScaler())], model, None)
    assert e.value.code == "not-fitted"


def test_a_model_behind_other_steps_is_refused() -> None:
    frame, y = table()
    model = Ridge().fit(frame[["year"]], y)
    scaler = StandardScaler().fit(frame[NUMBERS])
    with pytest.raises(InputError, match="has 1 weights, and the steps before it have 2 outputs"):
        fold([("scale", scaler)], model, None)
    with pytest.raises(InputError, match="1 names, and the pipeline takes 2 columns"):
        fold([("scale", scaler)], model, ["a"])
    with pytest.raises(InputError, match="2 columns named 'a'"):
        fold([("scale", scaler)], model, ["a", "a"])


def test_our_estimators_own_terms_are_no_columns_of_the_steps() -> None:
    frame, y = table()
    X = frame[NUMBERS].fillna(50.0)
    ours = gradline_trainer.LinearRegression(terms=["year", "log(size)"])
    pipeline = make_pipeline(SimpleImputer().set_output(transform="pandas"), ours).fit(X, y)
    refused(pipeline, X, "encodes or fills their outputs")
    plain = make_pipeline(StandardScaler(), gradline_trainer.LinearRegression()).fit(X, y)
    agree(plain, X)


# The proof


def test_the_proof_sees_a_wrong_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, y = table()
    X = frame[NUMBERS].fillna(50.0)
    pipeline = make_pipeline(StandardScaler(), Ridge()).fit(X, y)
    agree(pipeline, X)
    pipeline[-1].predict = lambda rows: Ridge.predict(pipeline[-1], rows) + 1e-9
    with pytest.raises(RefusedError, match="but the pipeline answers") as caught:
        folded(pipeline)
    assert caught.value.code == "no-parity"


def test_the_proof_compares_missing_and_unknown_values() -> None:
    frame, y = table()
    chosen = ColumnTransformer(
        [("n", filled(), ["size"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["store"])]
    )
    pipeline = make_pipeline(chosen, Ridge()).fit(frame, y)
    seen: dict[str, Any] = {}
    original = proof.pipeline_answers

    def watch(rows: dict[str, Any], steps: Any, model: Any) -> Array:
        seen.update(rows)
        return original(rows, steps, model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "pipeline_answers", watch)
        folded(pipeline)
    assert np.isnan(seen["size"]).any()
    texts = [value for value in seen["store"] if isinstance(value, str)]
    assert set(texts) > set("ABCDEF")
    assert len(texts) < len(seen["store"])
