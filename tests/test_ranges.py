"""A training range ends at the value that the graph gets, not one step of its dtype later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradline
from gradline.explain.leverage import TILE, LeverageLimit
from gradline.explain.ranges import Ranges
from gradline_export import export_package
from gradline_trainer import fit

ENDS = [0.1, 0.3, 0.7, 1 / 3, -0.1, 1e-40, 16777217.0, 1e30]  # above and below their float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("end", ENDS)
def test_the_last_value_inside_is_the_end_itself_in_the_graphs_dtype(
    end: float, dtype: type
) -> None:
    columns = {"x": {"minimum": end, "maximum": end, "deviation": 1.0}}
    ranges = Ranges.of({"columns": columns}, ["x"], np.dtype(dtype))
    inside = dtype(end)
    below, above = (np.nextafter(inside, dtype(away)) for away in (-np.inf, np.inf))
    found = ranges.outside(np.array([[inside], [below], [above]]))
    assert found.rows.tolist() == [1, 2]
    assert found.beyond[0, 0] < 0 < found.beyond[1, 0]


def test_a_value_below_the_minimum_is_outside_a_float32_model(tmp_path: Path) -> None:
    table = {"x": [0.1, 0.2, 0.3], "y": [1.0, 2.0, 2.5]}
    path = export_package(fit(table, "y", dtype="float32"), tmp_path, "m", report=False)
    model = gradline.load(path)
    rows = np.array([[0.099999994], [0.1], [0.3], [0.30000004]], np.float32)
    _, outside = model.predict(rows, check=True)
    assert outside.rows.tolist() == [0, 3]


# The limit on the leverage


def beyond(centre: float, steps: list[float], distance: float, rows: int) -> list[bool]:
    """Whether rows, `steps` from 1e6, are farther than `distance` from the centre, in float32."""
    leverage = LeverageLimit(0.5, np.array([centre]), np.array([[1.0]]), 0.5 + distance**2)
    block = np.full((rows, 1), centre, np.float32)
    block[: len(steps), 0] = 1e6 + np.array(steps)
    found = leverage.beyond(block)
    np.testing.assert_array_equal(found, leverage(block) > leverage.limit)
    return [bool(flag) for flag in found[: len(steps)]]


@pytest.mark.parametrize("rows", [8, 2 * TILE])
def test_the_rounding_of_the_centre_hides_no_row_near_the_limit(rows: int) -> None:
    """Float32 holds 1e6 + 0.03 as 1e6, which makes a row below it look 0.03 nearer than it is."""
    assert beyond(1e6 + 0.03, [-0.5, 0.5], 0.52, rows) == [True, False]
    assert beyond(1e6 - 0.03, [-0.5, 0.5], 0.52, rows) == [False, True]
    assert beyond(1e6, [-0.5, 0.5], 0.52, rows) == [False, False]
