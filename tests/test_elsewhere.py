"""Packages of models that were learned elsewhere: by scikit-learn, by statsmodels, on paper."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import linear_model, svm
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import gradline
from gradline.columns.plan import Plan
from gradline.package.golden import Golden
from gradline.package.manifest import parse_manifest
from gradline.package.reading import read_package
from gradline_export import export_package, package_coefficients
from gradline_export.elsewhere.learned import Learned
from gradline_export.elsewhere.packaging import freeze_learned
from gradline_export.publish.publishing import publish
from gradline_trainer import LinearRegression, fit
from hostile.case import sealed

ROWS = 60
OF_TRAINING = {
    "training",
    "metrics",
    "columns",
    "statistics",
    "leverage",
    "intervals",
    "certificates",
}


def table(seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(generator.normal(size=(ROWS, 3)), columns=["age", "rent", "size"])
    frame *= [1, 100, 0.01]
    frame["price"] = 2 * frame.age - frame.rent + generator.normal(size=ROWS)
    frame["cost"] = 5 * frame["size"] + generator.normal(size=ROWS)
    return frame


def manifest_of(package: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((package / "manifest.json").read_bytes())
    return found


FINITE = st.floats(-1e12, 1e12, allow_subnormal=False)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 5))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_coefficients_come_back_bit_for_bit(data: st.DataObject, tmp_path: Path) -> None:
    k, d = data.draw(SHAPES)
    weights = data.draw(arrays.arrays(np.float64, (k, d), elements=FINITE))
    bias = data.draw(arrays.arrays(np.float64, k, elements=FINITE))
    features, targets = [f"x{j}" for j in range(d)], [f"y{j}" for j in range(k)]
    model = gradline.load(package_coefficients(weights, bias, features, targets, tmp_path))
    assert (model.features, model.targets) == (features, targets)
    graph = model.package.graph
    assert np.array_equal(graph.weights, weights)
    assert np.array_equal(graph.bias, bias)
    exact = all(float(np.float32(x)) == x for x in [*weights.flat, *bias])
    assert model.dtype == (np.float32 if exact else np.float64)


@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float32", "float64"]))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_golden_rows_show_any_wrong_weight(seed: int, dtype: str, tmp_path: Path) -> None:
    """However small a weight is beside the others, a host that gets it wrong fails."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(2, 4)) * 10.0 ** generator.integers(-10, 10, size=4)
    weights = weights.astype(np.float32).astype(np.float64)
    bias = generator.normal(size=2).astype(np.float32).astype(np.float64) * 1024
    path = package_coefficients(weights, bias, list("abcd"), ["u", "v"], tmp_path, dtype=dtype)
    package = read_package(path)
    golden, graph = package.golden, package.graph
    assert isinstance(golden, Golden)
    largest = np.abs(weights).argmax(axis=0)
    for j in range(4):
        wrong = graph.weights.copy()
        wrong[largest[j], j] *= 1.001

        def answer(rows: Any, wrong: Any = wrong) -> Any:
            return rows @ wrong.T + graph.bias

        with pytest.raises(gradline.PackageError, match="self-test"):
            golden.check(answer, graph)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    learned = linear_model.Ridge().fit(*numbers())
    first, second = (export_package(learned, tmp_path, "m") for _ in range(2))
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name


def numbers(targets: int = 1) -> tuple[pd.DataFrame, Any]:
    frame = table()
    wanted = frame[["price", "cost"]].to_numpy()
    return frame[["age", "rent", "size"]], wanted[:, 0] if targets == 1 else wanted


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        (linear_model.LinearRegression(), 1),
        (linear_model.LinearRegression(), 2),
        (linear_model.LinearRegression(fit_intercept=False), 2),
        (linear_model.Ridge(), 2),
        (linear_model.RidgeCV(), 1),
        (linear_model.Lasso(alpha=0.1), 2),
        (linear_model.LassoCV(), 1),
        (linear_model.ElasticNet(alpha=0.1), 1),
        (linear_model.ElasticNetCV(), 1),
        (linear_model.MultiTaskLasso(alpha=0.1), 2),
        (svm.LinearSVR(max_iter=50), 1),
        (linear_model.SGDRegressor(max_iter=5, tol=None), 1),
    ],
    ids=repr,
)
def test_a_model_of_scikit_learn_answers_the_same(model: Any, targets: int, tmp_path: Path) -> None:
    rows, wanted = numbers(targets)
    rows = (rows - rows.mean()) / rows.std()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, wanted)
    path = export_package(model, tmp_path, "m")
    package = gradline.load(path)
    answers = package.predict(rows)
    expected = np.asarray(model.predict(rows)).reshape(ROWS, targets)
    np.testing.assert_allclose(answers, expected, rtol=1e-12, atol=1e-12)
    assert package.features == ["age", "rent", "size"]
    assert package.targets == (["y"] if targets == 1 else ["y0", "y1"])
    made_by = manifest_of(path)["origin"]["with"]
    assert (made_by["library"], made_by["class"]) == ("scikit-learn", type(model).__name__)
    hosts = manifest_of(path)["parity"]["within"]
    assert hosts[-1] == f"{type(model).__name__}.predict of scikit-learn"


