"""Numbers, equations and the report, as people read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradline.formatting import (
    chance,
    count,
    equation_lines,
    equation_sides,
    label,
    number,
    scientific,
    to_error,
)
from gradline.presentation.selection import tolerances
from gradline.terminal.layout import aligned
from gradline_trainer import fit
from gradline_trainer.statistics.figures import column_record


def equations(*arguments: Any) -> list[str]:
    return equation_lines(equation_sides(*arguments))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.98057, "0.981"),
        (-1.6376, "-1.64"),
        (999.4, "999"),
        (999.6, "1,000"),
        (123456.7, "123,457"),
        (1.234e6, "1.23e6"),
        (-2.5e-5, "-2.5e-5"),
        (1e7, "1e7"),
        (float("inf"), "inf"),
    ],
)
def test_a_number_has_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_exponents_are_written_without_padding() -> None:
    assert scientific(1.117e-4) == "1.117e-4"
    assert scientific(1e300, 1) == "1.0e300"


def test_an_amount_agrees_with_its_noun() -> None:
    assert (count(0, "row"), count(1, "row"), count(2000, "row")) == (
        "0 rows",
        "1 row",
        "2,000 rows",
    )


def test_equations_are_in_the_columns_own_names() -> None:
    weights = np.array([[-0.388, 0.0, 2.0], [1.0, -1.0, 0.0]])
    lines = equations(weights, np.array([-1.5, 0.0]), ["a", "b", "c"], ["y", "long"])
    assert lines == ["y    = -0.388·a + 2·c - 1.5", "long = 1·a - 1·b"]
    assert equations(np.zeros((1, 1)), np.zeros(1), ["a"], ["y"]) == ["y = 0"]


def test_a_long_equation_counts_the_rest() -> None:
    names = [f"x{j}" for j in range(300)]
    (line,) = equations(np.ones((1, 300)), np.ones(1), names, ["y"])
    assert line.endswith("1·x19 + 1 + … (280 more features)")


def test_names_are_shown_short_and_without_control_characters() -> None:
    assert label("rain\nfall\x1b[31m \u202e") == "rain�fall�[31m �"
    assert label("x" * 500) == "x" * 39 + "…"
    assert label("") == "(no name)"
    (line,) = equations(np.ones((1, 1)), np.zeros(1), ["a\nb"], ["y" * 500])
    assert line == "y" * 39 + "… = 1·a�b"


def test_a_table_is_aligned_by_its_widest_cells() -> None:
    assert aligned([["a", "1"], ["long", "22"]]) == ["  a      1", "  long  22"]


def test_the_report_says_the_numbers(orchard_package: Path) -> None:
    page = (orchard_package / "report.html").read_text()
    for said in (
        "orchard",
        "0.981",
        "0.999188",
        "-0.388",
        "3 epochs",
        "rate was 1; rates of 2 or more diverge",
    ):
        assert said in page


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.10057, 0.002, "1.1006"),
        (1.1, 0.002, "1.1000"),
        (-0.3881, 0.0914, "-0.388"),
        (123456.7, 0.5, "123,456.70"),
        (1.23456e9, 12_345, "1.234560e9"),
        (-1.6376, 10.8, "-1.64"),
        (0.28, 0.0447, "0.280"),
        (0.0, 0.1, "0"),
        (2.0, 0.0, "2"),
        (2.0, 1e-300, "2.0000000000000000"),
        (0.5, None, "0.5"),
        (None, 0.5, "–"),
    ],
)
def test_an_estimate_has_two_digits_of_its_error(
    value: float | None, error: float | None, text: str
) -> None:
    assert to_error(value, error) == text


def test_a_probability_of_nearly_0_is_no_0() -> None:
    assert [chance(p) for p in (None, 1.0, 1e-300, 0.0)] == ["–", "1", "1e-300", "<1e-300"]


def test_a_long_equation_keeps_the_most_telling_features_in_order() -> None:
    names = [f"x{j}" for j in range(21)]
    weights = np.array([np.arange(1.0, 22), np.arange(21.0, 0, -1)])
    telling = weights * [1, *[10] * 19, np.nan]
    lines = equations(weights, np.zeros(2), names, ["y", "z"], telling)
    assert "x20" not in lines[0]
    assert lines[0].startswith("y = 1·x0 + 2·x1 + ")
    assert lines[0].endswith("20·x19 + … (1 more feature)")
    swapped = equations(weights[:1], np.zeros(1), names, ["y"], weights[:1])
    assert swapped[0].startswith("y = 2·x1 + 3·x2 + ")
    assert "21·x20 + …" in swapped[0]


@given(st.integers(0, 2**32))
@example(135026186)  # a bias of one digit
@example(5345)
def test_a_printed_equation_answers_within_a_hundredth_of_the_residual(seed: int) -> None:
    generator = np.random.default_rng(seed)
    d = int(generator.integers(1, 9))
    x = generator.normal(size=(40, d)) * 10.0 ** generator.integers(-3, 4, d)
    x += 10.0 ** generator.integers(-2, 4, d)
    weights = generator.normal(size=d) / x.std(axis=0)
    y = x @ weights + generator.normal(size=40) * 10.0 ** generator.integers(-3, 1) + 5
    found = fit((x, y), arithmetic="fast")
    columns = column_record(found)
    deviation = found.metrics["training"]["y0"].rmse
    manifest = {"columns": columns, "metrics": {"training": {"y0": {"rmse": deviation}}}}
    allowed = tolerances(manifest, found.features, ["y0"])
    W, b = found.weights.numpy(), found.bias.numpy()
    ((_, right),) = equation_sides(W, b, found.features, ["y0"], tolerances=allowed)
    answers = np.zeros(40)
    for sign, number_, name in re.findall(r"(^|- |\+ |-)([0-9.,e-]*[0-9])(?:·x(\d))?", right):
        value = float(number_.replace(",", "")) * (-1 if "-" in sign else 1)
        answers += value * (x[:, int(name)] if name else 1)
    assert np.abs(answers - (x @ W[0] + b[0])).max() <= 0.01 * deviation * (1 + 1e-6)
