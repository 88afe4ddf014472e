"""Wide tables: streamed descent finds what the moments find, and says how near it came."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from gradline import load
from gradline.errors import GradlineWarning, InputError, OutputError, RefusedError
from gradline_export import export_package
from gradline_export.freeze.float32 import certify_float32
from gradline_trainer import Fit, LinearRegression, fit, learning
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.rows.passes import merge_all
from gradline_trainer.rows.rows import Rows
from gradline_trainer.wide import scratch, streaming
from gradline_trainer.wide.optimality import WideOptimality
from gradline_trainer.wide.spectrum import largest_eigenvalue

Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def small_tables_are_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "WIDE", 4)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 20_000)  # so that there are many blocks
    monkeypatch.setattr(streaming, "FILE_BLOCK_BYTES", 40_000)


def table(n: int = 900, d: int = 12, k: int = 2, dtype: Any = np.float64) -> tuple[Any, Array]:
    """Correlated features of sizes from 0.01 to 100; the targets are noisy."""
    rng = np.random.default_rng(n + d)
    mixed = rng.standard_normal((n, d)) @ (np.eye(d) + rng.uniform(-0.2, 0.2, (d, d)))
    X = ((mixed + 2) * np.geomspace(0.01, 100, d)).astype(dtype)
    return X, X @ rng.standard_normal((d, k)) + rng.standard_normal((n, k)) + 5


def optimality(found: Fit) -> WideOptimality:
    assert isinstance(found.optimality, WideOptimality)
    return found.optimality


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 30.0])
def test_it_finds_what_the_moments_find(
    dtype: Any, bias: bool, weighted: bool, ridge: float
) -> None:
    X, Y = table(dtype=dtype)
    given_weights = np.random.default_rng(1).integers(0, 4, len(X)) if weighted else None
    options: dict[str, Any] = {"bias": bias, "ridge": ridge, "sample_weight": given_weights}
    found = fit((X, Y), **options, epochs=500)
    expected = fit((X, Y), **options, gradient="moments")
    assert isinstance(found.moments, ColumnMoments)
    assert found.converged or not ridge  # else nothing bounds the gap
    scale = X.astype(np.float64).std(axis=0)
    learned, known = (f.weights.numpy() * scale for f in (found, expected))
    np.testing.assert_allclose(learned, known, atol=1e-6 * np.abs(known).max())
    for target, metric in (expected.metrics["training"] or {}).items():
        assert (found.metrics["training"] or {})[target].rmse == pytest.approx(metric.rmse)
    certificates = [
        certify_float32(
            f.moments,
            found.weights.numpy(),
            found.bias.numpy(),
            np.ones(2),
            f.features,
            f.targets,
            f.partial_sums,
        )
        for f in (found, expected)
    ]
    assert certificates[0].error == pytest.approx(certificates[1].error, rel=1e-6)


def test_without_preconditioning_it_starts_as_the_tutorial_does() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 6))
    Y = X[:, :2] + rng.standard_normal((300, 2))
    options: dict[str, Any] = {"preconditioning": "none", "learning_rate": 0.1, "seed": 3}
    options |= {"epochs": 30, "tolerance": 0}
    streamed = fit((X, Y), **options, momentum=0)
    rows = fit((X, Y), **options, gradient="moments")
    np.testing.assert_allclose(streamed.history, rows.history, rtol=1e-9)
    np.testing.assert_allclose(streamed.weights.numpy(), rows.weights.numpy(), rtol=1e-9)


def test_a_file_is_parsed_once_and_gives_the_bits_of_its_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, Y = table()
    names = [f"x{j}" for j in range(X.shape[1])]
    frame = pl.DataFrame(X, schema=names).with_columns(pl.DataFrame(Y, schema=["y0", "y1"]))
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=130)
    passes: list[int] = []
    read = scratch.Scratch.append
    monkeypatch.setattr(
        scratch.Scratch, "append", lambda s, rows: (passes.append(len(rows[2])), read(s, rows))[1]
    )
    options: dict[str, Any] = {"ridge": 1.0, "holdout": 0.2, "epochs": 20}
    from_file = fit(tmp_path / "t.parquet", ["y0", "y1"], **options)
    from_memory = fit((X, Y), **options)
    assert sum(passes) == len(X)
    assert from_file.rows_held_out == from_memory.rows_held_out == 180
    np.testing.assert_allclose(from_file.weights.numpy(), from_memory.weights.numpy(), rtol=1e-10)
    held = [f.metrics["held_out"] or {} for f in (from_file, from_memory)]
    assert held[0]["y1"].rmse == pytest.approx(held[1]["y1"].rmse, rel=1e-10)


def test_rows_come_back_from_the_scratch_file_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    with scratch.Scratch(4) as kept:
        check_scratch(kept, rng)


def check_scratch(kept: scratch.Scratch, rng: np.random.Generator) -> None:
    narrow = rng.standard_normal((10, 3)).astype(np.float32).astype(np.float64)
    wide_values = np.asfortranarray(rng.standard_normal((10, 2)))
    kept.append((2, 65_536, Rows((narrow, wide_values), 3, wide_values[:, 0], None, 7)))
    for _ in range(2):
        assert [place for *place, _ in kept] == [[2, 65_536]] * 3
        blocks = [rows for *_, rows in kept]
        assert [block.first for block in blocks] == [7, 11, 15]
        assert [len(block) for block in blocks] == [4, 4, 2]
        assert np.array_equal(np.vstack([b.features for b in blocks]), narrow)
        assert np.array_equal(np.vstack([b.targets for b in blocks]), wide_values)
        assert np.array_equal(np.hstack([b.weights for b in blocks]), wide_values[:, 0])
    kept.file.seek(0, os.SEEK_END)
    assert kept.file.tell() == 30 * 4 + 20 * 8 + 10 * 8


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
def test_a_full_disk_is_named() -> None:
    with (
        scratch.Scratch(4, Path("/dev/full").open("wb")) as full,
        pytest.raises(OutputError, match="no room for a wide table's rows") as caught,
    ):
        full.append((0, 0, Rows((np.ones((2, 3)), np.ones((2, 1))), 3, None)))
    assert "TMPDIR" in caught.value.hint


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.booleans())
def test_the_bounds_hold_the_gap(seed: int, d: int, bias: bool) -> None:
    rng = np.random.default_rng(seed)
    n, epochs = int(rng.integers(5, 80)), int(rng.integers(1, 30))
    X = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-2, 3, d) + rng.uniform(-5, 5, d)
    y = X @ rng.standard_normal(d) + rng.standard_normal(n)
    ridge = float(10.0 ** rng.integers(-3, 2)) * n
    learning.WIDE = 1
    found = fit((X, y), ridge=ridge, bias=bias, epochs=epochs)
    Z, t = (X - X.mean(0), y - y.mean()) if bias else (X, y)
    best = np.linalg.solve(Z.T @ Z + ridge * np.eye(d), Z.T @ t)
    least = (np.sum((Z @ best - t) ** 2) + ridge * best @ best) / n
    gap, noise = optimality(found).loss - least, 1e-12 * np.mean(t**2)
    assert optimality(found).gap_at_least - noise <= gap <= optimality(found).gap_at_most + noise


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_the_largest_eigenvalue_is_as_near_as_a_stable_step_needs(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((size, int(rng.integers(1, 2 * size + 1))))
    root *= rng.uniform(0, 1, (size, 1)) ** rng.integers(0, 8)
    matrix = torch.from_numpy(root @ root.T)
    largest = float(torch.linalg.eigvalsh(matrix)[-1])
    found = largest_eigenvalue(lambda v: matrix @ v, size, seed)
    assert 0.75 * largest <= found <= 1.35 * largest


def test_column_moments_are_the_diagonal_of_the_moments() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.standard_normal((50, 4)) + 1e8, rng.uniform(0.5, 2, 50)
    whole = Moments.of(values, weights)
    parts = (slice(0, 7), slice(7, 30), slice(30, 50))
    merged = merge_all(ColumnMoments.of(values[part], weights[part]) for part in parts)
    assert merged is not None
    np.testing.assert_allclose(merged.mean + merged.mean_rest, whole.mean + whole.mean_rest)
    np.testing.assert_allclose(merged.squares, whole.squares, rtol=1e-12)
    assert (merged.rows, merged.minimum[0]) == (50, values[:, 0].min())


def test_without_a_ridge_the_gap_is_unknown_and_said_to_be(tmp_path: Path) -> None:
    X, Y = table()
    X[:, 3] = 2.5
    found = fit((X, Y), epochs=6)
    assert not found.converged
    assert (found.optimality.gap, found.optimality.rmse_at_optimum) == (None, None)
    assert optimality(found).gap_at_most == optimality(found).loss
    constant, streamed, unfinished = found.warnings
    assert constant == "constant, so their weight is 0: 'x3'"
    assert streamed.startswith("a wide table, 12 features: their co-moments would not fit")
    assert re.search(r"between .* and .* above the minimum.*; gradient norm", unfinished)
    path = export_package(found, tmp_path, "wide")
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["training"]["gradient"] == "rows"
    assert manifest["training"]["options"]["preconditioning"] == "standardize"
    assert "wide table" in manifest["training"]["arithmetic_reason"]
    assert manifest["certificates"]["optimality"]["gap"] is None
    assert "The lowest possible loss is unknown." in (path / "report.html").read_text()
    W, b = found.weights.numpy(), found.bias.numpy()
    np.testing.assert_allclose(load(path).predict(X[:5]), X[:5] @ W.T + b, rtol=1e-3)


def test_more_features_than_rows_are_said_to_leave_a_choice() -> None:
    X, Y = table(n=10)
    assert "10 rows for 12 features" in " ".join(fit((X, Y)).warnings)
    assert "fit equally well" not in " ".join(fit((X, Y), ridge=1.0).warnings)


def test_a_rate_too_large_is_refused() -> None:
    X, Y = table(n=200)
    rate = 1.1 * fit((X, Y), momentum=0, epochs=1).largest_stable_rate
    with pytest.raises(RefusedError, match="above the largest stable rate") as caught:
        fit((X, Y), momentum=0, learning_rate=rate, epochs=2000, tolerance=0)
    assert caught.value.code == "diverged"


def test_faults_are_named_as_in_any_table() -> None:
    X, Y = table()
    X[700, 5] = np.nan
    with pytest.raises(InputError, match="'x5' has 1 missing value, the first in row 701"):
        fit((X, Y))
    assert fit((X, Y), missing="drop", epochs=2).rows_dropped == 1


MEASURE = """
import resource, sys
import numpy as np
n, d = 20_000, 30_000
unit = 1 if sys.platform == "darwin" else 1024
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
rng = np.random.default_rng(0)
X = np.empty((n, d), np.float32)
for i in range(0, n, 500):
    X[i : i + 500] = rng.standard_normal((500, d), dtype=np.float32)
