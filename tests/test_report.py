"""report.html: whole in itself, the same bytes again, and harmless whatever names stand in it."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import gradline
from browser import Page as Browser
from gradline.columns.plan import Plan
from gradline_export.freeze.freezing import freeze
from gradline_export.report.coefficients import Target
from gradline_export.report.effects import Spreads, effects_of
from gradline_export.report.panel import MOST_LETTERS
from gradline_export.report.plots import correlation_plot, loss_plot
from gradline_trainer import Fit, LinearRegression, fit
from gradline_trainer.orchard import TARGETS, orchard
from gradline_trainer.rows.rows import Rows
from gradline_trainer.statistics.measuring import ShownColumns
from gradline_trainer.statistics.metrics import MOST_ROWS, Residuals, step_among
from hosts import need

RNG = np.random.default_rng(8)
ROWS = 300
X = RNG.standard_normal((ROWS, 8))
Y = X @ RNG.standard_normal((8, 2)) + RNG.standard_normal((ROWS, 2))
VOID = {"meta", "br", "wbr", "input", "link", "img", "hr"}
OPTIONAL = {"li", "p", "td", "th", "tr"}


class Page(HTMLParser):
    """What stands in a page: its elements, its text, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def written(*table: Any, name: str = "model", export: Any = None, **options: Any) -> str:
    return freeze(fit(*table, **options), name, **(export or {})).files["report.html"].decode()


@pytest.fixture(scope="module")
def orchards() -> str:
    return written(orchard(), TARGETS, name="orchard")


def test_the_same_run_gives_the_same_bytes(orchards: str) -> None:
    assert written(orchard(), TARGETS, name="orchard") == orchards


def test_the_page_is_whole_in_itself(orchards: str) -> None:
    page = Page(orchards)
    assert not page.open
    for tag, attributes in page.elements:
        for attribute in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert (attributes.get(attribute) or "#").startswith("#"), (tag, attribute)
    assert "@import" not in orchards
    assert "url(http" not in orchards


def test_threads_do_not_spoil_each_others_plots(orchards: str) -> None:
    found = fit(orchard(), TARGETS)
    with ThreadPoolExecutor(4) as pool:
        frozen = pool.map(lambda _: freeze(found, "orchard").files["report.html"], range(8))
    assert {text.decode() for text in frozen} == {orchards}


def test_nothing_is_loaded_and_no_script_runs_but_the_panels(orchards: str) -> None:
    policy = next(
        attributes["content"] or ""
        for tag, attributes in Page(orchards).elements
        if tag == "meta" and "http-equiv" in attributes
    )
    assert orchards.index("http-equiv") < orchards.index("<style")
    assert policy.startswith("default-src 'none'; ")
    named = {b64decode(found) for found in re.findall(r"'sha256-([^']*)'", policy)}
    scripts = re.findall(r"<script>(.*?)</script>", orchards, re.DOTALL)
    assert named == {hashlib.sha256(script.encode()).digest() for script in scripts}
    assert len(named) == 4
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")


def test_every_part_can_be_found_and_every_picture_has_words(orchards: str) -> None:
    page = Page(orchards)
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    titles = {
        attributes["id"] for tag, attributes in page.elements if tag == "title" and attributes
    }
    # For each target predictions, residuals over them and over 3 columns, Q-Q; correlations, loss.
    assert len(pictures) == 2 * (1 + 1 + 3 + 1) + 2
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert attributes["aria-labelledby"] in titles
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert set(ids.values()) == {1}


