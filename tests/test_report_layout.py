"""A report's tables and plots: columns with their levels below them, times as dates, every row."""

from __future__ import annotations

import html
import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradline.columns.kinds import Column
from gradline_export.freeze.freezing import freeze
from gradline_export.report.chart import Axis, Chart, ticks_between, time_ticks
from gradline_export.report.coefficients import MOST_PARTS, PARTS_IN_PICTURE, Target
from gradline_export.report.columns import described
from gradline_export.report.effects import Spreads, effects_of
from gradline_export.report.plots import POINTS, column_plot, normal_plot
from gradline_trainer import Fit, fit
from gradline_trainer.statistics import metrics
from gradline_trainer.statistics.measuring import MOST_SHOWN

RNG = np.random.default_rng(29)
ROWS = 360
SHOP = RNG.choice(["a", "b", "c"], ROWS, p=[0.5, 0.3, 0.2])
SIZE = RNG.normal(50, 9, ROWS)
DAYS = [date(2012, 1, 1) + timedelta(days=4 * j) for j in range(ROWS)]
NOISE = RNG.standard_normal(ROWS)
TABLE = {"day": DAYS, "shop": SHOP, "size": SIZE, "sales": SIZE + 20 * (SHOP == "c") + NOISE}
MANY = np.array([f"town {j:02}" for j in range(40)] * 20)


def target_of(found: Fit, k: int = 0) -> Target:
    spreads = Spreads.of(found)
    known = found.summary().to_dict()
    standardized = found.weights.numpy()[k] * np.sqrt(spreads.variance) / spreads.of_targets[k]
    return Target(
        found,
        k,
        spreads.strongest(k, effects_of(found)),
        spreads,
        standardized,
        known["targets"][found.targets[k]],
        known["vif"],
    )


def report_of(found: Fit) -> str:
    return freeze(found, "model").files["report.html"].decode()


def test_spreads_are_the_deviations_of_what_a_column_adds() -> None:
    found = fit(TABLE, "sales")
    plan, spreads = found.columns.plan, Spreads.of(found)
    values = np.column_stack(
        [
            (np.array(DAYS, "datetime64[s]").astype(np.int64)).astype(float),
            np.searchsorted(["a", "b", "c"], SHOP).astype(float),
            SIZE,
        ]
    )
    terms = plan.compute(values)
    for effect in effects_of(found):
        places = list(effect.group.terms)
        added = terms[:, places] @ found.weights.numpy()[0, places]
        assert spreads.spread(0, places) == pytest.approx(added.std(), rel=1e-9)
    order = [effect.name for effect in spreads.strongest(0, effects_of(found))]
    assert order == ["size", "shop", "day"]


def test_a_column_has_one_row_and_its_levels_below_it() -> None:
    rows, folded = target_of(fit(TABLE, "sales")).rows()
    assert [row["name"] for row in rows if not row["part"]] == ["size", "shop", "day", "bias"]
    place = [row["name"] for row in rows].index("shop")
    head, baseline, first, second = rows[place : place + 4]
    assert (head["head"], head["parts"]) == (True, 2)
    assert (baseline["name"], baseline["baseline"]) == ("a", True)
    assert [first["name"], second["name"]] == ["c", "b"]  # by weight
    assert first["weight"] == pytest.approx(20, abs=0.5)
    (days,) = folded
    assert days["name"] == "day"
    assert {"February", "time(day)", "Tuesday"} <= {row["name"] for row in days["rows"]}


def test_many_levels_are_folded_and_none_is_lost() -> None:
    y = np.arange(40.0).repeat(20)
    found = fit({"town": np.sort(MANY), "y": y + RNG.standard_normal(800)}, "y")
    rows, (town,) = target_of(found).rows()
    assert len(found.features) > MOST_PARTS
    assert [row["name"] for row in rows] == ["town", "bias"]
    assert rows[0]["folded"]
    assert {row["name"] for row in town["rows"]} == set(MANY)
    weights = [row["weight"] for row in town["rows"] if not row["baseline"]]
    assert weights == sorted(weights, reverse=True)
    picture = target_of(found).picture()
    assert len(picture) == 1 + PARTS_IN_PICTURE
    assert picture[0]["more"] == 39 - PARTS_IN_PICTURE
    text = html.unescape(report_of(found))
    assert "town: all 40 parts" in re.sub("<[^>]+>", "", text)


def test_a_picture_shows_a_difference_where_it_is() -> None:
    rows = {row["name"]: row for row in target_of(fit(TABLE, "sales")).picture()}
    assert rows["shop"]["baselines"] == ["a"]
    assert rows["c"]["point"] > rows["c"]["zero"]
    assert rows["shop"]["bar"][0] < rows["shop"]["zero"]
    for row in rows.values():
        for left, width in filter(None, (row["bar"], row["interval"])):
            assert -0.1 <= left <= left + width <= 100.1
    assert re.fullmatch(r"\+(19|20)\.\d+", rows["c"]["said"][0])
    assert re.fullmatch(r"\(\+\d+\.\d+ to \+\d+\.\d+\)", rows["c"]["said"][1])
    assert rows["shop"]["said"][0].startswith("± ")


