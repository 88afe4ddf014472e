"""The report's panel in a real browser: what is typed is predicted, as the package predicts it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

import gradline
from browser import Page
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.explain.contributions import by_effect
from gradline.package.graph import parse_graph
from gradline.package.rounding_bound import rounding_bound
from gradline_export import export_package
from gradline_export.freeze.parity import exact_outputs
from gradline_trainer import Fit, fit
from gradline_trainer.orchard import TARGETS, orchard
from hosts import EXAMPLES, need

Array = np.ndarray[Any, np.dtype[np.float64]]

PANEL = "document.querySelector('gradline-panel')"
ANSWER = f"{PANEL}.querySelector('output').textContent"
HOSTILE = [
    "<script>document.title = 'hacked'</script>",
    "\"double\" & 'single' <!-- --> ]]>",
    "emoji 🍎",
    "درجة الحرارة",
    "\u202ereversed\u2028line",
    "x" * 500,
]
HOSTILE_TARGETS = [f"</script>{HOSTILE[0]}", "<img src=x onerror=alert(1)>"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(need("chromium"), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def open_report(browser: Page, tmp_path: Path) -> Callable[..., Path]:
    """Exports a fit, opens the package's report, and returns the package."""

    def opened(found: Fit) -> Path:
        package = export_package(found, tmp_path, "model")
        browser.open((package / "report.html").as_uri())
        address = json.dumps(str(package))
        browser.wait_for(
            f"location.pathname.startsWith({address}) && !!{PANEL}?.querySelector('dd')"
        )
        return package

    return opened


def enter(page: Page, place: int, text: str) -> None:
    """Type into a field, over what it says; choose a level of a category."""
    field = f"document.getElementById('feature-{place}')"
    if page.evaluate(f"{field}.tagName") == "SELECT":
        level = json.dumps(text)
        bubbling = "new Event('input', {bubbles: true})"
        page.evaluate(f"{field}.value = {level}; {field}.dispatchEvent({bubbling})")
        return
    page.evaluate(f"{field}.closest('details')?.setAttribute('open', '')")
    page.evaluate(f"{field}.select()")
    page.type(text)


def shown(page: Page, *members: str) -> Array:
    """Return the predictions on the page, or the ends of their intervals, shape (k, members)."""
    found = page.evaluate(
        f"[...{PANEL}.querySelectorAll('dd')].map(d => [d, ...d.children])"
        ".map(all => Object.assign({}, ...all.map(e => e.dataset)))"
    )
    return np.array([[float(told[member]) for member in members] for told in found])


def predicted(page: Page, row: list[str]) -> Array:
    """Type a row, and return the predictions."""
    for place, text in enumerate(row):
        enter(page, place, text)
    return shown(page, "value")[:, 0]


def noisy(n: int, d: int, k: int, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d)) * random.uniform(0.1, 50, d) + random.uniform(-99, 99, d)
    return X, X @ random.standard_normal((d, k)) + random.standard_normal((n, k))


def shops() -> pl.DataFrame:
    random = np.random.default_rng(2)
    n = 120
    region = random.choice(["Basel", "Zürich", "</script>"], n, p=[0.2, 0.5, 0.3])
    area = random.uniform(40, 400, n)
    revenue = 3 * area + 50 * (region == "Basel") + random.normal(0, 5, n)
    gone = pl.Series("area", area).scatter([3, 50], None)
    store = random.choice([9, 10, 11], n)
    return pl.DataFrame({"region": region, "area": gone, "store": store, "revenue": revenue})


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "d", "k"), [(30, 1, 1), (60, 5, 3), (200, 40, 2)])
def test_typed_rows_give_the_models_numbers(
    n: int, d: int, k: int, dtype: str, browser: Page, open_report: Callable[..., Path]
) -> None:
    X, Y = noisy(n, d, k)
    package = open_report(fit((X, Y), dtype=dtype))
    model = gradline.load(package)
    graph = parse_graph((package / "model.onnx").read_bytes())
    for row in np.random.default_rng(1).uniform(-200, 200, (4, d)):
        found = predicted(browser, [repr(float(value)) for value in row])
        x = row[None].astype(dtype)
        bound, of_page = (
            rounding_bound(x, graph.weights, graph.bias, np.dtype(kind))[0]
            for kind in (dtype, "float64")  # the page computes in float64, whatever the graph does
        )
        assert (np.abs(found - exact_outputs(x, graph.weights, graph.bias)[0]) <= of_page).all()
        assert (np.abs(found - model.predict(x)[0]) <= bound + of_page).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("n", "d", "options"),
    [
        (40, 3, {}),
        (40, 3, {"bias": False}),
        (50, 4, {"weighted": True}),
        (300, 40, {"arithmetic": "fast"}),
    ],
)
def test_intervals_are_statsmodels(
    n: int, d: int, options: dict[str, Any], dtype: str, browser: Page,
    open_report: Callable[..., Path],
) -> None:  # fmt: skip
    X, Y = noisy(n, d, 2)
    weights = np.random.default_rng(1).uniform(0.2, 3, n) if "weighted" in options else None
    asked = {name: value for name, value in options.items() if name != "weighted"}
    open_report(fit((X, Y), dtype=dtype, sample_weight=weights, **asked))
    bias = options.get("bias", True)
    for row in np.random.default_rng(3).uniform(-150, 150, (3, d)):
        predicted(browser, [repr(float(value)) for value in row])
        found = shown(browser, "lower", "upper")
        for j in range(2):
            design, x = (
                sm.add_constant(a, has_constant="add") if bias else a for a in (X, row[None])
            )
            model = sm.WLS(Y[:, j], design, weights=1.0 if weights is None else weights).fit()
            (theirs,) = model.get_prediction(x).conf_int(obs=True, alpha=0.05)
            assert found[j].tolist() == pytest.approx(theirs.tolist(), rel=1e-9)