def luminance(colour: str) -> float:
    """Return a colour's relative luminance as WCAG 2 has it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(s * p for s, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def mixed(above: str, below: str, alpha: float) -> str:
    pairs = ((int(above[i : i + 2], 16), int(below[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(alpha * a + (1 - alpha) * b):02x}" for a, b in pairs)


def test_text_can_be_read_on_what_is_behind_it(orchards: str) -> None:
    themes = [
        dict(re.findall(r"--(\w+): (#\w+)", rule))
        for rule in re.findall(r":root {(.*?)}", orchards)
    ]
    assert len(themes) == 3  # light, dark, print
    numbers = correlation_plot(["a", "b"], np.ones((2, 2)))
    alpha = float(re.findall(r"(?<!-)opacity: ([\d.]+)", numbers)[0])
    for theme in themes:
        pairs = [(theme[name], theme["ground"]) for name in ("text", "quiet", "accent", "warn")]
        ground = theme["ground"].ljust(7, "f")
        strongest = [mixed(theme[name], ground, alpha) for name in ("accent", "warn")]
        pairs += [(theme["text"], colour) for colour in strongest]
        for pair in pairs:
            light, dark = sorted(map(luminance, pair), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def test_colours_are_the_pages_own(orchards: str) -> None:
    inside = "".join(part.partition("</svg>")[0] for part in orchards.split("<svg")[1:])
    assert "var(--accent)" in inside
    assert "#04" not in inside
    assert "#000000" not in inside.replace("stroke: #000000; stroke-width: 0", "")


NAMES = [
    "<script>alert(1)</script>", "a\"b'c", "😀", "שלום", "x" * 500, "$\\alpha$", "</script><!--",
    "a\nb",
]  # fmt: skip


def test_names_are_never_markup() -> None:
    text = written((X, Y), features=NAMES, targets=["<b>bold</b>", "</title>"])
    page = Page(text)
    assert not page.open
    assert Counter(tag for tag, _ in page.elements if tag in ("script", "b")) == {"script": 5}
    assert "alert(1)" not in "".join(
        part.partition("</script>")[0] for part in text.split("<script>")[1:]
    )
    assert "<b>bold</b>" in page.words


def test_a_name_from_right_to_left_turns_no_sign_around_it(tmp_path: Path) -> None:
    hebrew = NAMES[3]
    text = written((X[:, :2], Y[:, 0]), features=[hebrew, "plain"], targets=["y"])
    (equation,) = re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)[:1]
    assert f"·\u2068{hebrew}\u2069 " in equation
    assert "·plain" in equation
    drawn = "".join(part.partition("</svg>")[0] for part in text.split("<svg")[1:])
    assert drawn.count(hebrew) == drawn.count(f"\u2068{hebrew}\u2069") > 0


def snippets(text: str) -> dict[str, str]:
    """Return what the page says of its use, by language."""
    used = text.partition('id="use"')[2]
    found = re.findall(r"<h3>(.*?)</h3>\n<pre[^>]*>(.*?)</pre>", used, re.DOTALL)
    return {language: Page(code).words for language, code in found}


def test_how_to_use_it_can_be_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*NAMES[:7], "turned\u202eabout"]
    frozen = freeze(fit((X, Y), features=names, targets=["y", "z"]), "odd")
    folder = tmp_path / "artifacts" / "odd" / "1"
    folder.mkdir(parents=True)
    for file, data in frozen.files.items():
        (folder / file).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    text = frozen.files["report.html"].decode()
    assert "\u202e" not in text
    found = snippets(text)
    model = gradline.load("artifacts/odd")
    means = [float(f"{model.manifest['columns'][name]['mean']:.4g}") for name in names]
    expression = found["Python"].partition("model.predict(")[2].removesuffix(")")
    row = eval(expression)  # noqa: S307 - what people are told to copy
    np.testing.assert_array_equal(model.predict(row), model.predict([means]))
    assert shlex.split(found["Command line"]) == ["gradline", "predict", "artifacts/odd", "new.csv"]
    body = json.loads(shlex.split(found["HTTP"])[-1])
    assert body == {"instances": [dict(zip(names, means, strict=True))]}


def test_every_language_predicts_the_same_row_of_a_category() -> None:
    table = {"shop": ["a", "b", "c"] * 10, "size": np.arange(30.0), "sales": RNG.random(30)}
    found = snippets(written(table, "sales", one_hot="shop"))
    assert '({"shop": "a", "size": 15})' in found["Python"]
    assert json.loads(shlex.split(found["HTTP"])[-1])["instances"] == [{"shop": "a", "size": 15}]
    assert ".of(0.0, 0.0, 15.0), [1, 3])" in found["JavaScript"]


def test_a_file_is_known_by_its_hash() -> None:
    frozen = freeze(fit(orchard(), TARGETS), "orchard")
    words = Page(frozen.files["report.html"].decode()).words
    for file in ("model.onnx", "model.pt", "golden.json"):
        assert hashlib.sha256(frozen.files[file]).hexdigest() in words


@pytest.mark.parametrize(("across", "along"), [(1e-150, 1e-140), (1e150, 1e150), (1e-160, 1)])
def test_any_scale_can_be_drawn(across: float, along: float) -> None:
    page = Page(written((X * across, Y * along)))
    assert not page.open
    assert "nan" not in page.words.lower().split()


def test_what_is_not_defined_is_said() -> None:
    page = Page(written((X[:5], Y[:5])))
    assert "5 rows leave no degree of freedom" in page.words
    assert "nan" not in page.words.lower().split()
    assert "No standard errors:" in Page(written((X, Y), ridge=1.0)).words


def test_a_perfect_fit_and_one_without_bias_are_shown() -> None:
    line = np.arange(20.0).reshape(-1, 1)
    assert "nan" not in Page(written((line, 2 * line))).words.lower().split()
    words = Page(written((X, Y), bias=False).partition('<h2 id="made"')[0]).words
    assert words.count("R² about 0 (no bias)") == words.count("bias") == 2


def test_columns_that_say_nothing_are_shown(tmp_path: Path) -> None:
    twice = np.column_stack([X[:, :2], X[:, 0] * 2, np.ones(ROWS)])
    words = Page(written((twice, Y[:, 0]))).words
    assert "nan" not in words.lower().split()
    package = LinearRegression().fit(X, np.ones(ROWS)).export(tmp_path)
    assert "nan" not in Page((package / "report.html").read_text()).words.lower().split()


def test_losses_of_any_size_can_be_drawn() -> None:
    for losses in ([1.7e308] * 2, [5e-324], [np.inf, 1.7e308, 1.0, 0.0], [0.0, 0.0], [3.0] * 1000):
        words = Page(loss_plot(losses, 0.0)).words
        assert not {"nan", "inf", "1einf"} & set(words.lower().split()), losses
    assert {"10,000", "3,000"} <= set(Page(loss_plot([29_000.0, 2_800.0], None)).words.split())


def test_a_probability_below_all_numbers_is_no_zero() -> None:
    line = np.linspace(0, 1, 2000).reshape(-1, 1)
    noise = 1e-4 * RNG.standard_normal((2000, 1))
    assert "p <1e-300" in Page(written((line, line + noise))).words


def test_each_target_has_its_own_largest_coefficients_first() -> None:
    many = RNG.standard_normal((200, 40))
    coefficients = np.zeros((40, 2))
    coefficients[:, 0], coefficients[39, 1] = 1.2 ** np.arange(40, 0, -1), 5.0
    text = written((many, many @ coefficients + RNG.standard_normal((200, 2))))
    tables = [part.partition("</table>")[0] for part in text.split("own units</caption>")[1:3]]
    first = [re.findall(r'scope="row"><span><bdi>(\w+)', table)[0] for table in tables]
    assert first == ["x0", "x39"]
    sizes = [
        [
            abs(float(cell))
            for cell in re.findall(r"<td>([^<]*)</td><td>[^<]*</td></tr>", table)[:-1]
        ]
        for table in tables
    ]
    assert all(found == sorted(found, reverse=True) for found in sizes)


def test_what_a_robust_fit_says() -> None:
    assert "are robust (HC3)" in Page(written((X, Y), robust="HC3")).words


def test_large_tables_give_readable_pages() -> None:
    many = RNG.standard_normal((400, 300))
    page = written((many, many @ RNG.standard_normal((300, 1)) + RNG.standard_normal((400, 1))))
    assert len(page) < 1_000_000
    assert "288 further features" not in page  # that the component says
    said = "Shown for each target: 30 of 300 columns, those that predictions vary with the most."
    assert said in Page(page).words
    wide = written((X, np.tile(Y, (1, 25))))
    assert len(wide) < 3_000_000
    assert "(42 more targets)" in Page(wide).words


def test_a_wide_table_has_what_a_page_can_hold() -> None:
    wide = RNG.standard_normal((30, 12_001))
    names = [f"{'a long name of a column':>99} {j}" for j in range(12_001)]
    text = written((wide, wide[:, 0]), features=names, ridge=1.0, epochs=2)
    words = Page(text).words
    assert len(text) < 500_000 < MOST_LETTERS
    assert "The 12,001 weights of this model are too many for a page to hold." in words
    assert "Not shown: the table is too wide" in words
    assert "Not measured: leverage is computed for up to 32 features." in words


def test_of_many_targets_those_predicted_worst_are_shown_and_it_is_said() -> None:
    errors = np.linspace(0.1, 6, 60)
    many = X @ RNG.standard_normal((8, 60)) + errors * RNG.standard_normal((ROWS, 60))
    found = fit((X, many), targets=[f"t{j}" for j in range(60)])
    r2 = {name: metrics.r2 for name, metrics in (found.metrics["training"] or {}).items()}
    worst = sorted(r2, key=lambda name: r2[name])
    text = freeze(found, "model").files["report.html"].decode()
    words = Page(text).words
    assert words.count("Shown: 8 of 60 targets, those predicted worst.") == 3
    assert words.count("Shown: 4 of 60 targets, those predicted worst.") == 2
    assert "Shown: 50 of 60 targets, those predicted worst." in words
    assert "Shown: 8 of 60 targets, those predicted worst. The stronger" in words
    table = text.partition("own unit</caption>")[2].partition("</table>")[0]
    assert re.findall(r"<bdi>(\w+)</bdi>", table) == worst[:50]
    assert re.findall(r"<h3><bdi>(\w+)</bdi>", text) == worst[:8]


def test_a_coefficient_of_0_has_its_interval_in_the_picture() -> None:
    square = np.array([[a, b] for a in (-1.0, 1) for b in (-1.0, 1)] * 10)
    found = fit((square, 2 * square[:, 0] + np.tile([1.0, -1, -1, 1], 10)))
    assert found.weights[0].tolist() == [2, 0]
    rows = target_of(found).picture()
    (_, drawn), (_, of_zero) = (row["interval"] for row in rows)
    assert drawn == pytest.approx(of_zero, abs=0.2)
    assert of_zero > 1


def target_of(found: Fit, k: int = 0) -> Target:
    """Lay out a fit's target as the report does."""
    spreads = Spreads.of(found)
    effects = spreads.strongest(k, effects_of(found))
    known = found.summary().to_dict()
    standardized = found.weights.numpy()[k] * np.sqrt(spreads.variance) / spreads.of_targets[k]
    return Target(
        found, k, effects, spreads, standardized, known["targets"][found.targets[k]], known["vif"]
    )


