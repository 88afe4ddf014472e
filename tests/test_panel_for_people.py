"""The panel as people read it: whole numbers, levels that are found, and effects by column."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import gradline
from browser import Page
from gradline.explain.groups import groups_of
from gradline_export import export_package
from gradline_trainer import fit
from hosts import need

pytestmark = pytest.mark.slow

PANEL = "document.querySelector('gradline-panel')"
EFFECTS = (
    f"[...{PANEL}.querySelectorAll('gradline-effects table')].map(t => [...t.rows]"
    ".map(r => [r.cells[0].textContent, Number(r.cells[2].dataset.effect)]))"
)
SEED = 3


def table(n: int = 400) -> pl.DataFrame:
    """Years, flags, shares, 30 cities with odd names, a day, and a price of at least 1."""
    random = np.random.default_rng(SEED)
    cities = [f"City {j:02}" for j in range(28)] + ["Zürich", '"</select>"']
    city = np.array(cities)[np.arange(n) % 30]
    day = np.datetime64("2012-01-01") + random.integers(0, 1400, n)
    columns = {
        "year": random.integers(2007, 2010, n).astype(float),
        "flag": random.integers(0, 2, n).astype(float),
        "share": np.r_[0.0, 1.0, random.uniform(0, 1, n - 2)],
        "city": city,
        "day": day,
        "area": pl.Series(random.uniform(40.5, 99, n)).scatter(range(20, 60), None),
    }
    size = columns["area"].fill_null(70).to_numpy() / 50 + (city == "Zürich") + columns["share"]
    return pl.DataFrame({**columns, "price": np.exp(size + random.normal(0, 0.1, n))})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(need("chromium"), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def opened(
    browser: Page, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, list[str]], tuple[Page, gradline.Model]]:
    """Opens the report of a model of the table."""

    def opened(target: str, terms: list[str]) -> tuple[Page, gradline.Model]:
        package = export_package(
            fit(table(), target, terms), tmp_path_factory.mktemp("packages"), "model"
        )
        path = package / "report.html"
        browser.open(path.as_uri())
        browser.wait_for(f"location.pathname === '{path}' && !!{PANEL}?.querySelector('dd')")
        return browser, gradline.load(package)

    return opened


@pytest.fixture
def page(opened: Callable[[str, list[str]], tuple[Page, gradline.Model]]) -> Page:
    return opened("price", ["*"])[0]


def field(page: Page, name: str) -> str:
    """Return an expression for the field of a column."""
    names = page.evaluate(f"{PANEL}.table.map(({{name}}) => name)")
    return f"document.getElementById('feature-{names.index(name)}')"


def said(page: Page, name: str) -> str:
    at = field(page, name)
    text: str = page.evaluate(
        f"document.getElementById({at}.getAttribute('aria-describedby')).textContent"
    )
    return text


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("year", "2008", "trained on 2007 to 2009, mean 2008"),
        ("flag", "0", "trained on 0 to 1, mean 0.45"),
    ],
)
def test_whole_numbers_start_whole(name: str, value: str, told: str, page: Page) -> None:
    assert page.evaluate(f"{field(page, name)}.value") == value
    assert said(page, name) == told


def test_a_share_is_not_rounded_to_0_or_1(page: Page) -> None:
    mean = table()["share"].mean()
    value = float(page.evaluate(f"{field(page, 'share')}.value"))
    assert value == pytest.approx(mean, abs=1e-3)


def test_what_an_empty_field_means_is_said_before_and_after(page: Page) -> None:
    assert "empty = missing, counts as 7" in said(page, "area")
    page.evaluate(f"{field(page, 'area')}.value = ''")
    page.evaluate(f"{PANEL}.update()")
    assert said(page, "area").startswith("missing, counts as 7")


def typed(page: Page, text: str) -> None:
    """Type into the filter of the cities."""
    page.evaluate(f"{field(page, 'city')}.previousElementSibling.select()")
    page.type(text)


def test_of_many_levels_a_few_letters_find_one(page: Page) -> None:
    city = field(page, "city")
    first = page.evaluate(f"{city}.value")
    typed(page, "zür")
    assert page.evaluate(f"[...{city}.options].map(o => o.value)") == ["Zürich"]
    assert page.evaluate(f"{PANEL}.values.includes('Zürich')")
    typed(page, "2")
    levels = page.evaluate(f"[...{city}.options].map(o => o.value)")
    assert levels == [f"City {j:02}" for j in range(28) if "2" in f"{j:02}"]
    typed(page, "nowhere")
    assert said(page, "city") == "no level contains “nowhere”"
    assert page.evaluate(f"{city}.options.length") == 30
    page.evaluate(f"{PANEL}.querySelector('button').click()")
    page.wait_for(f"{city}.value === {json.dumps(first)}")
    assert page.evaluate(f"{city}.previousElementSibling.value") == ""
    assert said(page, "city") == "trained on 30 levels"


@pytest.mark.parametrize("target", ["price", "log(price)", "log1p(price)"])
def test_effects_are_the_packages_own_by_column(
    target: str, opened: Callable[[str, list[str]], tuple[Page, gradline.Model]]
) -> None:
    page, model = opened(target, ["*", "share:flag"])
    typed(page, "zür")
    row: dict[str, Any] = page.evaluate(
        f"Object.fromEntries({PANEL}.table.map(({{name}}, j) => [name, {PANEL}.values[j]]))"
    )
    row["day"] = np.datetime64("1970-01-01") + np.timedelta64(int(row["day"]), "s")
    found = model.explain({name: [value] for name, value in row.items()})
    together = np.sum if target == "price" else np.prod
    expected = {
        group.name: float(together(found.contributions[0, 0, list(group.terms)]))
        for group in groups_of(model.plan)
    }
    (effects,) = page.evaluate(EFFECTS)
    assert dict(effects) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert "flag:share" in expected or "share:flag" in expected
    neutral = 0.0 if target == "price" else 1.0
    size = [abs(x) if neutral == 0 else abs(np.log(x)) for _, x in effects]
    assert size == sorted(size, reverse=True)
    caption = page.evaluate(f"{PANEL}.querySelector('caption').textContent")
    assert f"{found.baseline[0]:.3g}" in caption


def test_a_row_without_an_answer_has_no_effects(page: Page) -> None:
    page.evaluate(f"{field(page, 'year')}.value = ''")
    page.evaluate(f"{PANEL}.update()")
    assert page.evaluate(EFFECTS) == []


def test_the_keyboard_folds_the_effects(page: Page) -> None:
    page.evaluate(f"{PANEL}.querySelector('gradline-effects summary').focus()")
    page.press("Enter")
    shown = f"{PANEL}.querySelector('gradline-effects table').checkVisibility()"
    assert not page.evaluate(shown)
    page.evaluate(f"{PANEL}.update()")
    assert not page.evaluate(shown)


def test_names_break_after_their_marks_only(browser: Page, tmp_path: Path) -> None:
    name = "the_length_of_the_bill_in.millimetres"
    x = np.random.default_rng(0).standard_normal((30, 1))
    package = export_package(fit((x, x + 1), "y", [name]), tmp_path, "model")
    browser.open((package / "report.html").as_uri())
    browser.wait_for(f"{PANEL}?.querySelector('label')?.textContent === '{name}'")
    parts = browser.evaluate(f"[...{PANEL}.querySelector('label bdi').childNodes].map(n => n.data)")
    kept = [part for part in parts if part is not None]
    assert kept == ["the_", "length_", "of_", "the_", "bill_", "in.", "millimetres"]
    assert browser.evaluate(f"{PANEL}.querySelector('input').ariaLabel") == name