@pytest.mark.slow
def test_the_ends_of_an_interval_are_said(
    browser: Page, open_report: Callable[..., Path], orchard_fit: Fit
) -> None:
    open_report(orchard_fit)
    lower, upper = shown(browser, "lower", "upper")[0]
    decimals = max(0, 2 - math.floor(math.log10(upper - lower)))
    said = f"95 % interval {lower:.{decimals}f} to {upper:.{decimals}f}"
    assert said in browser.evaluate(ANSWER)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ridge": 2.0}, "the ridge penalty of 2 shrinks the weights"),
        ({"preconditioning": "none", "epochs": 3}, "the run ended before the optimum"),
        ({"rows": 4}, "leave no error to estimate from"),
        ({"features": 120}, "120 features would make the page too large"),
    ],
)
def test_where_there_is_no_interval_the_page_says_why(
    options: dict[str, Any], said: str, browser: Page, open_report: Callable[..., Path]
) -> None:
    d, n = options.pop("features", 3), options.pop("rows", 200)
    package = open_report(fit(noisy(n, d, 1), **options))
    assert said in browser.evaluate("document.querySelector('.try').textContent")
    assert browser.evaluate(f"{PANEL}.querySelector('dd small')") is None
    manifest = json.loads((package / "manifest.json").read_text())
    means = [manifest["columns"][f"x{j}"]["mean"] for j in range(d)]
    answer = gradline.load(package).predict([means])
    assert shown(browser, "value")[:, 0] == pytest.approx(answer[0], rel=1e-2, abs=1)


@pytest.mark.slow
def test_values_outside_the_training_range_are_marked(
    browser: Page, open_report: Callable[..., Path], orchard_fit: Fit
) -> None:
    package = open_report(orchard_fit)
    field = "document.getElementById('feature-1')"
    told = "document.getElementById('feature-1-range').textContent"
    assert "Outside" not in browser.evaluate(ANSWER)
    for text in ("134.5", "42"):
        enter(browser, 1, text)
        assert browser.evaluate(told).startswith("outside the range: trained on 43 to 134")
        assert browser.evaluate(ANSWER).startswith("Outside the training range: rainfall")
        assert browser.evaluate(f"{field}.parentElement.className") == "outside"
    # Each value is in its range, and the leverage is beyond that of any training row.
    row = {"temperature": [70.0], "rainfall": [130.0], "humidity": [38.0]}
    _, outside = gradline.load(package).predict(row, check=True)
    assert len(outside) == 1
    assert not outside.beyond.any()
    predicted(browser, ["70", "130", "38"])
    assert "together they are unlike the training rows" in browser.evaluate(ANSWER)
    browser.evaluate(f"{PANEL}.querySelector('button').click()")
    browser.wait_for(f"!{ANSWER}.includes('unlike')")
    assert browser.evaluate(f"{PANEL}.querySelector('.outside')") is None


@pytest.mark.slow
def test_categories_and_what_may_be_empty(browser: Page, open_report: Callable[..., Path]) -> None:
    table = shops()
    found = fit(table, "revenue", one_hot=["region", "store"], missing="mean", dtype="float64")
    model = gradline.load(open_report(found))
    kinds = f"[...{PANEL}.querySelectorAll('select')].map(s => [...s.options].map(o => o.value))"
    names = [column.name for column in model.columns]
    levels = {column.name: list(column.levels) for column in model.columns if column.levels}
    assert browser.evaluate(kinds) == list(levels.values())
    usual = [column.reference for column in model.columns if column.levels]
    values = f"[...{PANEL}.querySelectorAll('select')].map(s => s.value)"
    assert browser.evaluate(values) == usual
    for region in levels["region"]:
        for store in levels["store"]:
            for area in ("100.5", ""):
                row = {"region": region, "store": store, "area": area}
                (answer,) = predicted(browser, [row[name] for name in names])
                given = {"region": [region], "store": [store], "area": [float(area or "nan")]}
                assert answer == pytest.approx(model.predict(given)[0, 0], rel=1e-14)


