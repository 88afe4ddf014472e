"""The panel of a package of format 2: a field for each column of the table, answers in units."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import Page
from gradline.columns.kinds import NULLS, NUMBER_NULLS, Column
from gradline.columns.plan import Plan
from gradline.columns.targets import TargetFunction, dump_functions
from gradline.columns.terms import Factor
from gradline_export import export_package
from gradline_export.report.panel import INTERVAL, section
from hosts import need
from plans import fit_of
from raw_rows import PLAN, RawModel, raw_rows, values_of

pytestmark = pytest.mark.slow

PANEL = "document.querySelector('gradline-panel')"
ANSWER = f"{PANEL}.querySelector('output').textContent"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400.0
START = 15_340.0  # days: 2012-01-01
PLACES = {"carat": 0, "width": 1, "cut": 2, "sold": 3, "at": 4}
DIAMONDS = Plan(
    (
        Column("carat"),
        Column("width", fill=57.4),
        Column("cut", "category", ("Fair", "Good", "Ideal"), missing=True, rare=("Fair",)),
        Column("sold", "time"),
        Column("at", "time", fill=START * DAY, zone="Europe/Berlin"),
    ),
    (
        (Factor("carat", "log"),),
        (Factor("width"),),
        (Factor("width", "missing"),),
        *[(Factor("cut", level=level),) for level in ("Good", "Ideal", "(rare)")],
        (Factor("cut", "missing"),),
        (Factor("sold", "time"),),
        (Factor("at", "hour", level=7),),
    ),
)
WEIGHTS = np.array([[1.5, 0.01, 0.2, 0.1, 0.3, -0.4, -0.6, 1e-4, 0.25]])
BIAS = np.array([4.0])
REACH = 0.25


def figures() -> dict[str, dict[str, float]]:
    """The training rows' figures, by term, as a manifest has them."""
    known = {"log(carat)": (np.log(0.2), -0.4, np.log(5.01)), "width": (42.9, 57.45, 95.0)}
    known |= {"time(sold)": (START, START + 700, START + 1460), "cut=Ideal": (0.0, 0.7, 1.0)}
    return {
        name: dict(
            zip(("minimum", "mean", "maximum"), known.get(name, (0.0, 0.1, 1.0)), strict=True)
        )
        for name in DIAMONDS.features
    }


