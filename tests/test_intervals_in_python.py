"""`Model.predict(intervals=…)`: what intervals.onnx, the report's panel and statsmodels say."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

import gradline
from gradline.explain.intervals import Intervals
from gradline.explain.t_quantile import t_quantile
from gradline.package.rounding_bound import rounding_bound
from gradline_export import export_package
from gradline_trainer import fit

Array = np.ndarray[Any, np.dtype[np.float64]]


def made(path: Path, *table: Any, intervals: bool = False, **options: Any) -> gradline.Model:
    learned = fit(*table, **options)
    return gradline.load(export_package(learned, path, "m", intervals=intervals, report=False))


def rows_of(seed: int, n: int = 60, d: int = 3, k: int = 2) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d)) * 3 + 1
    return X, X @ random.standard_normal((d, k)) + random.standard_normal((n, k))


@given(
    level=st.floats(0.001, 0.99999),
    freedom=st.one_of(st.integers(1, 400), st.integers(1, 10**9)),
)
def test_the_quantile_is_scipys(level: float, freedom: int) -> None:
    assert t_quantile(level, freedom) == pytest.approx(t.isf((1 - level) / 2, freedom), rel=1e-9)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("with_file", [True, False])
def test_they_are_statsmodels_intervals(
    weighted: bool, bias: bool, with_file: bool, tmp_path: Path
) -> None:
    X, Y = rows_of(1)
    weights = np.random.default_rng(2).uniform(0.2, 3, len(X)) if weighted else None
    options = {"bias": bias, "sample_weight": weights, "dtype": "float64"}
    model = made(tmp_path, (X, Y), intervals=with_file, **options)
    asked = np.vstack([X[:5], X[:5] * 10])
    design, new = (sm.add_constant(a, prepend=False) if bias else a for a in (X, asked))
    for level in (0.5, 0.9, 0.95, 0.999, 0.123):
        found = model.predict(asked, intervals=level)
        assert (found.values == model.predict(asked)).all()
        for j in range(2):
            learned = sm.WLS(Y[:, j], design, weights=1.0 if weights is None else weights).fit()
            frame = learned.get_prediction(new).summary_frame(alpha=1 - level)
            for ours, theirs in ((found.lower, "obs_ci_lower"), (found.upper, "obs_ci_upper")):
                assert ours[:, j] == pytest.approx(frame[theirs].to_numpy(), rel=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_with_the_file_and_without_it_they_are_those_of_the_file(
    dtype: str, tmp_path: Path
) -> None:
    table = rows_of(3)
    model = made(tmp_path / "with", table, intervals=True, dtype=dtype)
    rows = np.ascontiguousarray(table[0][:9].astype(model.dtype))
    quantile = np.array(model.manifest["intervals"]["quantiles"]["0.95"])
    session = ort.InferenceSession(model.package.path / "intervals.onnx")
    given = {"x": rows.astype(np.float64), "quantile": quantile}
    lower, upper = session.run(["lower", "upper"], given)
    graph = model.package.graph
    # The file's centre is the float64 model's answer, ours the graph's.
    allowed = 3 * rounding_bound(rows, graph.weights, graph.bias, model.dtype) + 1e-9
    for asked in (model, made(tmp_path / "without", table, dtype=dtype)):
        found = asked.predict(rows, intervals=0.95)
        assert (np.abs(found.lower - lower) <= allowed).all()
        assert (np.abs(found.upper - upper) <= allowed).all()
        assert ((found.lower < found.values) & (found.values < found.upper)).all()


def test_a_logged_targets_ends_are_those_of_its_logarithm(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    a = random.uniform(1, 3, 80)
    table = {
        "a": a,
        "up": np.exp(a + random.standard_normal(80) / 4),
        "more": np.expm1(0.5 + a / 4 + random.standard_normal(80) / 9),
    }
    model = made(tmp_path, table, ["log(up)", "log1p(more)"])
    plain = made(
        tmp_path / "z",
        {"a": a, "up": np.log(table["up"]), "more": np.log1p(table["more"])},
        ["up", "more"],
    )
    new = {"a": [1.5, 2.0, 9.0]}
    found, z = model.predict(new, intervals=0.8), plain.predict(new, intervals=0.8)
    for ours, theirs in ((found.lower, z.lower), (found.upper, z.upper)):
        assert ours == pytest.approx(np.exp(theirs) - [0, 1], rel=1e-4)
    assert (found.values == model.predict(new)).all()


def test_they_are_the_panels(tmp_path: Path) -> None:
    from gradline_export.report.panel import _interval

    learned = fit(rows_of(5), dtype="float64")
    model = gradline.load(export_package(learned, tmp_path, "m", report=False))
    data = _interval(learned, {"leverage": model.manifest["leverage"]})
    intervals = Intervals.of(model.package)
    reach = intervals.deviation * t_quantile(0.95, intervals.freedom)
    assert reach == pytest.approx(data["interval"]["reach"], rel=1e-12)


def test_a_row_without_an_answer_has_no_interval(tmp_path: Path) -> None:
    model = made(tmp_path, rows_of(6))
    rows = np.array([[1.0, 2.0, 3.0], [np.nan, 2.0, 3.0]])
    found = model.predict(rows, intervals=0.95)
    for part in (found.values, found.lower, found.upper):
        assert np.isnan(part).all(axis=1).tolist() == [False, True]


def test_the_outside_comes_beside_the_intervals(tmp_path: Path) -> None:
    model = made(tmp_path, rows_of(7))
    found, outside = model.predict([[1.0, 2.0, 300.0]], intervals=0.95, check=True)
    assert isinstance(found, gradline.Prediction)
    assert len(outside) == 1


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, float("nan"), True, "0.95"])
def test_a_level_is_between_0_and_1(level: Any, tmp_path: Path) -> None:
    model = made(tmp_path, rows_of(8))
    with pytest.raises(gradline.InputError, match="between 0 and 1") as caught:
        model.predict([[1.0, 2.0, 3.0]], intervals=level)
    assert caught.value.code == "bad-option"


def test_a_pickled_model_takes_the_file_along(tmp_path: Path) -> None:
    model = made(tmp_path, rows_of(9, d=40), intervals=True)
    rows = np.ones((1, 40), model.dtype)
    expected = model.predict(rows, intervals=0.95)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301
    (model.package.path / "intervals.onnx").unlink()
    assert (copy.predict(rows, intervals=0.95).lower == expected.lower).all()


def refusal(model: gradline.Model) -> gradline.RefusedError:
    with pytest.raises(gradline.RefusedError) as caught:
        model.predict(np.ones((1, len(model.features)), model.dtype), intervals=0.95)
    assert caught.value.code == "no-intervals"
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("n", "d", "options", "reason"),
    [
        (60, 3, {"ridge": 1.0}, "ridge penalty"),
        (60, 3, {"robust": "HC3"}, "robust standard errors"),
        (4, 3, {}, "no error to estimate from"),
        (90, 33, {}, "more than 32 features"),
        (60, 3, {"preconditioning": "none", "epochs": 2}, "stopped before the optimum"),
    ],
)
def test_a_model_without_intervals_says_why(
    n: int, d: int, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    assert reason in str(refusal(made(tmp_path, rows_of(10, n, d), **options)))


@pytest.mark.parametrize("d", [3, 33])
def test_a_robust_fit_has_none_however_many_features(d: int) -> None:
    random = np.random.default_rng(d)
    fitted = fit(random.normal(size=(90, d)), random.normal(size=90), robust="HC3")
    with pytest.raises(gradline.RefusedError, match="robust standard errors"):
        fitted.predict(np.ones((1, d)), intervals=0.95)


def test_a_bare_file_and_a_model_learned_elsewhere_have_none(tmp_path: Path) -> None:
    model = made(tmp_path, rows_of(11))
    bare = gradline.load(model.package.path / "model.onnx")
    assert "ONNX file alone" in str(refusal(bare))
    bare.package.manifest["origin"] = {"library": "another"}
    assert "learned elsewhere" in str(refusal(bare))


def test_a_perfect_fit_has_none(tmp_path: Path) -> None:
    X = np.arange(20.0).reshape(10, 2) ** 2
    assert "no error to estimate from" in str(refusal(made(tmp_path, (X, X[:, 0] + X[:, 1]))))


def test_a_file_of_other_constants_is_refused(tmp_path: Path) -> None:
    model = made(tmp_path, rows_of(12), intervals=True)
    data = model.package.intervals
    assert data is not None
    for wrong in (b"", data[:-40], data.replace(b"centre", b"centra"), b"\x3a\x00"):
        with pytest.raises(gradline.PackageError, match=r"intervals\.onnx") as caught:
            Intervals.of(replace(model.package, intervals=wrong))
        assert caught.value.code == "not-the-graph"


# The parts of a prediction, by column


def cafes(n: int = 120) -> pl.DataFrame:
    random = np.random.default_rng(13)
    region = random.choice(["east", "north", "south"], n)
    size = random.uniform(20, 90, n)
    revenue = 40 * size + 300 * (region == "east") + random.normal(0, 20, n) + 900
    return pl.DataFrame({"size": size, "region": region, "revenue": revenue})


def test_parts_add_up_by_column(tmp_path: Path) -> None:
    table = cafes()
    model = made(tmp_path, table, "revenue", features=["*", "size:region"])
    found = model.explain(table)
    assert found.columns == ["size", "region", "size:region"]
    assert found.by_column.shape == (len(table), 1, 3)
    total = found.baseline + found.by_column.sum(axis=2)
    assert total == pytest.approx(found.baseline + found.contributions.sum(axis=2), rel=1e-12)
    size = model.features.index("size")
    assert (found.by_column[:, :, 0] == found.contributions[:, :, size]).all()


def test_factors_of_a_logged_target_multiply_by_column(tmp_path: Path) -> None:
    table = cafes()
    model = made(tmp_path, table, "log(revenue)")
    found = model.explain(table)
    region = [j for j, name in enumerate(model.features) if name.startswith("region=")]
    product = found.contributions[:, :, region].prod(axis=2)
    place = found.columns.index("region")
    assert found.by_column[:, :, place] == pytest.approx(product, rel=1e-12)
    whole = found.baseline * found.by_column.prod(axis=2)
    assert whole == pytest.approx(model.predict(table), rel=1e-5)


def test_the_frame_has_a_line_for_each_row_and_target(tmp_path: Path) -> None:
    X, Y = rows_of(14)
    table = {"row": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": Y[:, 0], "z": Y[:, 1]}
    model = made(tmp_path, table, ["y", "z"])
    found = model.explain({name: table[name][:3] for name in ("row", "b", "c")})
    frame = found.frame()
    assert frame.columns == ["row_", "target", "baseline", "row", "b", "c"]
    assert frame["row_"].to_list() == [0, 0, 1, 1, 2, 2]
    assert frame["target"].to_list() == ["y", "z"] * 3
    assert frame["b"].to_list() == found.by_column[:, :, 1].ravel().tolist()
    assert frame["baseline"].to_list() == found.baseline.tolist() * 3
    assert model.explain({"row": [], "b": [], "c": []}).frame().height == 0