@pytest.mark.slow
def test_an_empty_field_asks_for_a_number(
    browser: Page, open_report: Callable[..., Path], orchard_fit: Fit
) -> None:
    open_report(orchard_fit)
    enter(browser, 2, "")
    assert browser.evaluate(ANSWER) == "humidity: give a number"
    enter(browser, 2, "50")
    assert len(shown(browser, "value")) == 2
    enter(browser, 2, "1e60")
    assert browser.evaluate(ANSWER) == "a value is outside the range of float32"


@pytest.mark.slow
def test_names_inject_nothing(browser: Page, open_report: Callable[..., Path]) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((40, len(HOSTILE)))
    y = x[:, :2] + random.standard_normal((40, 2))
    open_report(fit((x, y), HOSTILE_TARGETS, HOSTILE))
    assert browser.evaluate("document.title") == "model: a linear model"
    texts = f"[...{PANEL}.querySelectorAll('%s')].map(e => e.textContent)"
    assert browser.evaluate(texts % "label") == HOSTILE
    assert browser.evaluate(texts % "dt") == HOSTILE_TARGETS
    enter(browser, 0, "99")
    shortened = f"{HOSTILE[0][:23]}…"
    assert browser.evaluate(ANSWER).startswith(f"Outside the training range: {shortened}")
    enter(browser, 0, "")
    assert browser.evaluate(ANSWER) == f"{shortened}: give a number"
    assert browser.evaluate("document.querySelector('img')") is None
    assert browser.evaluate("document.title") == "model: a linear model"
    assert browser.evaluate("performance.getEntriesByType('resource').length") == 0
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    fields = [n["name"]["value"] for n in nodes if n.get("role", {}).get("value") == "spinbutton"]
    assert [name.split() for name in fields] == [name.split() for name in HOSTILE]


@pytest.mark.slow
def test_the_keyboard_alone_will_do(browser: Page, open_report: Callable[..., Path]) -> None:
    model = gradline.load(open_report(fit(shops(), "revenue", one_hot="region", missing="mean")))
    address = browser.evaluate("location.href")
    browser.evaluate("document.querySelector('#try').tabIndex = -1")
    browser.evaluate("document.querySelector('#try').focus()")
    names, values = [column.name for column in model.columns], {}
    for name in names:
        browser.press("Tab")
        at = "document.activeElement.parentElement.querySelector('label').textContent"
        assert browser.evaluate(at) == name
        if name == "region":
            browser.press("ArrowDown")
            values[name] = [browser.evaluate("document.activeElement.value")]
        else:
            browser.type("77")  # Tab selects what a field says
            values[name] = [77.0]
    assert browser.evaluate("document.activeElement.validity.valid")
    browser.press("Enter")
    assert browser.evaluate("location.href") == address
    assert shown(browser, "value")[0] == pytest.approx(model.predict(values)[0], rel=1e-6)
    browser.press("Tab")
    browser.press(" ")
    browser.wait_for(f"{PANEL}.querySelector('input').value !== '77'")


@pytest.mark.slow
def test_enter_sends_no_form(browser: Page, open_report: Callable[..., Path]) -> None:
    open_report(fit(noisy(30, 1, 1)))  # of one field, a browser sends what has no button for it
    address = browser.evaluate("location.href")
    browser.evaluate("document.getElementById('feature-0').select()")
    browser.type("5.5")
    browser.press("Enter")
    assert browser.evaluate("document.getElementById('feature-0').value") == "5.5"
    assert browser.evaluate("location.href") == address