def test_names_targets_and_parameters_are_recorded(tmp_path: Path) -> None:
    rows, wanted = numbers()
    model = linear_model.RidgeCV(alphas=[0.1, 1.0]).fit(rows.to_numpy(), wanted)
    path = export_package(model, tmp_path, "m", targets="rent", notes={"author": "me"})
    package = gradline.load(path)
    assert (package.features, package.targets) == (["x0", "x1", "x2"], ["rent"])
    origin = manifest_of(path)["origin"]
    assert origin["with"]["parameters"]["alphas"] == "[0.1, 1.0]"
    assert origin["with"]["parameters"]["alpha_"] in (0.1, 1.0)
    assert origin["notes"] == {"author": "me"}
    assert origin["weights"] == "exactly as given, float64"
    assert not OF_TRAINING & set(manifest_of(path))
    assert not (path / "report.html").exists()


def test_a_feature_called_y_gives_the_target_another_name(tmp_path: Path) -> None:
    model = linear_model.LinearRegression().fit(pd.DataFrame({"y": [1.0, 2, 4]}), [1.0, 3, 5])
    assert gradline.load(export_package(model, tmp_path)).targets == ["y_"]


def test_sparse_coefficients_are_packaged(tmp_path: Path) -> None:
    rows, wanted = numbers()
    scaled = (rows - rows.mean()) / rows.std()
    model = linear_model.SGDRegressor(penalty="l1").fit(scaled, wanted).sparsify()
    answers = gradline.load(export_package(model, tmp_path)).predict(scaled)
    np.testing.assert_allclose(answers[:, 0], model.predict(scaled), rtol=1e-12, atol=1e-12)


def shops() -> tuple[pd.DataFrame, Any]:
    frame = table()
    frame["region"] = ["north", "south", "east"] * (ROWS // 3)
    frame.loc[3, "rent"] = np.nan
    return frame[["age", "rent", "region"]], frame["price"].to_numpy()


def shop_pipeline(last: Any) -> Any:
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "rent"]),
        (OneHotEncoder(handle_unknown="ignore"), ["region"]),
    )
    return make_pipeline(prepared, last)


