"""Parity by the rounding bound, and the certificate that decides between float32 and float64."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

import gradline
from gradline.package.rounding_bound import rounding_bound
from gradline_export import export_package
from gradline_export.freeze import freezing as packaging
from gradline_export.freeze.float32 import Float32Certificate, certify_float32
from gradline_export.freeze.formats import to_onnx, to_torchscript
from gradline_export.freeze.parity import (
    Predict,
    check_parity,
    exact_outputs,
    frozen_hosts,
    parity_rows,
    torch_hosts,
)
from gradline_export.linear import LinearModel
from gradline_trainer import Fit, fit
from gradline_trainer.moments.moments import Moments
from gradline_trainer.orchard import TARGETS, orchard

Array = NDArray[Any]
DTYPES = st.sampled_from([np.dtype("float32"), np.dtype("float64")])
SEEDS = st.integers(0, 2**32 - 1)


def frozen(weights: Array, bias: Array) -> dict[str, bytes]:
    k, d = weights.shape
    names = {"features": [f"x{j}" for j in range(d)], "targets": [f"y{j}" for j in range(k)]}
    return {
        "model.onnx": to_onnx(weights, bias, name="random", **names),
        "model.pt": to_torchscript(weights, bias),
    }


def spread(generator: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> Array:
    """Return signed numbers between 2^low and 2^high, one in ten of them 0."""
    values = generator.choice([-1.0, 1.0], shape) * 2.0 ** generator.uniform(low, high, shape)
    return np.where(generator.random(shape) < 0.1, 0.0, values)


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning])
def test_no_release_of_pytorch_tells_users_that_torchscript_is_deprecated(
    category: type[Warning], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn_and(name: str) -> Callable[..., Any]:
        call = getattr(torch.jit, name)

        def warned(*arguments: Any) -> Any:
            warnings.warn(f"`torch.jit.{name}` is deprecated.", category, stacklevel=2)
            return call(*arguments)

        return warned

    for name in ("script", "save", "load"):
        monkeypatch.setattr(torch.jit, name, warn_and(name))
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        torch_hosts(frozen(np.ones((1, 2), np.float32), np.ones(1, np.float32)))
        assert shown == []
        torch.jit.script(LinearModel(torch.ones(1, 2), torch.ones(1)))
        assert any(w.category is category for w in shown)  # others' calls still warn


# The exact value and the bound


@st.composite
def small_models(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    n, d, k = (draw(st.integers(1, 4)) for _ in range(3))
    width = draw(st.sampled_from([32, 64]))
    numbers = st.floats(-(2.0**60), 2.0**60, width=width)
    x, weights, bias = (
        draw(npst.arrays(f"float{width}", shape, elements=numbers))
        for shape in ((n, d), (k, d), (k,))
    )
    return x, weights, bias


@given(small_models())
@settings(deadline=None, max_examples=200)
def test_exact_outputs_are_the_rational_values_correctly_rounded(
    model: tuple[Array, Array, Array],
) -> None:
    x, weights, bias = (values.astype(np.float64) for values in model)
    for row, found in zip(x, exact_outputs(*model), strict=True):
        for w, b, output in zip(weights, bias, found, strict=True):
            products = (Fraction(p) * Fraction(q) for p, q in zip(row, w, strict=True))
            assert output == float(sum(products, Fraction(b)))


@given(small_models())
@settings(deadline=None, max_examples=100)
def test_the_bound_is_the_analytic_one(model: tuple[Array, Array, Array]) -> None:
    x, weights, bias = model
    u, tiny = {4: (2.0**-24, 2.0**-126), 8: (2.0**-53, 2.0**-1022)}[weights.itemsize]
    m = weights.shape[1] + 2
    found = rounding_bound(x, weights, bias, weights.dtype)
    for row, bounds in zip(x.astype(float), found, strict=True):
        for w, b, bound in zip(weights.astype(float), bias.astype(float), bounds, strict=True):
            size = sum(
                (abs(Fraction(p) * Fraction(q)) for p, q in zip(row, w, strict=True)),
                abs(Fraction(b)),
            )
            exact = Fraction(m) * Fraction(u) / (1 - m * Fraction(u)) * size + 2 * m * Fraction(
                tiny
            )
            assert abs(Fraction(float(bound)) - exact) <= exact * Fraction(1, 10**14)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(-30, 30), DTYPES, SEEDS)
@settings(deadline=None, max_examples=40)
def test_every_host_is_within_the_bound_of_the_exact_value(
    d: int, k: int, shift: int, dtype: np.dtype[Any], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    n = max(1, min(9, 200_000 // (d * k)))
    x = spread(generator, (n, d), shift - 25, shift + 25).astype(dtype)
    weights = spread(generator, (k, d), -25 - shift, 25 - shift).astype(dtype)
    # Half of the biases cancel the first row's sum, so that rounding is all that is left of it.
    cancelling = -(weights.astype(np.float64) @ x[0].astype(np.float64))
    bias = np.where(generator.random(k) < 0.5, cancelling, spread(generator, (k,), -25, 25))
    bias = bias.astype(dtype)
    exact = exact_outputs(x, weights, bias)
    bounds = rounding_bound(x, weights, bias, dtype)
    hosts = frozen_hosts(weights, bias, frozen(weights, bias))
    assert list(hosts) == ["PyTorch", "TorchScript", "ONNX Runtime"]
    for host, predict in hosts.items():
        answers = predict(x)
        assert answers.dtype == dtype
        share = (np.abs(answers.astype(np.float64) - exact) / bounds).max()
        assert share <= 1, f"{host} is {share:.3g} bounds away"


@given(st.integers(1, 300), st.integers(1, 300), DTYPES, SEEDS)
@settings(deadline=None, max_examples=25)
def test_parity_rows_stay_inside_the_bounds_range(
    d: int, k: int, dtype: np.dtype[Any], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    weights = spread(generator, (k, d), -30, 30).astype(dtype)
    bias = spread(generator, (k,), -30, 30).astype(dtype)
    golden = spread(generator, (5, d), -30, 20).astype(dtype)
    rows = parity_rows(golden, weights, bias)
    x, factors = np.abs(rows.astype(np.float64)), np.abs(weights.astype(np.float64))
    products = x[:, None, :] * factors
    assert 5 < len(rows) <= 256
    assert rows.dtype == dtype
    assert ((x == 0) | (x >= 2.0**-60)).all()
    assert ((products == 0) | (products >= 2.0**-60)).all()
    assert (products.sum(axis=2) + np.abs(bias) <= 2.0**60 * (1 + 1e-12)).all()


# A host that computes wrongly


def without_bias(predict: Predict, bias: Array) -> Predict:
    return lambda rows: predict(rows) - bias


def targets_swapped(predict: Predict, bias: Array) -> Predict:
    return lambda rows: predict(rows)[:, ::-1]


def in_half_precision(predict: Predict, bias: Array) -> Predict:
    return lambda rows: predict(rows.astype(np.float16).astype(rows.dtype))


def not_a_number(predict: Predict, bias: Array) -> Predict:
    return lambda rows: predict(rows) * np.float32(np.nan)


def wrong_in_large_batches(predict: Predict, bias: Array) -> Predict:
    return lambda rows: predict(rows) * np.float32(1 + 1e-5 * (len(rows) > 7))


@pytest.mark.parametrize(
    "fault",
    [without_bias, targets_swapped, in_half_precision, not_a_number, wrong_in_large_batches],
)
def test_a_wrong_host_publishes_nothing(
    fault: Any, orchard_fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hosts(weights: Array, bias: Array, files: dict[str, bytes]) -> dict[str, Predict]:
        right = frozen_hosts(weights, bias, files)
        return {**right, "Faulty": fault(right["PyTorch"], bias)}

    monkeypatch.setattr(packaging, "frozen_hosts", hosts)
    with pytest.raises(gradline.RefusedError, match="no parity: Faulty answers") as caught:
        export_package(orchard_fit, tmp_path, "orchard")
    assert (caught.value.code, caught.value.exit_code) == ("no-parity", 1)
    assert "nothing was published" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_refusal_names_host_row_target_and_both_values() -> None:
    weights, bias = np.eye(2, dtype=np.float32), np.array([0.5, 0.25], np.float32)
    rows = np.arange(40, dtype=np.float32).reshape(20, 2)

    def right(x: Array) -> Array:
        return x @ weights.T + bias

    def faulty(x: Array) -> Array:
        answers = right(x)
        answers[11:, 1] = 7
        return answers

    with pytest.raises(gradline.RefusedError) as caught:
        check_parity({"PyTorch": right, "Abacus": faulty}, rows, weights, bias)
    assert str(caught.value).startswith(
        "no parity: Abacus answers 7.0 for test row 11, target 1; the exact value is 23.25 ± "
    )


def test_parity_reports_how_much_of_the_bound_each_host_used() -> None:
    weights, bias = np.ones((1, 2), np.float32), np.zeros(1, np.float32)
    rows = np.full((3, 2), 0.5, np.float32)
    bound = rounding_bound(rows, weights, bias, weights.dtype)[0, 0]
    off = np.float32(2.0**-23)
    hosts: dict[str, Predict] = {
        "right": lambda x: x @ weights.T,
        "near": lambda x: x @ weights.T + off,
    }
    right, near = check_parity(hosts, rows, weights, bias)
    assert (right.host, right.rows, right.error, right.share) == ("right", 3, 0, 0)
    assert (near.host, near.rows, near.error) == ("near", 3, off)
    assert near.share == off / bound < 1


# The float32 certificate


def seconds_table() -> dict[str, Array]:
    """Return a table whose one feature is seconds since 1970, with a residual of a hundredth."""
    generator = np.random.default_rng(1)
    seconds = 1.6e9 + np.arange(300.0)
    level = generator.normal(size=300)
    filled = 0.5 * (seconds - 1.6e9) + 2 * level + 0.01 * generator.normal(size=300)
    return {"level": level, "seconds": seconds, "filled": filled}


def certificate_of(version: Path) -> dict[str, Any]:
    certificate: dict[str, Any] = json.loads((version / "manifest.json").read_bytes())
    return certificate["certificates"]["float32"]


def test_the_orchard_is_shipped_in_float32(orchard_package: Path) -> None:
    certificate = certificate_of(orchard_package)
    assert certificate["verdict"] == "holds"
    assert certificate["target"] in TARGETS
    assert 0 < certificate["error"] <= certificate["limit"]
    assert gradline.load(orchard_package).dtype == np.float32


def test_auto_ships_float64_where_float32_would_add_to_the_error(tmp_path: Path) -> None:
    version = export_package(fit(seconds_table(), "filled"), tmp_path, "tank")
    certificate = certificate_of(version)
    assert certificate["verdict"] == "fails"
    assert (certificate["target"], certificate["column"]) == ("filled", "seconds")
    assert certificate["error"] > certificate["limit"]
    model = gradline.load(version)
    assert model.dtype == np.float64
    table = seconds_table()
    assert (
        np.abs(model.predict({n: table[n] for n in model.features})[:, 0] - table["filled"]).max()
        < 0.1
    )


def test_float32_is_refused_where_its_certificate_fails(tmp_path: Path) -> None:
    trained = fit(seconds_table(), "filled", dtype="float32")
    with pytest.raises(gradline.RefusedError, match="most from seconds") as caught:
        export_package(trained, tmp_path, "tank")
    assert str(caught.value).startswith("float32 is not accurate enough for 'filled': adds up to ")
    assert (caught.value.code, caught.value.exit_code) == ("float32-refused", 1)
    assert "float64" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dtype_that_is_asked_for_is_shipped_where_it_is_accurate(
    dtype: str, tmp_path: Path
) -> None:
    version = export_package(fit(orchard(), TARGETS, dtype=dtype), tmp_path, "orchard")
    model = gradline.load(version)
    assert model.dtype == model.predict([[73, 67, 43]]).dtype == np.dtype(dtype)
    assert certificate_of(version)["verdict"] == "holds"


def test_a_value_beyond_float32_fails_the_certificate(tmp_path: Path) -> None:
    x = np.array([1e39, 2e39, 3e39, 5e39])
    version = export_package(fit((x[:, None], x * 1e-39 + [0, 0.1, 0, 0]), "y"), tmp_path, "far")
    assert certificate_of(version)["column"] == "x0"
    assert certificate_of(version)["error"] is None
    assert gradline.load(version).dtype == np.float64


def hard_table(seed: int) -> tuple[Array, Array]:
    """Return X and Y with scales, offsets, kinds of columns and noise of all sizes."""
    generator = np.random.default_rng(seed)
    n, d = int(generator.integers(30, 400)), int(generator.integers(1, 13))
    kinds = [
        generator.normal(size=(n, d)),
        generator.integers(0, 2, (n, d)).astype(float),
        generator.integers(0, 100, (n, d)).astype(float),
        generator.exponential(size=(n, d)),
    ]
    X = np.choose(generator.integers(0, 4, d), kinds)
    X += generator.choice([0.0, 1.0], d) * 10.0 ** generator.uniform(0, generator.uniform(0, 9), d)
    X *= 10.0 ** generator.uniform(-6, 6, d)
    if d > 1 and generator.random() < 0.3:
        X[:, 1] = X[:, 0] * (1 + 10.0 ** generator.uniform(-6, -1) * generator.normal(size=n))
    if generator.random() < 0.5:
        rounded = X.astype(np.float32).astype(float)
        X = np.where(rounded.std(axis=0) > 0, rounded, X)
    signal = X @ (generator.normal(size=(d, 2)) / X.std(axis=0)[:, None])
    noise = 10.0 ** generator.uniform(-6, 1) * signal.std(axis=0) * generator.normal(size=(n, 2))
    return X, signal + noise + generator.normal(size=2) * 10.0 ** generator.uniform(-3, 3)


def in_sequential_float32(X: Array, weights: Array, bias: Array) -> Array:
    """Return x @ W.T + b with every product and every sum rounded, columns in order."""
    rows, factors = X.astype(np.float32), weights.astype(np.float32)
    sums = rows[:, :1] * factors[:, 0]
    for j in range(1, rows.shape[1]):
        sums = sums + rows[:, j : j + 1] * factors[:, j]
    return sums + bias.astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("residual", [0.0, 0.1])
def test_standardized_data_of_5000_columns_pass(residual: float) -> None:
    n, d = 2000, 5000
    generator = np.random.default_rng(0)
    X = 0.8 * generator.normal(size=(n, d)) + 0.6 * generator.normal(size=(n, 1))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    weights, bias = generator.normal(size=(1, d)) / np.sqrt(d), np.zeros(1)
    exact = X @ weights.T
    Y = exact + residual * generator.normal(size=(n, 1))
    names = [f"x{j}" for j in range(d)]
    moments = Moments.of(np.hstack([X, Y]))
    found = certify_float32(moments, weights, bias, np.array([residual]), names, ["y"])
    assert found.verdict == "holds", f"adds {found.error:.3g}, allowed {found.limit:.3g}"
    added = in_sequential_float32(X, weights, bias) - exact
    assert np.sqrt((added**2).mean()) <= found.error


def certificate(trained: Fit) -> Float32Certificate:
    rmse = np.array([m.rmse for m in (trained.metrics["training"] or {}).values()])
    weights, bias = trained.weights.numpy(), trained.bias.numpy()
    return certify_float32(trained.moments, weights, bias, rmse, trained.features, trained.targets)


def estimate(X: Array, weights: Array, bias: float) -> float:
    """Return three times the RMS error that float32 adds, term by term from the rows."""
    u = 2.0**-24
    change, offset = weights - weights.astype(np.float32), bias - float(np.float32(bias))
    rounded = (X.astype(np.float32) == X).all(axis=0)
    partial = np.cumsum(X * weights, axis=1)
    partial = np.hstack([partial, partial[:, -1:] + bias])
    squares = (
        ((X @ change + offset) ** 2).mean(),
        u**2 * (weights**2 * (X**2).mean(axis=0) * ~rounded).sum(),
        u**2 * (partial**2).mean(axis=0).sum(),
    )
    return 3 * math.sqrt(sum(squares))


@pytest.mark.parametrize("seed", range(40))
def test_the_certificate_from_the_moments_is_the_estimate_over_the_rows(seed: int) -> None:
    X, Y = hard_table(seed)
    trained = fit((X, Y))
    found = certificate(trained)
    k = trained.targets.index(found.target)
    expected = estimate(X, trained.weights.numpy()[k], float(trained.bias[k]))
    assert math.isclose(found.error, expected, rel_tol=1e-6)


def passes_rightly(seed: int) -> bool:
    """Return whether a table passes, having measured that it may."""
    X, Y = hard_table(seed)
    trained = fit((X, Y))
    if certificate(trained).verdict == "fails":
        return False
    weights, bias = trained.weights.numpy(), trained.bias.numpy()
    exact = X.astype(np.longdouble) @ weights.astype(np.longdouble).T + bias
    added = in_sequential_float32(X, weights, bias) - exact
    error = np.sqrt((added**2).mean(axis=0))
    residual = np.sqrt(((exact - Y) ** 2).mean(axis=0))
    limit = np.maximum(0.01 * residual, np.sqrt(X.shape[1]) * 1e-6 * Y.std(axis=0))
    assert (error <= limit).all(), f"table {seed} passed: adds {error}, allowed {limit}"
    return True


def test_no_table_passes_that_float32_computes_worse_than_allowed() -> None:
    passed = sum(passes_rightly(seed) for seed in range(400))
    assert 120 <= passed <= 280  # both verdicts were put to the test