def test_a_column_without_effect_and_a_perfect_fit_can_be_shown() -> None:
    line = np.arange(20.0)
    found = fit((np.column_stack([line, RNG.random(20)]), line))
    first, second = target_of(found).picture()
    assert (first["name"], second["name"]) == ("x0", "x1")
    assert second["point"] == second["zero"]
    shown = re.sub("<script.*?</script>|<[^>]+>", " ", report_of(found), flags=re.DOTALL)
    assert not {"nan", "inf"} & set(shown.lower().split())


def test_columns_are_described_as_people_read_them() -> None:
    table = TABLE | {"year": np.array([d.year for d in DAYS])}
    found = fit(table, "sales")
    manifest = freeze(found, "model").manifest
    rows = {row["name"]: row for row in described(found, effects_of(found), manifest["columns"])}
    mean, deviation, first, last = rows["day"]["cells"]
    assert (first, last) == (str(DAYS[0]), str(DAYS[-1]))
    assert first < mean < last
    assert deviation.endswith(" days")
    assert rows["year"]["cells"][0] == "2013"
    assert rows["year"]["cells"][2:] == ["2012", "2015"]
    shares = dict(re.findall(r"(\w) (\d+) %", rows["shop"]["text"]))
    for shop in "abc":
        assert int(shares[shop]) == round(100 * (shop == SHOP).mean())
    assert rows["shop"]["text"].startswith("a ")


def test_a_single_term_is_named_as_what_its_weight_is_of() -> None:
    found = fit(TABLE, "sales", ["log(size)", "shop"])
    rows, _ = target_of(found).rows()
    names = [row["name"] for row in rows if not row["part"]]
    assert set(names) == {"log(size)", "shop", "bias"}
    assert {row["name"] for row in target_of(found).picture()} == {"log(size)", "shop", "b", "c"}


def test_a_column_of_products_alone_is_described_too() -> None:
    found = fit(TABLE, "sales", ["size", "size:shop"])
    manifest = freeze(found, "model").manifest
    rows = {row["name"]: row for row in described(found, effects_of(found), manifest["columns"])}
    assert list(rows) == ["size", "shop"]
    assert rows["shop"]["text"] == "category, in products alone"


def test_a_time_of_parts_alone_has_its_first_and_last_day() -> None:
    hours = [datetime(2023, 5, 1) + timedelta(hours=3 * j) for j in range(ROWS)]
    found = fit({"at": hours, "y": NOISE}, "y")
    assert not any(name.startswith("time(") for name in found.features)
    manifest = freeze(found, "model").manifest
    (row,) = described(found, effects_of(found), manifest["columns"])
    assert row["cells"][2:] == ["2023-05-01", "2023-06-14"]


def test_rows_are_kept_with_the_columns_of_the_strongest_effects() -> None:
    found = fit(TABLE, "sales")
    kept = found.residuals["training"]
    names = [found.columns.plan.columns[place].name for place in kept.places]
    assert set(names) == {"day", "shop", "size"}
    assert names[0] == "size"
    values = dict(zip(names, kept.columns.T, strict=True))
    np.testing.assert_array_equal(values["size"], SIZE)
    np.testing.assert_array_equal(values["shop"], np.searchsorted(["a", "b", "c"], SHOP))
    np.testing.assert_array_equal(
        values["day"], np.array(DAYS, "datetime64[s]").astype(np.int64).astype(float)
    )


@pytest.mark.parametrize(
    "options", [{}, {"features": ["log(size)", "shop"]}, {"features": ["size", "sqrt(size)"]}]
)
def test_kept_columns_belong_to_their_rows(options: dict[str, Any]) -> None:
    table = TABLE | {"size": np.abs(SIZE)}
    found = fit(table, "sales", holdout=0.25, **options)
    for kept in found.residuals.values():
        names = [found.columns.plan.columns[place].name for place in kept.places]
        size = kept.columns[:, names.index("size")]
        rows = [int(np.argmin(abs(table["size"] - value))) for value in size]
        np.testing.assert_allclose(size, table["size"][rows], rtol=1e-14)
        np.testing.assert_array_equal(kept.targets[:, 0], TABLE["sales"][rows])


def test_arrays_and_categories_of_format_1_keep_their_columns() -> None:
    X = RNG.standard_normal((50, 12))
    kept = fit((X, X[:, 3] + 0.1 * X[:, 5])).residuals["training"]
    assert len(kept.places) == MOST_SHOWN
    assert kept.places[:2] == (3, 5)
    np.testing.assert_array_equal(kept.columns, X[:, kept.places])
    two = np.array(["no", "yes"])[(SIZE > 50).astype(int)]
    found = fit({"two": two, "y": SIZE}, "y", one_hot="two", strict=True)
    kept = found.residuals["training"]
    np.testing.assert_array_equal(kept.columns[:, 0], (two == "yes").astype(float))


