"""Which rows are held out and which fold they get: dealt evenly, and the same for good."""

from __future__ import annotations

import numpy as np
import pytest

from gradline.tables import Block
from gradline_trainer import fit
from gradline_trainer.options import Options
from gradline_trainer.rows.dealing import dealt_folds, held_out_rows


def block(rows: int, start: int = 0, part: int = 0) -> Block:
    return Block(part, start, (np.zeros((rows, 1)),))


def held(rows: int, fraction: float, start: int = 0, part: int = 0, seed: int = 0) -> list[int]:
    options = Options(holdout=fraction, seed=seed)
    return np.flatnonzero(held_out_rows(block(rows, start, part), options)).tolist()


def test_the_same_rows_are_held_out_for_good() -> None:
    """A model that is trained again is measured on the same rows, whatever gradline's version."""
    assert held(100, 0.1) == HELD
    assert held(100, 0.1, seed=1) != HELD
    assert held(100, 0.1, part=1) != HELD
    assert held(200, 0.1)[:10] == HELD
    assert [row + 100 for row in held(100, 0.1, start=100)] == held(200, 0.1)[10:] != HELD


HELD = [0, 11, 12, 19, 37, 46, 55, 59, 76, 92]


@pytest.mark.parametrize(
    ("fraction", "of_100"), [(0.29, 29), (0.57, 57), (0.58, 58), (0.994, 99), (0.01, 1), (0.005, 0)]
)
def test_the_fraction_is_rounded_to_whole_rows_of_each_hundred(
    fraction: float, of_100: int
) -> None:
    """0.29·100 is 28.999999999999996 in float64, and 29 rows."""
    assert len(held(100, fraction)) == of_100
    assert len(held(300, fraction)) == 3 * of_100


@pytest.mark.parametrize(("rows", "count"), [(10, 2), (7, 1), (99, 20), (3, 1)])
def test_a_part_of_fewer_rows_is_dealt_as_a_whole(rows: int, count: int) -> None:
    assert len(held(rows, 0.2)) == count


def test_the_folds_have_nothing_to_do_with_the_holdout() -> None:
    options = Options(holdout=0.5, folds=100, ridge="auto")
    out = held_out_rows(block(100), options)
    folds = dealt_folds(block(100), options.folds, options.seed)
    assert folds is not None
    assert sorted(folds.tolist()) == list(range(100))
    assert 30 <= int((out == (folds < 50)).sum()) <= 70  # a half, by chance


def test_every_row_is_read_and_counts_once() -> None:
    rows = 200
    x = np.arange(rows, dtype=float)
    y = 2 * x + np.cos(x)
    x[::7] = np.nan
    found = fit({"x": x, "y": y}, "y", missing="drop", holdout=0.3, keep_moments=True).gathered
    assert found is not None
    assert (found.rows_read, found.rows_dropped) == (rows, len(x[::7]))
    out = {row for row in held(rows, 0.3) if row % 7}
    assert found.rows_held_out == len(out)
    assert found.moments.rows == rows - len(x[::7]) - len(out)
