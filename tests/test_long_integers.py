"""Integers of any length are refused with their column and row, whatever carries them."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gradline
from gradline.columns.encoding import in_order
from gradline.serve.protocol.errors import RequestError
from gradline.serve.protocol.inference import infer
from gradline.serve.protocol.served_model import ServedModel
from gradline_export import export_package
from gradline_trainer import fit
from odd import BODY, ROWS, command, package_of_rows, refusal

LONG = 10**5000 - 1  # of 5,000 nines
TO_PREDICT = "correct it, or write it with a point (1e16, 123.0) to have it rounded"
SHOWN = f"{'9' * 24}… (5,000 digits)"


def kind(value: object) -> str:
    return type(value).__name__


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a and b."""
    return package_of_rows(tmp_path_factory.mktemp("p"))


@pytest.fixture(scope="module")
def model(package: Path) -> gradline.Model:
    return gradline.load(package)


@pytest.mark.parametrize("cell", ["9" * 5000, f" {'9' * 5000} ", f"+{'9' * 5000}"])
def test_a_long_integer_in_a_text_file_is_named_in_training_and_prediction(
    cell: str, package: Path, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"a,b,y\n{BODY}{cell},1,2\n")
    shown = cell.strip()[:24]
    expected = (
        f"the column 'a' holds the integer {shown}… (5,000 digits) in row 13 of t.csv: float64 is "
        "exact only up to 2^53"
    )
    assert str(refusal(lambda: fit(table, "y"))) == expected
    for options in ([], ["--keep", "a"]):
        assert command("predict", package, table, *options) == (
            2,
            f"Error: {expected}\n  {TO_PREDICT}\n",
        )


@pytest.mark.parametrize("digits", [20, 30, 40, 5000])
def test_a_long_integer_in_ndjson_is_named(digits: int, tmp_path: Path) -> None:
    table = tmp_path / "t.ndjson"
    lines = [f'{{"a": {a}, "b": {b}, "y": {y}}}\n' for a, b, y in ROWS]
    table.write_text("".join(lines) + f'{{"a": {"9" * digits}, "b": 1, "y": 2}}\n')
    error = refusal(lambda: fit(table, "y"))
    assert str(error).startswith(f"the column 'a' holds the integer {'9' * 20}")
    assert "in row 13 of t.ndjson: float64 is exact only up to 2^53" in str(error)
    assert error.code == "large-integer"


@pytest.mark.parametrize("value", [LONG, -LONG, 10**40, 2**53 + 1], ids=kind)
@pytest.mark.parametrize("make", [dict, pd.DataFrame], ids=["mapping", "pandas"])
def test_a_long_integer_in_a_column_of_objects_is_no_missing_value(
    value: int, make: Callable[..., Any]
) -> None:
    table = make({"a": [1, 2, 3, 4, 5, value], "b": [1, 0, 3, 2, 4, 1], "y": [2.0, 1, 3, 5, 4, 6]})
    error = refusal(lambda: fit(table, "y"))
    assert "the column 'a' holds the integer " in str(error)
    assert "in row 6 of the table: float64 is exact only up to 2^53" in str(error)
    assert refusal(lambda: fit(table, "y", missing="drop")).code == "large-integer"
    fit(table, "y", exclude="a")


def test_a_long_integer_in_an_array_is_named_by_row_and_column() -> None:
    rows = [[1, 2], [3, LONG], [5, 6]]
    expected = f"X holds the integer {SHOWN} in row 2, column 2: float64 is exact only up to 2^53"
    for X in (rows, np.array(rows, object)):
        assert str(refusal(lambda X=X: fit((X, [1.0, 2.0, 3.0])))) == expected  # type: ignore[misc]
    error = refusal(lambda: fit((np.array([[1], [Decimal("9" * 5000)]]), [1.0, 2.0])))
    assert str(error) == f"X holds {SHOWN} in row 2, column 1, outside the range of float64"