def test_of_many_rows_every_second_is_kept_with_its_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "MOST_ROWS", 10)
    kept = fit(TABLE, "sales").residuals["training"]
    size = kept.columns[:, kept.places.index(2)]
    assert kept.step == 2
    np.testing.assert_array_equal(size, SIZE[::2])
    np.testing.assert_array_equal(kept.targets[:, 0], TABLE["sales"][::2])


def test_kept_columns_do_not_depend_on_blocks(tmp_path: Path) -> None:
    frame = pl.DataFrame(TABLE)
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=100)
    whole = fit(frame, "sales").residuals["training"]
    parts = fit(tmp_path / "t.parquet", "sales").residuals["training"]
    np.testing.assert_array_equal(whole.columns, parts.columns)
    assert whole.places == parts.places


def test_the_same_report_of_many_threads() -> None:
    import torch

    found = report_of(fit(TABLE, "sales"))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        assert report_of(fit(TABLE, "sales")) == found
    finally:
        torch.set_num_threads(threads)


def test_residuals_are_shown_over_each_column_and_a_normal_law() -> None:
    titles = re.findall(r"<title[^>]*>(.*?)</title>", report_of(fit(TABLE, "sales")))
    for title in (
        "Predicted against actual values of sales",
        "Residuals of sales over predicted values",
        "Residuals of sales over size",
        "Residuals of sales over day",
        "Residuals of sales by shop",
        "Q-Q plot of the residuals of sales against a normal distribution",
    ):
        assert titles.count(title) == 1
    logged = dict(TABLE, sales=np.exp(NOISE))
    text = report_of(fit(logged, "log(sales)"))
    assert "Residuals of log(sales) over size" in text
    assert "Predicted against actual values of sales" in text


def test_no_single_row_is_drawn_of_a_large_table() -> None:
    rows = 10 * POINTS
    found = fit(
        {"x": RNG.random(rows), "p": RNG.choice(["u", "v"], rows), "y": RNG.random(rows)}, "y"
    )
    kept = found.residuals["training"]
    columns = found.columns.plan.columns
    for place, values in zip(kept.places, kept.columns.T, strict=True):
        drawn = str(column_plot("n", "y", columns[place], values, -kept.residuals[:, 0]))
        assert drawn.count("h0") == 0
    assert str(normal_plot("n", "y", kept.residuals[:, 0])).count("h0") == POINTS


def test_a_level_of_few_rows_has_no_box() -> None:
    column = Column("p", "category", ("few", "often"), "often")
    codes = np.repeat([0.0, 1.0], [4, 10 * POINTS])
    residuals = RNG.standard_normal(len(codes))
    drawn = str(column_plot("n", "y", column, codes, residuals))
    assert ">often</text>" in drawn
    assert ">few</text>" not in drawn
    assert column_plot("n", "y", column, codes[:4], residuals[:4]) is not None  # as points


@given(st.floats(-1e6, 1e6), st.floats(-6, 9))
def test_ticks_are_few_and_round_and_lie_between_the_ends(low: float, exponent: float) -> None:
    high = low + 10**exponent * max(1.0, abs(low) * 1e-6)
    ticks = ticks_between(low, high)
    assert 2 <= len(ticks) <= 7
    places = [place for place, _ in ticks]
    room = 1e-6 * (high - low)
    assert low - room <= places[0]
    assert places[-1] <= high + room
    steps = [b - a for a, b in pairwise(places)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)
    assert len({text for _, text in ticks}) == len(ticks)


@given(st.integers(-62_135_596_800, 253_402_300_799), st.floats(4, 11))
def test_times_have_few_ticks_that_are_dates(start: int, exponent: float) -> None:
    ticks = time_ticks(float(start), start + 10**exponent)
    assert len(ticks) <= 7
    assert len({text for _, text in ticks}) == len(ticks)
    places = [place for place, _ in ticks]
    assert all(start <= place <= start + 10**exponent for place in places)


def test_years_and_days_are_written_as_such() -> None:
    def texts(first: date, last: date) -> list[str]:
        ends = np.array([first, last], "datetime64[s]").astype(np.int64).tolist()
        return [text for _, text in time_ticks(*map(float, ends))]

    assert texts(date(2000, 6, 1), date(2024, 1, 1)) == ["2005", "2010", "2015", "2020"]
    assert texts(date(2023, 12, 20), date(2024, 4, 30)) == [
        "2024-01", "2024-02", "2024-03", "2024-04",
    ]  # fmt: skip
    assert texts(date(2024, 3, 1), date(2024, 3, 4)) == [f"2024-03-0{j}" for j in (1, 2, 3, 4)]


def test_a_chart_of_equal_values_and_of_whole_numbers_has_ticks_to_read() -> None:
    assert len(Axis.over(np.array([5.0, 5.0]), "").ticks) >= 2
    assert [text for _, text in Axis.over(np.array([2007.0, 2009.0]), "").ticks] == [
        "2007", "2008", "2009",
    ]  # fmt: skip


def test_names_in_a_chart_are_no_markup() -> None:
    axis = Axis(0, 1, [(0.5, "<b>")], "</svg>")
    drawn = str(Chart("n", "<script>", axis, axis).drawn())
    assert not re.search("<b>|<script>", drawn)
    assert drawn.count("</svg>") == 1