def test_a_line_that_is_not_drawn_is_not_spoken_of() -> None:
    perfect = Page(written((X, X[:, :1]))).words
    assert "Dashed" not in perfect
    assert "The lowest loss that weights can reach is 0." in perfect
    assert "Dashed: the lowest loss" in Page(written((X, Y))).words


def test_errors_of_weighted_rows_and_those_that_are_not_known_are_explained() -> None:
    said = "for a row of weight 1"
    weights = RNG.random(ROWS) + 0.5
    assert said in Page(written((X, Y), sample_weight=weights)).words
    assert said not in Page(written((X, Y))).words
    large = np.resize(X, (300_000, 8))
    unseen = written((large, large[:, 0] + RNG.standard_normal(300_000)))
    assert "MAE needs a second pass over the data and was not computed." in Page(unseen).words


def test_no_row_of_a_large_table_is_shown() -> None:
    many = RNG.standard_normal((5000, 2))
    page = written((many, many @ [[1.0], [2.0]] + RNG.standard_normal((5000, 1))))
    drawn = [part.partition("</svg>")[0] for part in page.split("<svg")[1:]]
    assert len([svg for svg in drawn if svg.count("<use") > 100]) == 0
    assert "The stronger the colour, the more rows." in Page(page).words


def test_rows_that_were_not_kept_are_not_shown(tmp_path: Path) -> None:
    frame = pl.DataFrame(RNG.standard_normal((140_000, 2)), schema=["x", "y"])
    frame.write_parquet(tmp_path / "t.parquet")
    found = fit(tmp_path / "t.parquet", "y")
    assert not found.residuals["training"].rows
    text = freeze(found, "model").files["report.html"].decode()
    assert "Not shown: the 140,000 rows were read once, before the weights" in Page(text).words
    held = fit(tmp_path / "t.parquet", "y", holdout=0.5)
    words = Page(freeze(held, "model").files["report.html"].decode()).words
    assert "Held-out rows, one in 2 of 70,000. The stronger" in words