def data() -> dict[str, Any]:
    """What the panel is given of a model of log(price)."""
    schema = {"features": DIAMONDS.features, "targets": ["price"], "dtype": "float64"}
    functions = dump_functions([TargetFunction("log", 1.25, "rows")])
    d = len(DIAMONDS.terms)
    leverage = {"limit": 9.0, "least": 0.0, "factor": [[0.0] * (d - j) for j in range(d)]}
    model = {"weights": WEIGHTS.tolist(), "bias": BIAS.tolist()}
    return {
        "schema": {**schema, **DIAMONDS.dump(), "target_functions": functions},
        "columns": figures(),
        **model,
        "leverage": leverage,
        "interval": {"reach": [REACH], **model},
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(need("chromium"), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def shown(browser: Page, tmp_path: Path) -> Callable[[dict[str, Any]], Page]:
    """Opens a page with the panel of a model."""

    def opened(model: dict[str, Any]) -> Page:
        page = tmp_path / "page.html"
        head = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>panel</title>'
            '<meta name="viewport" content="width=device-width">'
        )
        page.write_text(f"{head}{section(model, INTERVAL)}")
        browser.open(page.as_uri())
        path = json.dumps(str(page))
        browser.wait_for(f"location.pathname === {path} && !!{PANEL}?.querySelector('dd')")
        return browser

    return opened


@pytest.fixture
def diamonds(shown: Callable[[dict[str, Any]], Page]) -> Page:
    return shown(data())


def texts_of(row: dict[str, Any]) -> list[str]:
    """Write a raw row as the fields of its columns take it."""
    return [_text(column, row[column.name]) for column in PLAN.columns]


def _text(column: Column, value: Any) -> str:
    if value is None:
        return ""
    if column.kind != "time":
        return str(value)
    moment = (EPOCH + timedelta(seconds=float(value))).replace(tzinfo=None)
    return (moment.date() if column.name == "day" else moment).isoformat()


def fill_in(page: Page, texts: dict[int, str]) -> None:
    """Give fields other contents, as one change."""
    page.evaluate(
        f"(async () => {{ for (const [place, text] of Object.entries({json.dumps(texts)})) "
        "document.getElementById(`feature-${place}`).value = text;"
        f" await {PANEL}.update(); }})()"
    )


def told(page: Page, member: str = "value") -> list[float]:
    """Return what the answers say, one for each target."""
    small = "" if member == "value" else " small"
    found = page.evaluate(
        f"[...{PANEL}.querySelectorAll('dd{small}')].map(e => e.dataset.{member})"
    )
    return list(map(float, found))


def price(**changed: float) -> float:
    """Compute exp(z) of the row of the fields' first contents, with some of its terms changed."""
    row = {
        "log(carat)": np.log(0.6703), "width": 57.45, "width is missing": 0.0, "cut=Ideal": 1.0,
        "time(sold)": START + 700,
    }  # fmt: skip
    x = np.array([{**row, **changed}.get(name, 0.0) for name in DIAMONDS.features])
    return float(np.exp(WEIGHTS[0] @ x + BIAS[0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_raw_golden_rows_are_answered_within_their_bounds(
    dtype: str, shown: Callable[[dict[str, Any]], Page]
) -> None:
    document = RawModel.of(dtype, 5).document
    raw = document.pop("raw")
    page = shown({**document, "columns": {}})
    for place in range(len(raw["outputs"])):
        row = {name: values[place] for name, values in raw["columns"].items()}
        fill_in(page, dict(enumerate(texts_of(row))))
        errors = np.abs(np.array(told(page)) - raw["outputs"][place])
        assert (errors <= raw["bounds"][place]).all(), (place, row)


def test_each_column_has_a_field_of_its_kind(diamonds: Page) -> None:
    fields = f"[...{PANEL}.querySelectorAll('input, select')]"
    types = diamonds.evaluate(f"{fields}.map(e => e.type)")
    assert types == ["number", "number", "select-one", "date", "datetime-local"]
    starts = diamonds.evaluate(f"{fields}.map(e => e.value)")
    assert starts == ["0.6703", "57.45", "Ideal", "2013-12-01", "2012-01-01T00:00"]
    levels = diamonds.evaluate(f"[...{fields}[2].options].map(o => [o.text, o.value])")
    assert levels == [*[[level, level] for level in ("Fair", "Good", "Ideal")], ["(missing)", ""]]
    ranges = diamonds.evaluate(f"[...{PANEL}.querySelectorAll('.range')].map(e => e.textContent)")
    assert ranges == [
        "trained on 0.2 to 5.01",
        "trained on 42.9 to 95, mean 57.45; empty = missing, counts as 57.4",
        "trained on 3 levels, or missing",
        "trained on 2012-01-01 to 2015-12-31",
        "the clock of Europe/Berlin; empty = missing, counts as 2012-01-01 00:00",
    ]
    assert diamonds.evaluate(f"{PANEL}.values") == [
        0.6703, 57.45, "Ideal", (START + 700) * DAY, START * DAY,
    ]  # fmt: skip


def test_a_logged_target_is_in_units_and_its_interval_without_the_scale(diamonds: Page) -> None:
    expected = price()
    assert told(diamonds) == pytest.approx([1.25 * expected], rel=1e-12)
    lower, upper = (told(diamonds, end)[0] for end in ("lower", "upper"))
    assert lower == pytest.approx(expected * np.exp(-REACH), rel=1e-12)
    assert upper == pytest.approx(expected * np.exp(REACH), rel=1e-12)
    decimals = max(0, 2 - math.floor(math.log10(upper - lower)))
    said = f"95 % interval {lower:.{decimals}f} to {upper:.{decimals}f}"
    assert said in diamonds.evaluate(ANSWER)


def test_a_field_that_is_empty_says_what_it_is_filled_with(diamonds: Page) -> None:
    fill_in(diamonds, {1: ""})
    filled = price(**{"width": 57.4, "width is missing": 1.0})
    assert told(diamonds) == pytest.approx([1.25 * filled], rel=1e-12)
    described = "document.getElementById('feature-1-range').textContent"
    assert diamonds.evaluate(described) == "missing, counts as 57.4"
    assert diamonds.evaluate(ANSWER).startswith("Empty, so filled: width")
    assert diamonds.evaluate(f"{PANEL}.values")[1] is None
    fill_in(diamonds, {1: "60"})
    assert "Empty" not in diamonds.evaluate(ANSWER)


def test_a_missing_value_without_a_fill_has_no_answer(diamonds: Page) -> None:
    for place, asked in ((0, "carat: give a number"), (3, "sold: give a date")):
        fill_in(diamonds, {place: ""})
        assert diamonds.evaluate(ANSWER) == asked
        diamonds.evaluate(f"{PANEL}.querySelector('button').click()")
        diamonds.wait_for(f"!!{PANEL}.querySelector('dd')")
    fill_in(diamonds, {0: "-1"})
    said = "No answer, since a value is not defined: log(carat)"
    assert diamonds.evaluate(ANSWER).startswith(said)
    assert diamonds.evaluate(f"{PANEL}.querySelector('dd').textContent") == "no answer"


def test_a_servers_null_is_no_answer(diamonds: Page) -> None:
    said = diamonds.evaluate(
        f"(async () => {{ const panel = {PANEL}; panel.predict = () => [null];"
        " await panel.update(); return panel.querySelector('dd').textContent; })()"
    )
    assert said == "no answer"


def test_categories_may_be_missing_or_rare(diamonds: Page) -> None:
    for text, term in (("", "cut is missing"), ("Fair", "cut=(rare)"), ("Good", "cut=Good")):
        fill_in(diamonds, {2: text})
        expected = 1.25 * price(**{"cut=Ideal": 0.0, term: 1.0})
        assert told(diamonds) == pytest.approx([expected], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("carat", ["0.2", "5.01"], ["0.19", "5.02"]),
        ("width", ["43", "95"], ["42.8", "96"]),
        ("sold", ["2012-01-01", "2015-12-31"], ["2011-12-31", "2016-01-01"]),
    ],
)
def test_values_outside_the_training_range_are_marked(
    name: str, inside: list[str], outside: list[str], diamonds: Page
) -> None:
    for text in inside:
        fill_in(diamonds, {PLACES[name]: text})
        assert "Outside" not in diamonds.evaluate(ANSWER)
    for text in outside:
        fill_in(diamonds, {PLACES[name]: text})
        assert diamonds.evaluate(ANSWER).startswith(f"Outside the training range: {name}")


def test_fields_are_named_and_taken_by_keyboard(diamonds: Page) -> None:
    diamonds.call("Accessibility.enable")
    nodes = diamonds.call("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node["name"]["value"]): node.get("description", {}).get("value")
        for node in nodes
        if node.get("name", {}).get("value") in PLACES
    }
    expected = [
        ("spinbutton", "carat"), ("spinbutton", "width"), ("combobox", "cut"), ("Date", "sold"),
        ("DateTime", "at"),
    ]  # fmt: skip
    assert set(expected) <= set(named)
    assert named["Date", "sold"] == "trained on 2012-01-01 to 2015-12-31"
    diamonds.evaluate("document.getElementById('feature-2').focus()")
    before = told(diamonds)
    diamonds.press("Tab")
    assert diamonds.evaluate("document.activeElement.id") == "feature-3"
    diamonds.press("ArrowDown")  # the month before
    assert diamonds.evaluate("document.activeElement.value") == "2013-11-01"
    ratio = np.exp(-30 * WEIGHTS[0, 7])
    assert told(diamonds) == pytest.approx([before[0] * ratio], rel=1e-12)


@pytest.mark.parametrize("width", [390, 1200])
def test_fields_fit_the_page(width: int, diamonds: Page) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    diamonds.call("Emulation.setDeviceMetricsOverride", **size)
    boxes = diamonds.evaluate(
        f"[...{PANEL}.querySelectorAll('input, select')]"
        ".map(e => [e.getBoundingClientRect(), e.parentElement.getBoundingClientRect()])"
        ".map(([of, around]) => [of.left - around.left, around.right - of.right, of.right])"
    )
    diamonds.call("Emulation.clearDeviceMetricsOverride")
    assert all(left >= 0 and right >= 0 and end <= width for left, right, end in boxes)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_packages_report_answers_its_raw_golden_rows(
    dtype: str, browser: Page, tmp_path: Path
) -> None:
    nulls = {"category": NULLS, "number": NUMBER_NULLS, "time": NUMBER_NULLS}
    columns = tuple(replace(column, null=nulls[column.kind]) for column in PLAN.columns)
    plan = replace(PLAN, columns=columns)
    random = np.random.default_rng(1)
    values = values_of(raw_rows(2000, 1, answered=True))
    values[:, 0] = np.clip(values[:, 0], -10, 10)
    terms = plan.compute(values)
    weights = random.standard_normal((terms.shape[1], 2)) / np.abs(terms).max(axis=0)[:, None]
    y = terms @ weights + random.standard_normal((2000, 2)) / 10
    found = fit_of(plan, values, y, [None, TargetFunction("log", 1.25, "rows")], dtype=dtype)
    package = export_package(found, tmp_path, "model")
    raw = json.loads((package / "golden.json").read_text())["raw"]
    browser.open((package / "report.html").as_uri())
    browser.wait_for(f"document.title.startsWith('model') && !!{PANEL}?.querySelector('dd')")
    checked = 0
    for place, (outputs, bounds) in enumerate(zip(raw["outputs"], raw["bounds"], strict=True)):
        row = {name: of[place] for name, of in raw["columns"].items()}
        if None in outputs:
            continue
        fill_in(browser, dict(enumerate(texts_of(row))))
        errors = np.abs(np.array(told(browser)) - outputs)
        assert (errors <= bounds).all(), row
        checked += 1
    assert checked > 50
