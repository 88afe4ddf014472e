"""The sentences with which a report opens: true, in the columns' units, and silent where they must.

Each is compared with the fit's own numbers, or with the table that it was learned from.
"""

from __future__ import annotations

import math
import re
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gradline_export.report import findings
from gradline_export.report.effects import Spreads, effects_of, part_name
from gradline_export.report.figures import (
    Estimate,
    in_percent,
    mean_of,
    moment_of,
    round_step,
    unmarked,
    with_ends,
)
from gradline_trainer import Fit, fit

RNG = np.random.default_rng(17)
ROWS = 400
PLACE = RNG.choice(["north", "south", "west"], ROWS, p=[0.5, 0.3, 0.2])
SIZE = np.round(RNG.normal(200, 14, ROWS))
NOISE = RNG.standard_normal(ROWS)


def said(found: Fit, k: int = 0, most: int = 3) -> list[str]:
    """Say what a report does of a target's strongest columns."""
    spreads = Spreads.of(found)
    try:
        known: Any = found.summary().to_dict()["targets"][found.targets[k]]
    except Exception:
        known = {}
    return findings.strongest(
        found, k, spreads.strongest(k, effects_of(found)), spreads, known, most
    )


def test_a_number_and_a_level_are_said_with_their_intervals() -> None:
    mass = 3000 + 18 * SIZE + 800 * (PLACE == "south") - 100 * (PLACE == "west") + 40 * NOISE
    found = fit({"size_mm": SIZE, "place": PLACE, "mass": mass}, "mass")
    level, slope = said(found)
    statistics = found.summary().targets["mass"]
    south, size = (found.features.index(name) for name in ("place=south", "size_mm"))
    for sentence, j in ((level, south), (slope, size)):
        value, lower, upper = map(float, re.findall(r"[\d.]+(?= higher| to|\))", sentence)[-3:])
        assert value == pytest.approx(float(found.weights[0, j]), rel=0.02)
        assert lower == pytest.approx(statistics.lower[j], rel=0.03)
        assert upper == pytest.approx(statistics.upper[j], rel=0.03)
    assert level.startswith("With place south instead of north, mass is ")
    assert slope.startswith("For each 1 more in size_mm, mass is 1")
    assert slope.endswith(").")


def test_less_is_lower_and_what_may_be_nothing_is_said_to_be() -> None:
    found = fit({"a": SIZE, "b": NOISE, "y": -3 * SIZE + RNG.standard_normal(ROWS)}, "y")
    first, second = said(found)
    assert re.fullmatch(
        r"For each 1 more in a, y is [\d.]+ lower \(95 % interval: ([\d.]+) to ([\d.]+)\)\.", first
    )
    assert re.search(r"\(95 % interval: [\d.]+ lower to [\d.]+ higher\)", second)


def test_a_rare_level_is_not_the_one_that_is_told() -> None:
    shop = np.array(["often"] * 200 + ["also"] * 190 + ["rare"] * 10)
    sales = 10.0 * (shop == "also") + 12.0 * (shop == "rare") + NOISE
    (sentence,) = said(fit({"shop": shop, "sales": sales}, "sales"))
    assert sentence.startswith("With shop also instead of often, sales is 9.")


def test_a_logged_target_is_told_in_percent_and_a_large_factor_as_one() -> None:
    price = np.exp(3 + 0.2 * (PLACE == "south") + 1.5 * NOISE + 0.01 * RNG.standard_normal(ROWS))
    found = fit({"place": PLACE, "carat": NOISE, "price": price}, "log(price)")
    slope, level = said(found)
    assert re.fullmatch(
        r"For each 1 more in carat, price is 4\.4\d times as high "
        r"\(95 % interval: 4\.4\d to 4\.\d\d\)\.",
        slope,
    )
    assert re.fullmatch(
        r"With place south instead of north, price is 22\.\d % higher "
        r"\(95 % interval: 2\d\.\d % to 2\d\.\d %\)\.",
        level,
    )
    lower = in_percent(Estimate(math.log(0.8), math.log(0.7), math.log(0.9)))
    assert lower == "20 % lower (95 % interval: 10 % to 30 %)"
    small = in_percent(Estimate(0.07, -0.0005, 0.14))
    assert small == "7.25 % higher (95 % interval: 0.05 % lower to 15.03 % higher)"
    unsure = in_percent(Estimate(math.log(1.1), math.log(0.9), math.log(1.3)))
    assert unsure == "10 % higher (95 % interval: 10 % lower to 30 % higher)"