@pytest.mark.parametrize("size", [99, 4_097, 200_000])
def test_which_rows_are_kept_does_not_depend_on_blocks(size: int) -> None:
    every = np.arange(200_000.0).reshape(-1, 1)
    step = step_among(len(every), 1)
    shown = ShownColumns(Plan((), ()), ())

    def kept(start: int, end: int) -> Residuals:
        part = every[start:end]
        rows = Rows((part,), 1, first=start, plan=shown.plan)
        return Residuals.of(part, -part, rows, step, shown)

    found = kept(0, 1)
    for start in range(1, len(every), size):
        found = found.merge(kept(start, start + size))
    assert found.rows == len(every)
    assert MOST_ROWS / 2 < len(found.targets) <= MOST_ROWS
    np.testing.assert_array_equal(found.targets, every[:: found.step])
    np.testing.assert_array_equal(found.predictions, 0 * found.targets)


def test_what_is_kept_of_many_targets_is_little() -> None:
    for rows, targets in ((100_000, 400), (10**9, 1), (10**6, 10**5)):
        kept = -(-rows // step_among(rows, targets))
        assert kept <= max(200, min(MOST_ROWS, (1 << 19) // targets))
        assert 2 * kept > min(rows, 200)


def test_residuals_are_those_of_the_rows() -> None:
    found = fit((X, Y), holdout=0.2)
    for which in ("training", "held_out"):
        residuals = found.residuals[which]
        assert residuals.rows == {"training": 240, "held_out": 60}[which]
        off = residuals.predictions - residuals.targets
        for k, metrics in enumerate((found.metrics[which] or {}).values()):
            assert metrics.rmse == pytest.approx(float(np.sqrt(np.mean(off[:, k] ** 2))), rel=1e-12)


def test_no_report_imports_no_templates(tmp_path: Path) -> None:
    script = (
        "import sys; from gradline.cli import train_and_export\n"
        f"sys.argv = ['train-and-export', '-q', '--no-report', '-o', {str(tmp_path)!r}]\n"
        "try: train_and_export()\nexcept SystemExit as end: assert not end.code, end\n"
        "assert 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert not (tmp_path / "orchard" / "1" / "report.html").exists()


def test_what_scrolls_can_be_reached_and_is_named(orchards: str) -> None:
    regions = [a for _, a in Page(orchards).elements if (a.get("class") or "") == "scroll"]
    assert len(regions) == 8  # metrics; effects, coefficients of each; columns; map; hosts
    for attributes in regions:
        assert (attributes["tabindex"], attributes["role"]) == ("0", "region")
    names = [attributes["aria-label"] for attributes in regions]
    assert all(names)
    assert len(set(names)) == len(names)


def test_links_lead_to_the_sections(orchards: str) -> None:
    elements = Page(orchards).elements
    links = [a["href"] or "" for tag, a in elements if tag == "a"]
    titles = [a.get("id") for tag, a in elements if tag == "h2"]
    assert [link.removeprefix("#") for link in links] == titles


PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(need("chromium"), tmp_path / "profile") as browser:
        yield browser


def shown(browser: Browser, path: Path, text: str) -> None:
    path.write_text(text)
    browser.open(path.as_uri())
    browser.wait_for("document.readyState === 'complete' && document.title.endsWith('model')")


@pytest.mark.slow
def test_what_is_injected_does_not_run(browser: Browser, tmp_path: Path) -> None:
    text = written((X, Y), features=NAMES, targets=["<script>document.title = 1</script>", "y"])
    damaged = text.replace("</main>", "<script>document.title = 'hacked'</script></main>")
    shown(browser, tmp_path / "report.html", damaged)
    browser.evaluate(
        "(() => { const s = document.createElement('script'); s.textContent = 'document.title = 2';"
        " document.body.append(s); })()"
    )
    assert browser.evaluate("document.title") == "model: a linear model"
    refused = "fetch('data:,x').then(() => 'came', () => 'refused')"
    assert browser.evaluate(refused) == "refused"
    assert browser.evaluate("document.querySelectorAll('gradline-panel input').length") == 8


@pytest.mark.slow
def test_a_phone_shows_all_of_it_and_letters_that_can_be_read(
    browser: Browser, tmp_path: Path
) -> None:
    many = RNG.standard_normal((400, 300))
    pages = [
        written(orchard(), TARGETS),
        written((X, Y), features=NAMES, targets=["t" * 500, "</title>"]),
        written((many, many[:, :3] + RNG.standard_normal((400, 3)))),
    ]
    browser.call("Emulation.setDeviceMetricsOverride", **PHONE)
    for text in pages:
        shown(browser, tmp_path / "report.html", text)
        assert browser.evaluate("document.documentElement.scrollWidth") == 390
        letters = browser.evaluate(
            "Math.min(...[...document.querySelectorAll('main > * svg text, figure svg text')].map("
            "t => parseFloat(getComputedStyle(t).fontSize) * Math.hypot(t.getScreenCTM().c, "
            "t.getScreenCTM().d)))"
        )
        assert letters >= 7.9


@pytest.mark.slow
def test_paper_is_white_whatever_the_screen_is(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path / "report.html", written(orchard(), TARGETS))
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", media="print", features=dark)
    style = "getComputedStyle(document.body)"
    assert browser.evaluate(f"{style}.backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate(f"{style}.color") == "rgb(28, 36, 48)"


@pytest.mark.slow
def test_long_names_neither_leave_a_picture_nor_push_the_predictions_away(
    browser: Browser, tmp_path: Path
) -> None:
    text = written((X, Y), features=NAMES, targets=["t" * 500, "</title><script>alert(3)</script>"])
    browser.call("Emulation.setDeviceMetricsOverride", **PHONE)
    shown(browser, tmp_path / "report.html", text)
    browser.evaluate(
        "(() => { const fields = [...document.querySelectorAll('gradline-panel input')];"
        "for (const field of fields) field.value = 1000;"
        "fields[4].dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    browser.wait_for("document.querySelector('gradline-panel .caution') !== null")
    caution = "document.querySelector('gradline-panel .caution')"
    assert browser.evaluate(f"{caution}.getBoundingClientRect().height") < 110
    assert browser.evaluate(f"{caution}.querySelector('bdi:last-of-type').title") == NAMES[4]
    beyond = browser.evaluate(
        "[...document.querySelectorAll('figure svg')].flatMap(picture => {"
        "const { left, right } = picture.getBoundingClientRect();"
        "return [...picture.querySelectorAll('text')].filter(text => {"
        "const box = text.getBoundingClientRect();"
        "return box.left < left - 1 || box.right > right + 1; }).map(text => text.textContent); })"
    )
    assert beyond == []


WIDE = {
    "flipper_length_mm": X[:, 0], "species.of.penguin": np.resize(["Gentoo", "Adelie"], ROWS),
    "body_mass_g": Y[:, 0],
}  # fmt: skip


BROKEN = """
[...document.querySelectorAll("th bdi")].flatMap((name) =>
  [...name.childNodes].filter((part) => part.nodeType === 3 && !part.data.includes(" "))
    .filter((part) => {
      const letters = document.createRange();
      letters.selectNodeContents(part);
      return new Set([...letters.getClientRects()].map((box) => box.top)).size > 1;
    }).map((part) => part.data))
"""


@pytest.mark.slow
def test_names_break_between_words_and_tables_scroll_by_keyboard(
    browser: Browser, tmp_path: Path
) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", **PHONE)
    for table in ((WIDE, "body_mass_g"), (orchard(), TARGETS)):
        shown(browser, tmp_path / "report.html", written(*table))
        assert browser.evaluate(BROKEN) == []
    shown(browser, tmp_path / "report.html", written(WIDE, "body_mass_g"))
    wide = "[...document.querySelectorAll('.scroll')].find(e => e.scrollWidth > e.clientWidth + 40)"
    assert browser.evaluate(f"(window.wide = {wide}).ariaLabel") == "Coefficients of body_mass_g"
    browser.evaluate("window.wide.focus()")
    assert browser.evaluate("document.activeElement === window.wide")
    browser.press("ArrowRight")
    browser.wait_for("window.wide.scrollLeft > 0")


def test_filled_values_are_told_once_and_folds_have_no_column_of_unknown_errors() -> None:
    x = np.where(np.arange(ROWS) % 9 == 0, np.nan, X[:, 0])
    text = freeze(fit({"x": x, "y": Y[:, 0] + X[:, 0]}, "y"), "m").files["report.html"].decode()
    assert text.count("filled with the mean: ") == 1
    assert "filled with the training mean" not in text
    tables = re.findall(r"<caption>(Training rows[^<]*)</caption>\s*<thead>(.*?)</thead>", text)
    heads = {caption: re.sub("<[^>]*>", " ", head).split() for caption, head in tables[:2]}
    assert list(heads.values()) == [["target", "RMSE", "MAE", "R²"], ["target", "RMSE", "R²"]]
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', text.partition("five folds")[2])
    assert "–" not in rows[0]
