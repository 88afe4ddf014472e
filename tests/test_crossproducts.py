"""Cross-products of blocks of any layout, against their definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline_trainer import fit
from gradline_trainer.moments import crossproducts
from gradline_trainer.moments.crossproducts import cross_products
from gradline_trainer.rows.library_state import in_threads

LAYOUTS = {
    "rows": lambda values: values,
    "columns": np.asfortranarray,
    "strided": lambda values: np.repeat(values, 2, axis=1)[:, ::2],
    "float32": lambda values: values.astype(np.float32),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("rows", "width"), [(1, 3), (63, 1), (64, 2), (5001, 7), (300, 290)])
def test_cross_products_are_their_definition(
    rows: int, width: int, layout: str, weighted: bool
) -> None:
    rng = np.random.default_rng(rows + width)
    left: NDArray[Any] = LAYOUTS[layout](rng.standard_normal((rows, width)) * 3 + 1e4)
    right = rng.standard_normal((rows, 2))
    weights = rng.random(rows) if weighted else None
    found = cross_products([left, right], weights)
    values = np.hstack([left, right]).astype(np.float64)
    centred = values - found.shift
    heavy = centred if weights is None else centred * weights[:, None]
    size = np.abs(centred).T @ np.abs(heavy)
    assert (np.abs(found.products - centred.T @ heavy) <= 1e-13 * size).all()
    assert (found.products == found.products.T).all()
    np.testing.assert_allclose(found.sums, heavy.sum(axis=0), rtol=1e-9, atol=1e-8)
    np.testing.assert_array_equal(found.minimum, values.min(axis=0))
    np.testing.assert_array_equal(found.maximum, values.max(axis=0))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_device_gives_the_same_sums(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossproducts, "ON_DEVICE", 4000)  # several pieces
    rng = np.random.default_rng(7)
    parts = [rng.standard_normal((5001, 7)).astype(np.float32) + 100, rng.random((5001, 2))]
    weights = rng.random(5001) if weighted else None
    here = cross_products(parts, weights)
    there = crossproducts._on_device(parts, weights, "cpu")
    for name in ("shift", "minimum", "maximum"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
    np.testing.assert_allclose(there.sums, here.sums, rtol=0, atol=1e-9)
    np.testing.assert_allclose(there.products, here.products, rtol=0, atol=1e-9)


def test_the_shift_is_near_the_mean_however_the_rows_are_ordered() -> None:
    values = np.zeros((65_536, 32))
    values[::16] = 1e6  # as often as a row is sampled
    found = cross_products([values], None)
    spread = values.std(axis=0)
    assert (abs(found.shift - values.mean(axis=0)) <= 4 * spread).all()


def test_a_constant_column_has_products_of_0() -> None:
    values = np.full((10_000, 2), 0.1)
    values[:, 1] = np.arange(10_000)
    found = cross_products([values], None)
    assert found.products[0].tolist() == [0, 0]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    assert list(in_threads(lambda item: -item, iter(range(count)))) == [-i for i in range(count)]


def test_an_error_in_a_thread_reaches_the_reader() -> None:
    def work(item: int) -> float:
        return 1 / (item - 20)

    with pytest.raises(ZeroDivisionError):
        list(in_threads(work, range(40)))


@pytest.mark.parametrize(("odd", "what"), [(np.nan, "missing"), (np.inf, "infinite")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_that_is_no_number_is_found_in_any_block(
    odd: float, what: str, dtype: type[np.floating[Any]]
) -> None:
    values = np.random.default_rng(1).standard_normal((140_000, 10)).astype(dtype)
    values[70_000, 3] = odd
    with pytest.raises(InputError, match=rf"'x3' has 1 {what} value, the first in row 70001 of"):
        fit(values, values[:, 0])
    if what == "missing":
        found = fit(values, values[:, 0], missing="drop")
        assert (found.rows_dropped, found.moments.rows) == (1, 139_999)