@pytest.mark.parametrize(
    "last", [linear_model.Ridge(), LinearRegression(ridge=0.1), "sparse"], ids=repr
)
def test_a_pipeline_answers_the_same_from_its_own_columns(last: Any, tmp_path: Path) -> None:
    rows, wanted = shops()
    chosen = linear_model.SGDRegressor(penalty="l1") if last == "sparse" else last
    whole = shop_pipeline(chosen).fit(rows, wanted)
    if last == "sparse":
        chosen.sparsify()
    with pytest.warns(gradline.GradlineWarning, match="unknown_category='zero'") as caught:
        path = export_package(whole, tmp_path, targets="price")
    assert caught[0].filename == __file__
    model = gradline.load(path)
    unseen = pd.concat([rows, rows.head(1).assign(region="west")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gradline.GradlineWarning)  # of the unseen region
        answers = model.predict(unseen, unknown_category="zero")
    np.testing.assert_allclose(answers[:, 0], whole.predict(unseen), rtol=1e-9)
    document = manifest_of(path)
    assert document["format"] == 2
    assert document["parity"]["within"][-1] == "Pipeline.predict of scikit-learn"
    steps = document["origin"]["with"]["parameters"]["steps"]
    own = "gradline " * isinstance(chosen, LinearRegression)
    assert steps == f"ColumnTransformer, {own}{type(chosen).__name__}"
    assert command("inspect", str(path))[0] == command("verify", str(path))[0] == 0


def results() -> dict[str, Callable[[pd.DataFrame], Any]]:
    return {
        "formula": lambda t: smf.ols("price ~ age + rent", t).fit(),
        "no constant": lambda t: smf.ols("price ~ age + rent - 1", t).fit(),
        "add_constant": lambda t: sm.OLS(t.price, sm.add_constant(t[["age", "rent"]])).fit(),
        "constant last": lambda t: sm.OLS(
            t.price, sm.add_constant(t[["age", "rent"]], prepend=False)
        ).fit(),
        "WLS": lambda t: sm.WLS(
            t.price, sm.add_constant(t[["age", "rent"]]), weights=np.arange(1.0, ROWS + 1)
        ).fit(),
        "GLS": lambda t: sm.GLS(t.price, t[["age", "rent"]]).fit(),
        "GLM": lambda t: smf.glm("price ~ age + rent", t).fit(),
        "regularized": lambda t: sm.OLS(t.price, t[["age", "rent"]]).fit_regularized(alpha=0.1),
    }


@pytest.mark.parametrize("name", results())
def test_results_of_statsmodels_answer_the_same(name: str, tmp_path: Path) -> None:
    frame = table()
    found = results()[name](frame)
    path = export_package(found, tmp_path)
    package = gradline.load(path)
    assert (package.features, package.targets) == (["age", "rent"], ["price"])
    expected = np.asarray(found.predict(), np.float64)
    np.testing.assert_allclose(package.predict(frame)[:, 0], expected, rtol=1e-10, atol=1e-10)
    assert manifest_of(path)["origin"]["with"]["library"] == "statsmodels"


def test_results_without_their_rows_know_the_constant_by_its_name(tmp_path: Path) -> None:
    frame = table()
    found = smf.ols("price ~ age", frame).fit()
    expected = found.predict()
    found.remove_data()
    package = gradline.load(export_package(found, tmp_path, targets="value"))
    assert (package.features, package.targets) == (["age"], ["value"])
    np.testing.assert_allclose(package.predict(frame)[:, 0], expected, rtol=1e-10)


def test_a_plan_gives_format_2(tmp_path: Path) -> None:
    columns = [
        {"name": "size", "kind": "number", "fill": 3.0},
        {"name": "color", "kind": "category", "levels": ["blue", "red"], "reference": None},
    ]
    terms = [
        [{"column": "size"}],
        [{"column": "color", "level": "red"}],
        [{"column": "size"}, {"column": "color", "level": "blue"}],
    ]
    plan = Plan.load(columns, terms)
    learned = Learned(plan, ["y"], np.array([[2.0, 10.0, 100.0]]), np.array([1.0]))
    files, told = freeze_learned(learned, "m")
    path = publish(files, tmp_path, "m")
    model = gradline.load(path)
    assert told == []
    with pytest.warns(gradline.GradlineWarning, match="missing values that were filled"):
        answers = model.predict({"size": [1, None, 2], "color": ["red", "red", "blue"]})
    assert answers.tolist() == [[13.0], [17.0], [205.0]]
    assert "pipeline.onnx in ONNX Runtime" in manifest_of(path)["parity"]["within"]
    said = command("inspect", str(path))[1]
    assert "color: blue, red; no reference" in said
    assert command("verify", str(path))[0] == 0


def test_float32_is_chosen_only_if_it_is_exact_or_asked_for(tmp_path: Path) -> None:
    def dtype_of(weight: float, **options: Any) -> str:
        path = package_coefficients([weight], 0, "x", "y", tmp_path, **options)
        return str(gradline.load(path).dtype)

    assert dtype_of(0.5) == "float32"
    assert dtype_of(0.1) == "float64"
    assert dtype_of(0.5, dtype="float64") == "float64"
    with pytest.warns(gradline.GradlineWarning, match="rounded to float32") as caught:
        assert dtype_of(0.1, dtype="float32") == "float32"
    assert caught[0].filename == __file__


def test_our_own_estimator_is_a_fit(tmp_path: Path) -> None:
    model = LinearRegression().fit(*numbers())
    assert "metrics" in manifest_of(export_package(model, tmp_path))


def command(*arguments: str) -> tuple[int, str, str]:
    import contextlib
    import io

    from gradline.commands.group import run

    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = run(list(arguments))
    texts = []
    for stream in (out, error):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return code, texts[0], texts[1]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained version, and of one of scikit-learn."""
    root = tmp_path_factory.mktemp("artifacts")
    rows, wanted = numbers()
    export_package(fit(table(), "price", ["age", "rent", "size"]), root, "m", report=False)
    learned = linear_model.Ridge(alpha=0.5).fit(rows, wanted)
    export_package(learned, root, "m", targets="price", notes={"author": "me"})
    table().to_csv(root / "rows.csv", index=False)
    return root


def test_inspect_says_what_is_unknown_and_why(published: Path) -> None:
    code, said, _ = command("inspect", str(published / "m" / "2"))
    assert code == 0
    assert re.search("learned +elsewhere, by Ridge of scikit-learn", said)
    assert "alpha=0.5" in said
    assert "metrics, statistics, training ranges and certificates: gradline did not" in said
    assert "author: me" in said
    assert command("inspect", str(published / "m" / "2"), "--json")[0] == 0


def test_coefficients_alone_are_said_to_be_alone(tmp_path: Path) -> None:
    path = package_coefficients([0.5], 1, "x", "y", tmp_path)
    said = command("inspect", str(path))[1]
    assert "elsewhere; the coefficients alone were given" in said


def test_the_equation_has_enough_digits_for_any_scale(tmp_path: Path) -> None:
    path = package_coefficients([[-1.000977430998154, 2.0]], 0.125, ["a", "b"], "y", tmp_path)
    right = "y = -1.000977·a + 2·b + 0.125"
    assert right in command("inspect", str(path))[1]
    model = gradline.load(path)
    assert model.equation == right
    assert right in repr(model)
    bare = gradline.load(path / "model.onnx")
    assert right == bare.equation
    assert right in command("inspect", str(path / "model.onnx"))[1]


def test_list_and_verify_work(published: Path) -> None:
    said = command("list", str(published))[1]
    assert "learned elsewhere" in said
    assert "damaged" not in said
    found = json.loads(command("list", str(published), "--json")[1])["packages"][0]["versions"][1]
    assert (found["rows"], found["r2"], found["learned"]) == (None, None, "elsewhere")
    assert command("verify", str(published / "m" / "2"))[0] == 0


def test_diff_has_no_bound_but_measures(published: Path) -> None:
    both = [str(published / "m" / number) for number in "12"]
    code, said, _ = command("diff", *both)
    assert code == 0
    assert "no bound on the change: a bare ONNX file, or a model learned elsewhere" in said
    code, _, error = command("diff", *both, "--max-change", "1")
    assert code == 1
    assert "a model learned elsewhere, has no record" in error
    rows = str(published / "rows.csv")
    assert command("diff", *both, "--data", rows, "--max-change", "100")[0] == 0


@pytest.mark.parametrize(("option", "figure"), [("--explain", "mean"), ("--check", "minimum")])
def test_what_needs_training_rows_is_refused_in_a_sentence(
    option: str, figure: str, published: Path
) -> None:
    package, rows = str(published / "m" / "2"), str(published / "rows.csv")
    code, _, error = command("predict", package, rows, option)
    assert code == 1
    expected = f"the {figure} of the training rows is unknown: the model was learned elsewhere"
    assert expected in error
    assert command("predict", package, rows, "--keep", "age")[0] == 0


def test_a_table_is_trained_like_it(published: Path, tmp_path: Path) -> None:
    learned = fit(table(), like=published / "m" / "2")
    assert (learned.features, learned.targets) == (["age", "rent", "size"], ["price"])


def test_the_server_tells_where_it_was_learned(published: Path) -> None:
    from gradline.serve.protocol.metadata import model_metadata
    from gradline.serve.protocol.openapi import document
    from gradline.serve.protocol.served_model import ServedModel

    served = ServedModel(gradline.load(published / "m" / "2"))
    properties = model_metadata(served, ["2"])["properties"]
    assert json.loads(properties["proofs"])[-1].startswith("learned elsewhere, so unknown: metrics")
    assert "columns" not in properties
    json.dumps(document({"m": (served, ["2"])}), allow_nan=False)


def test_intervals_are_refused(tmp_path: Path) -> None:
    model = linear_model.LinearRegression().fit(*numbers())
    with pytest.raises(gradline.RefusedError, match="learned elsewhere") as caught:
        export_package(model, tmp_path, intervals=True)
    assert caught.value.code == "no-intervals"
    assert not list(tmp_path.iterdir())


def changed(manifest: dict[str, Any], **members: Any) -> bytes:
    del manifest["seal"]
    return sealed(json.dumps(manifest | members, indent=1))


def test_a_model_learned_elsewhere_has_no_record_of_training(published: Path) -> None:
    trained, other = (manifest_of(published / "m" / number) for number in "12")
    with pytest.raises(gradline.PackageError, match="learned elsewhere, but has 'metrics'"):
        parse_manifest(changed(other, metrics=trained["metrics"]))


def test_a_trained_package_without_its_record_is_damaged_as_before(
    published: Path, tmp_path: Path
) -> None:
    import shutil

    copy = Path(shutil.copytree(published / "m" / "1", tmp_path / "m" / "1"))
    whole = manifest_of(copy)
    for origin in ({}, {"origin": {"learned": "here"}}):
        part = {key: value for key, value in whole.items() if key not in OF_TRAINING}
        (copy / "manifest.json").write_bytes(changed(part | origin))
        code, _, error = command("inspect", str(copy))
        assert code == 1
        assert "manifest.json is incomplete" in error
        assert "damaged" in command("list", str(tmp_path))[1]


class Doubled(linear_model.LinearRegression):  # type: ignore[misc]
    def predict(self, rows: Any) -> Any:
        return 2 * super().predict(rows)


def test_a_model_that_does_not_answer_its_coefficients_is_refused(tmp_path: Path) -> None:
    model = Doubled().fit(*numbers())
    with pytest.raises(gradline.RefusedError, match=r"Doubled.predict of scikit-learn") as caught:
        export_package(model, tmp_path)
    assert caught.value.code == "no-parity"
    assert not list(tmp_path.iterdir())


def binomial() -> Any:
    frame = table()
    return sm.GLM((frame.price > 0).astype(float), frame[["age"]], sm.families.Binomial()).fit()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear_model.Ridge(), "Ridge was never fitted: it has no coef_"),
        (lambda: make_pipeline(linear_model.Ridge()), "Ridge was never fitted: it has no coef_"),
        (lambda: make_pipeline(RandomForestRegressor()), "is RandomForestRegressor: no linear"),
        (lambda: make_pipeline(StandardScaler(), "passthrough"), "is passthrough: no linear model"),
        (lambda: linear_model.Ridge, "the class Ridge, expected a fitted model"),
        (
            lambda: linear_model.LogisticRegression(),
            "LogisticRegression of sklearn is not a linear",
        ),
        (lambda: linear_model.RidgeClassifier(), "RidgeClassifier of sklearn is not a linear"),
        (lambda: linear_model.PoissonRegressor(), "PoissonRegressor of sklearn is not a linear"),
        (lambda: RandomForestRegressor(), "RandomForestRegressor of sklearn is not a linear"),
        (lambda: KernelRidge(), "KernelRidge of sklearn is not a linear"),
        (lambda: svm.SVR(), "SVR of sklearn is not a linear"),
        (lambda: sm.OLS([1.0, 2], [1.0, 3]), "OLS of statsmodels is not a linear"),
        (binomial, "the link of this GLM is Logit"),
        (lambda: smf.ols("price ~ np.exp(age)", table()).fit(), "makes 'np.exp(age)' of other"),
        (lambda: smf.ols("price ~ age:rent", table()).fit(), "makes 'age:rent' of other"),
        (lambda: smf.ols("price ~ 1", table()).fit(), "has a constant and no feature"),
        (lambda: {"age": 1}, "dict is not a linear"),
        (lambda: None, "NoneType is not a linear"),
    ],
)
def test_other_models_are_refused_by_name(
    make: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(gradline.InputError) as caught:
        export_package(make(), tmp_path)
    assert message in str(caught.value)
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_search_points_to_its_best_model(tmp_path: Path) -> None:
    search = GridSearchCV(linear_model.Ridge(), {"alpha": [0.1, 1]}).fit(*numbers())
    with pytest.raises(gradline.InputError) as caught:
        export_package(search, tmp_path)
    assert "best_estimator_" in caught.value.hint
    assert gradline.load(export_package(search.best_estimator_, tmp_path))


@pytest.mark.parametrize("note", [{"a": 1}, {"a": "\ud800"}, {"\udfff": "a"}])
def test_a_fit_takes_the_same_notes(note: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(gradline.InputError, match="expected Unicode text"):
        fit(table(), "price", ["age"]).export(tmp_path, notes=note)
    assert not list(tmp_path.iterdir())


def test_a_warning_that_is_an_error_leaves_no_package(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", gradline.GradlineWarning)
        with pytest.raises(gradline.GradlineWarning, match="rounded to float32"):
            package_coefficients([0.1], 0, "x", "y", tmp_path, dtype="float32")
        model = linear_model.LinearRegression().fit([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0])
        with pytest.raises(gradline.GradlineWarning, match="rounded to float32"):
            export_package(model, tmp_path, dtype="float32")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"weights": [1, 2, 3]}, "wrong-shape"),
        ({"weights": [[1, 2], [3, 4]]}, "wrong-shape"),
        ({"weights": [[[1, 2]]]}, "wrong-shape"),
        ({"weights": [[1, 2], [3]]}, "wrong-shape"),
        ({"weights": []}, "wrong-shape"),
        ({"weights": 1.0}, "wrong-shape"),
        ({"bias": [1, 2]}, "wrong-shape"),
        ({"weights": [1, np.nan]}, "not-finite"),
        ({"bias": np.inf}, "not-finite"),
        ({"weights": ["1", "2"]}, "not-numeric"),
        ({"weights": [1, None]}, "not-numeric"),
        ({"weights": [1, 2j]}, "not-numeric"),
        ({"weights": [True, False]}, "not-numeric"),
        ({"weights": np.ma.array([1.0, 2.0], mask=[0, 1])}, "not-numeric"),
        ({"weights": {"a": 1}}, "not-numeric"),
        ({"weights": [10**400, 1]}, "not-numeric"),
        ({"weights": [2**60 + 1, 0]}, "out-of-range"),
        ({"weights": [1e200, 0]}, "out-of-range"),
        ({"features": ["a", "a"]}, "duplicate-column"),
        ({"features": ["a", ""]}, "bad-name"),
        ({"features": ["a", 3]}, "bad-name"),
        ({"features": []}, "no-feature"),
        ({"targets": []}, "no-target"),
        ({"targets": "a"}, "repeated-column"),
        ({"targets": ["y", "y"]}, "duplicate-column"),
        ({"dtype": "float16"}, "bad-option"),
        ({"name": "a/b"}, "bad-name"),
        ({"notes": {"a": 1}}, "bad-option"),
        ({"notes": {"a": "\ud800"}}, "bad-option"),
        ({"features": ["a", "\ud800"]}, "bad-name"),
    ],
)
def test_wrong_coefficients_are_input_errors(
    given: dict[str, Any], code: str, tmp_path: Path
) -> None:
    right = {"weights": [1, 2], "bias": 0, "features": ["a", "b"], "targets": "y"}
    with pytest.raises(gradline.InputError) as caught:
        package_coefficients(**(right | {"root": tmp_path} | given))
    assert caught.value.code == code, caught.value
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_options_of_fit_are_not_given_twice(tmp_path: Path) -> None:
    learned = fit(table(), "price", ["age"])
    for option in ({"targets": "value"}, {"dtype": "float64"}):
        with pytest.raises(gradline.InputError, match="belongs to fit"):
            export_package(learned, tmp_path, **option)


@pytest.mark.slow
def test_no_other_library_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from gradline_export import package_coefficients, export_package\n"
        f"package_coefficients([0.5], 1, 'x', 'y', {str(tmp_path)!r})\n"
        "try: export_package(object())\n"
        "except ValueError: pass\n"
        "print([name for name in ('sklearn', 'statsmodels', 'pandas') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