y = X[:, :9].sum(axis=1, dtype=np.float64) + rng.standard_normal(n)
from gradline_trainer import fit
fit(([[1], [2], [4]], [1, 2, 3]))
before = peak()
found = fit((X, y), ridge=2000.0, epochs=2)
assert found.history[1] < found.history[0], found.history
print(peak() - before)
"""


@pytest.mark.slow
def test_a_matrix_of_20000_rows_and_30000_columns_takes_less_than_a_gigabyte_beside_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1e9


def test_arrays_of_any_layout_will_do() -> None:
    X, Y = table()
    learning.WIDE = 1
    expected = fit((X, Y), epochs=5)
    for same in (X[:, ::-1].copy()[:, ::-1], np.asfortranarray(X), X[::-1].copy()[::-1]):
        found = fit((same, Y), epochs=5).weights
        torch.testing.assert_close(found, expected.weights, rtol=1e-9, atol=0)


def test_the_estimator_takes_the_same_way() -> None:
    X, Y = table()
    learning.WIDE = 1
    with pytest.warns(GradlineWarning), pytest.warns(ConvergenceWarning):
        found = LinearRegression(epochs=3).fit(X, Y)
    assert found.fit_.optimality.gap is None
    assert torch.equal(found.fit_.weights, fit((X, Y), epochs=3).weights)