def test_terms_are_told_in_units_that_people_use() -> None:
    x = np.exp(RNG.normal(2, 1, ROWS))
    (sentence,) = said(fit({"x": x, "y": 10 * np.log(x) + 0.01 * NOISE}, "y", "log(x)"))
    assert sentence.startswith("For 10 % more in x, y is 0.953")
    days = [date(2015, 1, 1) + timedelta(days=3 * j) for j in range(ROWS)]
    trend = 2.0 / 365.25 * 3 * np.arange(ROWS) + 0.001 * NOISE
    (sentence,) = said(fit({"day": days, "y": trend}, "y", "time(day)"))
    assert re.match(r"For each year later in day, y is (2\.0|1\.9)\d+ higher \(", sentence)
    weekend = np.array([d.weekday() >= 5 for d in days])
    (sentence,) = said(fit({"day": days, "y": 5.0 * weekend + 0.01 * NOISE}, "y", "weekday(day)"))
    assert re.match(r"On (Saturday|Sunday) instead of \w+day \(day\), y is 5\.0", sentence)


def test_a_slope_that_depends_on_another_column_is_not_told() -> None:
    y = SIZE * (1 + (PLACE == "south")) + NOISE
    table = {"size": SIZE, "place": PLACE, "y": y}
    sentences = said(fit(table, "y", ["size", "place", "size:place"]))
    assert not any(sentence.startswith(("For each", "With place south")) for sentence in sentences)
    assert any("predictions of y vary by ± " in sentence for sentence in sentences)
    curved = fit({"size": SIZE, "y": SIZE**2 + NOISE}, "y", ["size", "size^2"])
    (sentence,) = said(curved)
    assert sentence.startswith("With size (2 terms together), predictions of y vary by ± ")


def test_without_statistics_nothing_is_claimed() -> None:
    table = {"size": SIZE, "place": PLACE, "y": SIZE + 9 * (PLACE == "west") + NOISE}
    sentences = said(fit(table, "y", ridge=5.0))
    assert len(sentences) == 2
    assert not any("interval" in sentence for sentence in sentences)
    # All levels have a weight then: the largest difference between two of them is told.
    assert any(s.startswith("With place west instead of ") for s in sentences)
    assert findings.how_to_read("the penalty").endswith(" No intervals: the penalty.")
    assert "interval" not in findings.how_to_read("")


def test_what_the_rows_do_not_determine_is_not_told() -> None:
    twice = fit((np.column_stack([SIZE, 2 * SIZE, NOISE]), SIZE + RNG.random(ROWS)))
    first, second, third = said(twice)
    unknown = "No difference is given for {}, because other columns determine it."
    assert {first, second} == {unknown.format("x0"), unknown.format("x1")}
    assert third.startswith("For each 1 more in x2, ")
    exact = fit((SIZE[:, None], 2 * SIZE))  # without error, all are determined
    assert said(exact) == ["For each 1 more in x0, y0 is 2 higher."]


def test_no_sentence_claims_a_cause() -> None:
    table = {"size": SIZE, "place": PLACE, "y": SIZE + 9 * (PLACE == "west") + NOISE}
    words = set(" ".join(said(fit(table, "y"))).lower().split())
    assert not words & {"adds", "causes", "because", "leads", "makes", "raises", "effect"}


def scores(**r2: float | None) -> dict[str, Any]:
    """Make a manifest's metrics of one target."""
    return {
        which: None if value is None else {"y": {"rmse": 2.0, "mae": 1.0, "r2": value}}
        for which, value in r2.items()
    }


def test_the_most_honest_accuracy_is_told() -> None:
    every = scores(training=0.91, held_out=0.75, cross_validated=0.8)
    assert findings.accuracy(every, "y") == [
        "It explains 75 % of the differences in y, on rows that were held out: a prediction is "
        "typically off by 2, the mean alone by 4."
    ]
    folds = findings.accuracy(scores(training=0.91, held_out=None, cross_validated=0.8), "y")
    assert folds[0].startswith("It explains 80 % of the differences in y, cross-validated: ")
    (alone,) = findings.accuracy(scores(training=0.91, held_out=None), "y")
    assert ", on the rows that it was trained on: " in alone


@pytest.mark.parametrize(
    ("r2", "start"),
    [
        (1.0, "It explains 100 % of"),
        (0.9999, "It explains more than 99 % of"),
        (0.001, "It explains less than 1 % of"),
        (0.0, "It predicts y no better than the mean would, "),
        (-3.0, "It predicts y no better than the mean would, "),
    ],
)
def test_nearly_all_is_not_all(r2: float, start: str) -> None:
    (sentence,) = findings.accuracy(scores(training=r2, held_out=None), "y")
    assert sentence.startswith(start)


def test_nothing_is_said_of_a_constant_target_or_of_what_is_not_known() -> None:
    assert findings.accuracy(scores(training=None, held_out=None), "y") == []
    logged = {"training": {"y": {"rmse": None, "mae": None, "r2": None, "r2_log": 0.5}}}
    assert findings.accuracy(logged, "y") == [
        "It explains 50 % of the differences in the logarithm of y, on the rows that it was "
        "trained on."
    ]


