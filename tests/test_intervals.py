"""intervals.onnx: prediction intervals as statsmodels has them, in any host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import statsmodels.api as sm

import gradline
from gradline.commands.group import run
from gradline_export import export_package
from gradline_export.freeze.intervals import LEVELS, interval_terms, prove_intervals
from gradline_trainer import Fit, fit

Array = np.ndarray[Any, np.dtype[np.float64]]


def answers(package: Path, rows: Array, level: str = "0.95") -> list[Array]:
    """Return y, lower, upper and leverage as any host gets them."""
    manifest = json.loads((package / "manifest.json").read_text())
    session = ort.InferenceSession(package / "intervals.onnx")
    quantile = np.array(manifest["intervals"]["quantiles"][level])
    return list(session.run(["y", "lower", "upper", "leverage"], {"x": rows, "quantile": quantile}))


def table(seed: int, n: int, d: int, k: int, offset: float, scale: float) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    X = (random.standard_normal((n, d)) @ random.standard_normal((d, d)) + offset) * scale
    Y = X @ random.standard_normal((d, k)) / scale + random.standard_normal((n, k)) + 3
    return X, Y


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    ("n", "d", "k", "offset", "scale"),
    [
        (40, 3, 2, 0, 1),
        (500, 8, 1, 5, 1),
        (60, 4, 3, 0, 2.0**27),
        (60, 4, 3, 2, 2.0**-27),
        (7, 2, 2, 1, 1),
    ],
)
@pytest.mark.parametrize("arithmetic", ["fast", "exact"])
def test_they_are_statsmodels_intervals(
    n: int, d: int, k: int, offset: float, scale: float, weighted: bool, bias: bool,
    arithmetic: str, tmp_path: Path,
) -> None:  # fmt: skip
    X, Y = table(n, n, d, k, offset, scale)
    weights = np.random.default_rng(1).uniform(0.2, 3, n) if weighted else None
    found = fit((X, Y), bias=bias, sample_weight=weights, arithmetic=arithmetic, dtype="float64")
    package = export_package(found, tmp_path, "m", intervals=True, report=False)
    near, far = X[:5] + scale * 0.1, X[:5] * 50
    rows = np.vstack([near, far])
    # A power of two changes no digit, and statsmodels loses some where columns differ in size.
    design, asked = X / scale, rows / scale
    if bias:
        design = sm.add_constant(design, prepend=False)
        asked = sm.add_constant(asked, prepend=False, has_constant="add")
    for level in ("0.5", "0.95", "0.999"):
        y, lower, upper, leverage = answers(package, rows, level)
        for j in range(k):
            model = sm.WLS(Y[:, j], design, weights=1.0 if weights is None else weights).fit()
            frame = model.get_prediction(asked).summary_frame(alpha=1 - float(level))
            width = (frame["obs_ci_upper"] - frame["obs_ci_lower"]).to_numpy()
            for ours, theirs in ((y, "mean"), (lower, "obs_ci_lower"), (upper, "obs_ci_upper")):
                assert np.abs(ours[:, j] - frame[theirs].to_numpy()).max() <= 1e-9 * width.max()
            share = frame["mean_se"].to_numpy() ** 2 / model.scale
            assert leverage == pytest.approx(share, rel=1e-9)


def test_a_large_offset_costs_no_digits(tmp_path: Path) -> None:
    X, Y = table(3, 80, 3, 1, 0, 1)
    whole = np.round(X * 1024) / 1024  # so that the offset is added without rounding
    near = export_package(
        fit((whole, Y), dtype="float64"), tmp_path, "near", intervals=True, report=False
    )
    far = export_package(
        fit((whole + 2**20, Y), dtype="float64"), tmp_path, "far", intervals=True, report=False
    )
    for one, other in zip(answers(near, whole), answers(far, whole + 2**20), strict=True):
        assert other == pytest.approx(one, rel=1e-9, abs=1e-8)


def test_a_dependent_feature_takes_no_freedom(tmp_path: Path) -> None:
    X, Y = table(4, 30, 3, 1, 0, 1)
    with_copy = np.column_stack([X, 2 * X[:, 0], np.full(30, 7.0)])
    paths = [
        export_package(fit((rows, Y), dtype="float64"), tmp_path, name, intervals=True)
        for rows, name in ((X, "plain"), (with_copy, "copied"))
    ]
    for one, other in zip(answers(paths[0], X), answers(paths[1], with_copy), strict=True):
        assert other == pytest.approx(one, rel=1e-9)


@pytest.fixture(scope="module")
def package(orchard_fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_package(orchard_fit, tmp_path_factory.mktemp("i"), "orchard", intervals=True)


def test_the_graph_is_float64_core_operators_with_nothing_outside(package: Path) -> None:
    model = onnx.load(package / "intervals.onnx", load_external_data=False)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    assert {node.op_type for node in model.graph.node} == {
        "Gemm", "Sub", "MatMul", "ReduceSumSquare", "Add", "Squeeze", "Sqrt", "Mul",
    }  # fmt: skip
    assert all(not t.external_data for t in model.graph.initializer)
    assert [i.name for i in model.graph.input] == ["x", "quantile"]
    assert [o.name for o in model.graph.output] == ["y", "lower", "upper", "leverage"]
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE


def test_the_manifest_has_the_quantiles_and_the_hash(package: Path) -> None:
    from scipy.stats import t

    manifest = json.loads((package / "manifest.json").read_text())
    found = manifest["intervals"]
    assert found["degrees_of_freedom"] == 1  # five rows, four coefficients
    assert list(found["quantiles"]) == list(map(str, LEVELS))
    assert found["quantiles"]["0.9"] == pytest.approx(t.ppf(0.95, 1), rel=1e-12)
    assert "intervals.onnx" in manifest["files"]
    assert run(["verify", str(package)]) == 0


def test_inspect_tells_of_them(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(package)]) == 0
    assert "intervals  at 95 % at least apples ± 27.9; oranges ± 1.95 (1 degrees" in (
        capsys.readouterr().out
    )


def test_the_model_itself_is_the_same_bytes_without(package: Path, orchard_package: Path) -> None:
    for file in ("model.onnx", "model.pt", "golden.json"):
        assert (package / file).read_bytes() == (orchard_package / file).read_bytes()
    assert not (orchard_package / "intervals.onnx").exists()


def test_a_changed_graph_is_noticed(package: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(package, tmp_path / "1"))
    data = bytearray((copy / "intervals.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "intervals.onnx").write_bytes(data)
    assert run(["verify", str(copy)]) == 1


def test_the_same_fit_gives_the_same_bytes(orchard_fit: Fit) -> None:
    assert interval_terms(orchard_fit).to_onnx() == interval_terms(orchard_fit).to_onnx()


@pytest.mark.parametrize("what", ["weights", "whitening", "deviation", "centre"])
def test_a_graph_that_computes_something_else_is_refused(what: str, orchard_fit: Fit) -> None:
    from dataclasses import replace

    terms = interval_terms(orchard_fit)
    off = replace(terms, **{what: getattr(terms, what) * (1 + 1e-12)})
    rows = np.array([[73.0, 67, 43], [91, 88, 64]])
    prove_intervals(terms, terms.to_onnx(), rows, 12.7)
    with pytest.raises(gradline.RefusedError, match=r"intervals\.onnx is off by"):
        prove_intervals(terms, off.to_onnx(), rows, 12.7)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "ridge": ({"ridge": 1.0}, "a penalty biases the weights"),
    "no optimum": (
        {"preconditioning": "none", "epochs": 3, "learning_rate": 1e-3},
        "stopped before the optimum",
    ),
}


@pytest.mark.parametrize(("options", "why"), REFUSED.values(), ids=REFUSED)
def test_a_fit_that_can_have_none_is_refused(
    options: dict[str, Any], why: str, tmp_path: Path
) -> None:
    X, Y = table(5, 20, 2, 1, 0, 1)
    with pytest.raises(gradline.RefusedError, match=why) as caught:
        export_package(fit((X, Y), **options), tmp_path, "m", intervals=True)
    assert caught.value.code == "no-intervals"
    assert not (tmp_path / "m").exists()


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    X, Y = table(6, 4, 3, 1, 0, 1)
    with pytest.raises(
        gradline.RefusedError, match="4 rows leave no degree of freedom beside 4 coefficients"
    ):
        export_package(fit((X, Y)), tmp_path, "m", intervals=True)


def test_the_command_refuses_a_penalty_before_it_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for ridge in ("1", "auto"):
        words = ["train-and-export", "-o", str(tmp_path), "--intervals", "--ridge", ridge]
        assert run(words) == 1
        told = capsys.readouterr().err
        assert "no intervals: a penalty biases the weights" in told
        assert "leave out one of --intervals and --ridge" in told
    assert run(["train-and-export", "-o", str(tmp_path), "--intervals", "-q"]) == 0
    assert (tmp_path / "orchard" / "1" / "intervals.onnx").exists()