@pytest.mark.slow
def test_of_300_features_the_most_telling_come_first(
    browser: Page, open_report: Callable[..., Path]
) -> None:
    X, Y = noisy(400, 300, 2)
    package = open_report(fit((X, Y), dtype="float32"))
    labels = f"[...{PANEL}.querySelectorAll('%s label')].map(l => l.textContent)"
    graph = parse_graph((package / "model.onnx").read_bytes())
    effects = (np.abs(graph.weights) * X.std(axis=0) / Y.std(axis=0)[:, None]).max(axis=0)
    ranked = [f"x{j}" for j in np.argsort(-effects)]
    assert browser.evaluate(labels % "form > .fields") == ranked[:12]
    assert browser.evaluate(labels % "details") == ranked[12:]
    told = browser.evaluate(f"{PANEL}.querySelector('summary').textContent")
    assert told == "288 further columns"
    hidden = f"document.getElementById('feature-{ranked[20][1:]}').checkVisibility()"
    assert not browser.evaluate(hidden)
    browser.evaluate(f"{PANEL}.querySelector('summary').focus()")
    browser.press("Enter")
    assert browser.evaluate(hidden)
    enter(browser, int(ranked[20][1:]), "1e6")
    assert browser.evaluate(ANSWER).startswith(f"Outside the training range: {ranked[20]}")
    assert (package / "report.html").stat().st_size < 3_000_000


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_either_scheme(
    scheme: str, browser: Page, open_report: Callable[..., Path]
) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((40, len(HOSTILE)))
    y = x[:, :2] + random.standard_normal((40, 2))
    open_report(fit((x, y), HOSTILE_TARGETS, HOSTILE))
    browser.prefer(scheme)
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    boxes = browser.evaluate(
        f"[...{PANEL}.querySelectorAll('input, dl div')].map(e => e.getBoundingClientRect())"
        ".map(({left, right, height}) => [left, right, height])"
    )
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert len(boxes) == 8
    assert all(left >= 0 and right <= 390 and height >= 36 for left, right, height in boxes)
    colours = browser.evaluate(
        f"(() => {{ const c = document.createElement('canvas').getContext('2d');"
        f" const s = getComputedStyle({PANEL}.querySelector('.range'));"
        " c.fillStyle = matchMedia('(prefers-color-scheme: dark)').matches ? '#121212' : '#fff';"
        " c.fillRect(0, 0, 1, 1); c.fillStyle = s.color; c.fillRect(0, 0, 1, 1);"
        " return [...c.getImageData(0, 0, 1, 1).data.slice(0, 3)]; })()"
    )
    ground = [255] * 3 if scheme == "light" else [0x12] * 3
    assert contrast(colours, ground) >= 4.5


def contrast(one: list[int], other: list[int]) -> float:
    """Return WCAG 2's contrast of two colours."""
    lights = sorted(
        sum(
            share * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
            for share, c in zip((0.2126, 0.7152, 0.0722), (v / 255 for v in colour), strict=True)
        )
        for colour in (one, other)
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_the_data_cannot_end_their_script(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((20, len(HOSTILE)))
    found = fit((x, x[:, :2]), HOSTILE_TARGETS, HOSTILE)
    page = (export_package(found, tmp_path, "model") / "report.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="panel-data">(.*?)</script>', page)
    assert not set(data) & set("<>&'\u2028\u2029")
    assert json.loads(data)["schema"] == {
        "features": HOSTILE, "targets": HOSTILE_TARGETS, "dtype": "float32",
    }  # fmt: skip
    assert not re.search(r"\b(eval|Function|fetch|import)\s*\(", page)


def test_the_same_fit_gives_the_same_page(tmp_path: Path) -> None:
    pages = [
        (export_package(fit(orchard(), TARGETS), tmp_path, "m") / "report.html").read_bytes()
        for _ in range(2)
    ]
    assert pages[0] == pages[1]


def test_a_model_too_large_for_a_page_says_so(tmp_path: Path) -> None:
    X, _ = noisy(30, 900, 1)
    package = export_package(fit((X, X[:, :50]), ridge=1.0), tmp_path, "model")
    page = (package / "report.html").read_text()
    assert "The 45,000 weights of this model are too many for a page to hold." in page
    assert "<gradline-panel>" not in page


def test_columns_are_ordered_by_their_features_largest_effect() -> None:
    columns = [Column("a"), Column("b", "category", ("p", "q", "r"), "q"), Column("c")]
    features = ["a", "b=p", "b=r", "c"]
    deviations = dict(zip([*features, "y", "z"], [1.0, 0.5, 0.5, 2.0, 1.0, 0.0], strict=True))
    manifest = {
        "schema": {"features": features, "targets": ["y", "z"]},
        "columns": {name: {"deviation": value} for name, value in deviations.items()},
    }
    weights = np.array([[1.0, -8.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    assert by_effect(weights, manifest, Plan.of_columns(columns)) == [1, 2, 0]
    plain = Plan.of_columns(list(map(Column, features)))
    assert by_effect(weights, manifest, plain) == [1, 3, 0, 2]


def test_the_web_examples_policy_names_the_panel() -> None:
    panel = files("gradline.presentation").joinpath("panel.html").read_bytes()
    page = (EXAMPLES / "web" / "index.html").read_text()
    for kind, text in re.findall(rb"<(script|style)>(.*?)</\1>", panel, re.DOTALL):
        name = base64.b64encode(hashlib.sha256(text).digest()).decode()
        policy = re.search(rf"{kind.decode()}-src ([^;\"]*)", page)
        assert policy is not None
        assert f"'sha256-{name}'" in policy[1], "panel.html changed: write this hash into the page"
