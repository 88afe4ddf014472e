"""Promises that a small fault could break without any other test noticing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import stdtrit

import gradline
from gradline.commands.group import run
from gradline.explain.t_quantile import t_quantile
from gradline.package.comparison import compare
from gradline.package.reading import read_package
from gradline.scoring.changes import measure
from gradline.tables import Dialect, open_files
from gradline.tables.numbers import clean
from gradline_export import export_package
from gradline_export.freeze.intervals import Intervals
from gradline_export.freeze.parity import check_parity
from gradline_export.report.examples import _visible
from gradline_trainer import Fit, fit

# diff


@pytest.fixture
def shared(tmp_path: Path) -> list[Path]:
    """The same table learned with its two targets in either order."""
    random = np.random.default_rng(3)
    x = random.normal(size=30)
    table = {"x": x, "a": 2 * x + 1, "b": -7 * x + random.normal(size=30)}
    pl.DataFrame(table).write_csv(tmp_path / "rows.csv")
    return [
        export_package(fit(table, targets), tmp_path, "m", report=False)
        for targets in (["a", "b"], ["b", "a"])
    ]


def test_diff_pairs_targets_by_name(shared: list[Path], tmp_path: Path) -> None:
    first, second = map(read_package, shared)
    assert first.graph.targets != second.graph.targets
    found = compare(first, second)
    assert found.targets == ["a", "b"]
    np.testing.assert_array_equal(found.weights[0], found.weights[1])
    np.testing.assert_array_equal(found.bias[0], found.bias[1])
    assert found.weights[0, 0] == pytest.approx(2)
    measured = measure(first, second, open_files(str(tmp_path / "rows.csv")), found.targets)
    assert all(change["largest"] == 0 for change in measured.values())


def test_a_change_in_one_of_the_paired_targets_is_told_of_that_one(shared: list[Path]) -> None:
    assert run(["diff", *map(str, shared), "--max-change", "0"]) == 0
    first, second = map(read_package, shared)
    second.graph.bias[second.graph.targets.index("a")] += 1
    found = compare(first, second)
    assert found.bound is not None
    assert found.bound == pytest.approx([1, 0])


# explain


def test_explain_fills_what_is_missing_as_predict_does(tmp_path: Path) -> None:
    table = {"x": [1.0, None, 3.0, 5.0], "z": [2.0, 0.0, 1.0, None], "y": [1.0, 2.0, 3.5, 4.0]}
    frame = pl.DataFrame(table)
    model = gradline.load(export_package(fit(frame, "y", missing="mean"), tmp_path, "m"))
    for rows in (frame, np.array([[np.nan, 1], [2, np.nan], [np.nan, np.nan]])):
        found = model.explain(rows)
        summed = found.baseline + found.contributions.sum(axis=2)
        np.testing.assert_allclose(summed, model.predict(rows), rtol=1e-6)
        assert np.isfinite(summed).all()


# What is proved before anything is published


def test_intervals_are_proved_before_they_are_published(
    orchard_fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    honest = Intervals.to_onnx

    def dishonest(self: Intervals, *arguments: Any) -> bytes:
        return honest(replace(self, deviation=self.deviation * 1.001), *arguments)

    monkeypatch.setattr(Intervals, "to_onnx", dishonest)
    with pytest.raises(gradline.RefusedError, match=r"of intervals\.onnx is off by") as caught:
        export_package(orchard_fit, tmp_path, "orchard", intervals=True)
    assert caught.value.code == "no-parity"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1, 7, 40])
def test_parity_is_asked_of_a_row_alone_of_few_and_of_all(size: int) -> None:
    """Libraries take other kernels for other batches, and each may be the wrong one."""
    weights, bias = np.eye(2, dtype=np.float32), np.array([0.5, 0.25], np.float32)
    rows = np.arange(80, dtype=np.float32).reshape(40, 2)

    def right(x: Any) -> Any:
        return x @ weights.T + bias

    def wrong_in_batches_of_this_size(x: Any) -> Any:
        return right(x) + np.float32(len(x) == size)

    check_parity({"right": right}, rows, weights, bias)
    with pytest.raises(gradline.RefusedError, match="no parity: Abacus answers"):
        check_parity({"Abacus": wrong_in_batches_of_this_size}, rows, weights, bias)


# What training decides


def test_of_levels_as_frequent_the_first_by_code_point_is_the_reference() -> None:
    """Though levels that are all integers stand in numeric order."""
    table = {"t": [9, 10, 9, 10, 100, 9, 10], "y": [1.0, 2, 1, 2, 3, 1.5, 2.5]}
    (column,) = fit(table, "y", one_hot="t").columns.inputs
    assert column.levels == ("9", "10", "100")
    assert column.reference == "10"


def test_a_target_without_variance_has_no_r2() -> None:
    from gradline_trainer.statistics.metrics import _collect

    found = _collect(np.array([4.0, 0.0]), None, np.array([0.0, 2.0]))
    assert [metrics.r2 for metrics in found] == [None, 1.0]


# Where a version goes


def test_the_next_version_is_above_the_newest_not_the_first_that_is_free(tmp_path: Path) -> None:
    from gradline_export.publish.publishing import publish

    for number in ("1", "5"):
        (tmp_path / "m" / number).mkdir(parents=True)
    assert publish({"a": b""}, tmp_path, "m").name == "6"


# What is read and shown


def test_a_cell_of_blanks_alone_is_missing() -> None:
    text = pl.Series(["", "  ", "\t", " NA ", " x "])
    assert clean(text, Dialect()).to_list() == [None, None, None, None, "x"]
    assert clean(text, Dialect(nulls=())).to_list() == [None, None, None, "NA", "x"]


def test_code_to_copy_shows_every_character_that_it_has() -> None:
    assert _visible('{"a\u202eb\x1b": "ä 🍎"}') == '{"a\\u202eb\\x1b": "ä 🍎"}'


@pytest.mark.parametrize("dof", [201, 205, 250, 1000])
def test_the_expansion_of_students_quantile_has_all_its_terms(dof: int) -> None:
    """At 201 degrees of freedom the term in 1/dof⁴ still shows in the eleventh digit."""
    assert t_quantile(0.95, dof) == pytest.approx(float(stdtrit(dof, 0.975)), rel=2e-12)