def test_many_targets_are_told_by_the_worst_and_the_best() -> None:
    scored: dict[str, Any] = {f"t{j}": {"r2": j / 10} for j in range(9)}
    found: dict[str, Any] = {"training": scored, "held_out": None}
    assert findings.accuracy_of_many(found, [f"t{j}" for j in range(9)]) == [
        "It explains from 0 % (t0) to 80 % (t8) of the differences in the 9 targets, on the rows "
        "that it was trained on."
    ]
    found["training"]["t8"] = {"r2": None, "r2_log": 0.9}
    assert "(t0) to 90 % (t8)" in findings.accuracy_of_many(found, list(found["training"]))[0]


def test_what_was_left_out_and_filled_is_told_with_the_reason() -> None:
    heat = np.where(RNG.random(ROWS) < 0.03, np.nan, SIZE)
    shop = np.where(RNG.random(ROWS) < 0.1, None, PLACE)
    table = {"id": np.arange(ROWS), "heat": heat, "shop": shop, "same": [1] * ROWS, "y": NOISE}
    filled = int(np.isnan(heat).sum())
    assert findings.left_out(fit(table, "y")) == [
        "Not used: id (an identifier by its name), same (constant).",
        f"Missing values were filled with the mean: heat ({filled} values).",
        "Missing values are a level of their own in shop.",
    ]
    given = fit({"x": heat, "y": NOISE}, "y", missing="mean", strict=True)
    assert findings.left_out(given) == ["A missing value is filled with the mean: x."]
    assert findings.left_out(fit({"x": SIZE, "y": NOISE}, "y")) == []


def test_one_is_not_several() -> None:
    one = findings.opening(fit({"x": SIZE, "y": NOISE}, "y"))
    assert one == f"Predicts y from 1 column: x. Learned from {ROWS} rows by gradient descent."
    more = fit({"x": SIZE, "p": PLACE, "y": NOISE, "z": NOISE}, ["y", "z"])
    assert findings.opening(more).startswith("Predicts y, z from 2 columns (3 terms): x, p. ")
    many = fit((SIZE[:, None], RNG.standard_normal((ROWS, 12))))
    assert "y7 and 4 more from 1 column" in findings.opening(many)


def test_a_sentence_is_about_the_column_that_predictions_vary_with_most() -> None:
    weak, strong = RNG.standard_normal((2, ROWS))
    found = fit({"weak": weak, "strong": strong, "y": weak + 5 * strong + NOISE}, "y")
    assert [s.split(",")[0] for s in said(found, most=1)] == ["For each 1 more in strong"]


@given(st.floats(-1e9, 1e9), st.floats(-9, 9))
def test_an_interval_never_looks_empty(value: float, exponent: float) -> None:
    half = 10**exponent
    assume(half > 1e-11 * abs(value))
    lower, upper = value - half, value + half
    texts = [float(text.replace(",", "")) for text in with_ends(value, lower, upper)]
    sizes = [abs(value), abs(lower), abs(upper)]
    for shown, size in zip(texts, sizes, strict=True):
        assert abs(shown - size) <= 0.2 * half
        assert shown or size < 1e-6
    assert len(set(texts)) > 1


@pytest.mark.parametrize(
    ("mean", "ends", "written"),
    [
        (2008.029, (2007.0, 2009.0), "2008"),
        (12_345.6, (0.0, 99_999.0), "12,346"),
        (0.36, (0.0, 1.0), "0.36"),
        (4.53, (1.0, 9.0), "4.53"),
        (200.92, (172.5, 231.0), "201"),
        (43.92, (32.1, 59.6), "43.9"),
        (2008.5, (None, None), "2008"),
    ],
)
def test_means_are_written_as_people_read_them(
    mean: float, ends: tuple[float | None, float | None], written: str
) -> None:
    assert mean_of({"mean": mean, "minimum": ends[0], "maximum": ends[1]}) == written


def test_ranges_and_times_are_written_as_a_table_has_them() -> None:
    assert list(map(unmarked, (2007.0, 0.0, 231.0, 59.6, 1234567.0, None))) == [
        "2007", "0", "231", "59.6", "1.23e6", "–",
    ]  # fmt: skip
    assert moment_of(0) == "1970-01-01"
    assert moment_of(3_660) == "1970-01-01 01:01"
    assert [round_step(size) for size in (0.0, 0.02, 0.5, 14, 733)] == [1, 0.01, 1, 1, 100]


def test_parts_are_named_as_people_say_them() -> None:
    days = [date(2015, 1, 1) + timedelta(days=3 * j) for j in range(ROWS)]
    found = fit({"day": days, "y": NOISE}, "y")
    names = [part_name(term) for term in found.columns.plan.terms]
    assert {"February", "Tuesday"} <= set(names)
    (effect,) = effects_of(found)
    baselines = {family.kind: family.baseline for family in effect.families}
    assert baselines["month"] == "January"
    assert str(baselines["weekday"]).endswith("day")