@pytest.mark.parametrize(
    "value",
    [LONG, Decimal(LONG), Fraction(10**400, 3), Decimal("-9e999")],
    ids=kind,
)
def test_a_number_beyond_float64_is_named_in_prediction(value: Any, model: gradline.Model) -> None:
    column = {"a": [1, value], "b": [1, 2]}
    matrix = [[1, 1], [value, 2]]
    for rows in (column, pd.DataFrame(column), matrix, np.array(matrix, object)):
        error = refusal(lambda rows=rows: model.predict(rows))  # type: ignore[misc]
        assert str(error).startswith("the column 'a' holds ")
        assert str(error).endswith(" in row 2, outside the range of float32")
        assert error.code == "out-of-range"


def test_the_hint_about_an_integer_in_prediction_leaves_out_no_column() -> None:
    fitted = fit({"a": [1.0, 2, 4, 7], "k": list("abab"), "y": [1.0, 2, 3, 5]}, "y", ["a", "k"])
    rows = {"a": ["9007199254740993"], "k": ["a"]}
    large = rows | {"y": [1.0]}
    calls = [lambda _: fitted.predict(rows), lambda _: fitted.explain(rows), fitted.evaluate]
    for call in calls:
        error = refusal(lambda call=call: call(large))  # type: ignore[misc]
        assert (error.code, error.hint, error.__notes__) == (
            "large-integer",
            TO_PREDICT,
            [TO_PREDICT],
        )
    rounded = rows | {"a": ["9007199254740993.0"]}
    assert np.isfinite(fitted.predict(rounded)).all()
    assert "exclude='a'" in refusal(lambda: fit(large, "y")).hint


def test_decimals_and_fractions_are_numbers_in_training_as_in_prediction() -> None:
    y = [1.0, 3.0, 2.0, 5.0]
    plain = fit({"a": [0.5, 1.5, 2.5, 3.0], "y": y}, "y")
    for values in (
        [Decimal("0.5"), 1.5, Fraction(5, 2), 3],
        [Decimal(n) / 2 for n in (1, 3, 5, 6)],
    ):
        assert fit({"a": values, "y": y}, "y").weights == plain.weights
        assert fit((np.array(values, object)[:, None], y)).weights == plain.weights
    assert fit({"a": [Decimal("1e-400"), 1, 2, 4], "y": y}, "y").weights.isfinite().all()


def test_a_category_of_long_integers_keeps_every_digit(tmp_path: Path) -> None:
    learned = fit({"a": [LONG, 1, 1, 2], "b": [1, 2, 4, 5], "y": [1.0, 2, 3, 4]}, "y", one_hot="a")
    assert learned.features == ["a=2", f"a={'9' * 5000}", "b"]
    model = gradline.load(export_package(learned, tmp_path, "long"))
    assert np.isfinite(model.predict({"a": [LONG, 1], "b": [1, 2]})).all()
    assert in_order(["10", "9" * 5000, "-3", "9"]) == ("-3", "9", "10", "9" * 5000)


@pytest.mark.parametrize(
    "value", ["9" * 5000, "1" + "0" * 400, "1e400"], ids=["5000", "401", "1e400"]
)
def test_a_long_number_over_http_is_named_by_its_place(value: str, model: gradline.Model) -> None:
    for datatype in ("FP32", "FP64", "INT64"):
        tensor = f'"name":"x","shape":[2,2],"datatype":"{datatype}","data":[1,2,{value},4]'
        body = f'{{"inputs":[{{{tensor}}}]}}'
        with pytest.raises(RequestError) as caught:
            infer(ServedModel(model), body.encode(), None)
        assert str(caught.value).startswith("input 'x': ")
        assert "`$[2]`" in str(caught.value) or "outside the range" in str(caught.value)


def test_a_value_beyond_the_graphs_range_over_http_is_named_by_row_and_feature(
    model: gradline.Model,
) -> None:
    tensor = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 1e300]}
    with pytest.raises(RequestError) as caught:
        infer(ServedModel(model), json.dumps({"inputs": [tensor]}).encode(), None)
    assert str(caught.value).startswith("input 'x': row 1 has a value of 'b' outside the range")
