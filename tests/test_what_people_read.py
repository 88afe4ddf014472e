"""Numbers, equations and the report, as people read them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gradline.wording import aligned, count, equations, label, number, scientific
from gradline_export import export_package
from gradline_trainer import fit


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
    assert line.endswith("1·x7 + 1 + … (292 more features)")


def test_names_are_shown_short_and_without_control_characters() -> None:
    assert label("rain\nfall\x1b[31m \u202e") == "rain�fall�[31m �"
    assert label("x" * 500) == "x" * 39 + "…"
    (line,) = equations(np.ones((1, 1)), np.zeros(1), ["a\nb"], ["y" * 500])
    assert line == "y" * 39 + "… = 1·a�b"


def test_a_table_is_aligned_by_its_widest_cells() -> None:
    assert aligned([["a", "1"], ["long", "22"]]) == ["  a      1", "  long  22"]


def report_of(tmp_path: Path, features: list[str], targets: list[str]) -> str:
    random = np.random.default_rng(0)
    x = random.standard_normal((50, len(features)))
    y = random.standard_normal((50, len(targets)))
    path = export_package(fit((x, y), targets, features), tmp_path, "model")
    return (path / "report.html").read_text()


def test_the_report_escapes_every_name(tmp_path: Path) -> None:
    hostile = '<script>alert("1")</script>'
    page = report_of(tmp_path, [hostile, "x{{ 7*7 }}", "emoji 🍎"], ["</pre><img src=x>"])
    assert hostile not in page
    plain = report_of(tmp_path, ["a", "b", "c"], ["y"])
    assert page.count("<script") == plain.count("<script")
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "x{{ 7*7 }}" in page
    assert "emoji 🍎" in page


def test_the_report_needs_no_network_and_says_the_numbers(orchard_package: Path) -> None:
    page = (orchard_package / "report.html").read_text()
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?:", page)
    for said in ("orchard", "0.981", "0.999188", "-0.388", "3 epochs", "1 (stable below 2)"):
        assert said in page


def test_the_report_of_a_wide_table_stays_small(tmp_path: Path) -> None:
    page = report_of(tmp_path, [f"x{j}" for j in range(300)], [f"y{j}" for j in range(50)])
    assert "The first 8 of 50 targets." in page
    assert len(page) < 300_000
