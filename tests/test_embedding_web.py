"""examples/web in a real browser: the golden rows, and predictions as one types."""

from __future__ import annotations

import functools
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import gradline
from browser import Page
from cafe_package import answer, cafe_package
from gradline.package.graph import parse_graph
from gradline.package.rounding_bound import rounding_bound
from hosts import EXAMPLES, REFERENCE, call, installed, need, npm, with_moved_row, with_nan

pytestmark = pytest.mark.slow

VERDICT = "document.getElementById('verdict').textContent"
SETTLED = f"document.getElementById('verdict') && !{VERDICT}.startsWith('Loading') && {VERDICT}"
PANEL = "document.querySelector('gradline-panel')"
STATUS = f"{PANEL}.querySelector('output')"
OLD = """<!doctype html>
<p id="verdict">Loading</p>
<script src="old/ort.min.js"></script>
<script type="module">
  import { checkGolden } from "./golden.js";
  import { openPackage } from "./package.js";
  ort.env.wasm.numThreads = 1;
  const { manifest, golden, predict } = await openPackage(ort, location.search.slice(1));
  const { verdict } = await checkGolden(golden, manifest.schema.targets, predict);
  document.getElementById("verdict").textContent = verdict;
</script>
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@dataclass(frozen=True)
class Site:
    """What is served on this machine alone: examples/web where it lies, and packages."""

    folder: Path
    address: str

    def put(self, package: Path, name: str) -> Path:
        """Serve a package as /NAME, and return its folder."""
        return Path(shutil.copytree(package, self.folder / name, dirs_exist_ok=True))

    @property
    def web(self) -> Path:
        return self.folder / "examples" / "web"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    left = shutil.ignore_patterns("node_modules")
    web = shutil.copytree(EXAMPLES / "web", folder / "examples" / "web", ignore=left)
    (web / "node_modules").symlink_to(npm("web") / "node_modules")
    shutil.copytree(REFERENCE, folder / "artifacts" / "orchard" / "1")
    runtime = folder / "runtime" / "gradline" / "presentation"
    runtime.mkdir(parents=True)
    for file in ("panel.html", "terms.js"):
        shutil.copy(files("gradline.presentation").joinpath(file), runtime)  # type: ignore[arg-type]
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder, f"http://127.0.0.1:{server.server_port}/examples/web/")
        server.shutdown()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(need("chromium"), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def orchard_page(site: Site, page: Page) -> Page:
    """The page of the reference package, as it stands when all is loaded."""
    page.open(site.address)
    page.wait_for(SETTLED)
    return page


def fields(page: Page) -> list[tuple[str, str]]:
    """Return each field's name and description, as assistive software is told them."""
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    found = [node for node in nodes if node["role"]["value"] == "spinbutton"]
    return [(node["name"]["value"], node["description"]["value"]) for node in found]


def predictions(page: Page) -> dict[str, float]:
    """Return the answers that stand on the page, by target."""
    found = page.evaluate(
        f"[...{PANEL}.querySelectorAll('output dt')]"
        ".map(t => [t.textContent, t.nextSibling.dataset.value])"
    )
    return {name: float(value) for name, value in found}


def enter(page: Page, field: int, text: str) -> None:
    page.evaluate(f"{PANEL}.querySelectorAll('input')[{field}].select()")
    page.type(text)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_golden_rows_are_within_their_bounds(
    dtype: str, site: Site, page: Page, package_of: Callable[[str], Path]
) -> None:
    site.put(package_of(dtype), dtype)
    page.open(f"{site.address}?package=/{dtype}")
    assert "64 golden rows, at most " in page.wait_for(SETTLED)
    assert page.evaluate("document.title") == "orchard"


def test_a_page_that_computes_wrongly_says_so_and_predicts_nothing(site: Site, page: Page) -> None:
    for row, spoil in {7: with_moved_row, 0: with_nan}.items():
        spoil(site.put(REFERENCE, f"spoilt{row}"))
        page.open(f"{site.address}?package=/spoilt{row}")
        assert f"golden row {row}, target oranges" in page.wait_for(SETTLED)
        assert page.evaluate(f"{PANEL}.childElementCount") == 0


def test_the_fields_have_the_features_names_means_and_ranges(orchard_page: Page) -> None:
    assert fields(orchard_page) == [
        ("temperature", "trained on 69 to 102, mean 84.4"),
        ("rainfall", "trained on 43 to 134, mean 85.6"),
        ("humidity", "trained on 37 to 70, mean 54.4"),
    ]
    values = orchard_page.evaluate(f"[...{PANEL}.querySelectorAll('input')].map(i => i.value)")
    assert values == ["84", "86", "54"]


def test_what_is_typed_is_predicted(orchard_page: Page) -> None:
    model = gradline.load(REFERENCE)
    graph = parse_graph((REFERENCE / "model.onnx").read_bytes())
    row = [84, 86, 54]
    for field, text in enumerate(["73", "67.25", "43"]):
        before = predictions(orchard_page)["apples"]
        row[field] = float(text)
        enter(orchard_page, field, text)
        orchard_page.wait_for(f"Number({PANEL}.querySelector('dd').dataset.value) !== {before!r}")
        x = np.array([row], np.float32)
        answers = predictions(orchard_page)
        assert list(answers) == ["apples", "oranges"]
        # Each of the two is within the bound of the exact value.
        apart = np.abs(np.array([*answers.values()]) - model.predict(x)[0])
        assert (apart <= 2 * rounding_bound(x, graph.weights, graph.bias, graph.dtype)[0]).all()
    text = orchard_page.evaluate(f"{PANEL}.querySelector('dd').textContent")
    assert text == f"{answers['apples']:.6g}"


def test_fields_say_what_is_wrong_with_them(orchard_page: Page) -> None:
    told = "outside the range: trained on 43 to 134, mean 85.6"
    for text in ("200", "42"):
        enter(orchard_page, 1, text)
        assert fields(orchard_page)[1] == ("rainfall", told)
        orchard_page.wait_for(
            f"{STATUS}.textContent.startsWith('Outside the training range: rain')"
        )
    enter(orchard_page, 2, "")
    orchard_page.wait_for(f"{STATUS}.textContent === 'humidity: give a number'")
    enter(orchard_page, 2, "50")
    orchard_page.wait_for(f"{STATUS}.querySelectorAll('dt').length === 2")


def test_a_tables_own_columns_are_predicted_by_the_pipeline(
    site: Site, page: Page, tmp_path: Path
) -> None:
    site.put(cafe_package(tmp_path / "1"), "cafes")
    page.open(f"{site.address}?package=/cafes")
    assert "6 golden rows, at most 0% of the bound" in page.wait_for(SETTLED)
    page.wait_for(f"!!{PANEL}.querySelector('dd')")
    types = page.evaluate(f"[...{PANEL}.querySelectorAll('input, select')].map(e => e.type)")
    assert types == ["number", "select-one", "date"]
    for size, region, day in (("", "south", "2024-03-09"), ("20", "", "1969-12-31")):
        expected = answer(float(size or "nan"), region or None, seconds_of(day))
        set_fields = f"{{ const [size, region, day] = {PANEL}.querySelectorAll('input, select');"
        set_fields += f"size.value = '{size}'; region.value = '{region}'; day.value = '{day}'; }}"
        page.evaluate(f"(async () => {{ {set_fields} await {PANEL}.update(); }})()")
        assert predictions(page) == {"revenue": pytest.approx(expected, rel=1e-6)}


def test_a_page_of_the_pipeline_alone(site: Site, page: Page, tmp_path: Path) -> None:
    pipeline = cafe_package(tmp_path / "1") / "pipeline.onnx"
    shutil.copy(pipeline, site.folder / "alone.onnx")
    page.open(f"{site.address}pipeline.html?model=/alone.onnx")
    said = "document.querySelector('output')?.textContent"
    assert page.wait_for(said) == "NaN"
    names = page.evaluate("[...document.querySelectorAll('label')].map(l => l.textContent.trim())")
    assert names == ["size", "region", "opened"]
    for place, text in enumerate(["71.5", " south ", "2024-03-09"]):
        page.evaluate(f"document.querySelectorAll('input')[{place}].focus()")
        page.type(text)
    expected = answer(71.5, "south", seconds_of("2024-03-09"))
    page.wait_for(f"Math.abs({said} - {expected}) < 1e-3")


def seconds_of(day: str) -> int:
    return int(np.datetime64(day, "s").astype(np.int64))


def test_predictions_are_announced(orchard_page: Page) -> None:
    nodes = orchard_page.call("Accessibility.getFullAXTree")["nodes"]
    live = [node for node in nodes if node["role"]["value"] == "status"]
    for node in live:
        assert {"name": "live", "value": {"type": "token", "value": "polite"}} in node["properties"]
    assert len(live) == 2  # the predictions, and the verdict


PANEL_OF_ITS_OWN = """
    const panel = document.body.appendChild(document.createElement("gradline-panel"));
    const schema = { features: ["a"], targets: ["b"] };
    const columns = { a: { mean: 1, minimum: 0, maximum: 2 } };
"""


def test_an_answer_that_a_later_one_overtook_is_dropped(orchard_page: Page) -> None:
    shown = orchard_page.evaluate(f"""(async () => {{ {PANEL_OF_ITS_OWN}
        const waiting = [];
        const predict = ([x]) => new Promise((resolve) => waiting.push(() => resolve([x])));
        const first = panel.show({{ schema, columns, predict }});
        const input = panel.querySelector("input");
        input.value = "2";
        input.dispatchEvent(new Event("input", {{ bubbles: true }}));
        waiting[1]();
        waiting[0]();
        await first;
        return panel.querySelector("dd").dataset.value;
    }})()""")
    assert shown == "2"


def test_a_prediction_that_fails_says_why(orchard_page: Page) -> None:
    shown = orchard_page.evaluate(f"""(async () => {{ {PANEL_OF_ITS_OWN}
        const predict = () => Promise.reject(new Error("the server is gone"));
        await panel.show({{ schema, columns, predict }});
        return panel.querySelector("output").textContent;
    }})()""")
    assert shown == "the server is gone"


def test_light_and_dark_differ(orchard_page: Page) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        orchard_page.prefer(scheme)
        field = f"getComputedStyle({PANEL}.querySelector('input'))"
        colours[scheme] = orchard_page.evaluate(f"[{field}.color, {field}.backgroundColor]")
    assert colours["light"] != colours["dark"]
    assert all(len(set(pair)) == 2 for pair in colours.values())


def test_the_oldest_web_runtime_loads_the_same_file(
    site: Site, page: Page, package_of: Callable[[str], Path]
) -> None:
    def install(folder: Path) -> None:
        call(need("npm"), "pack", old, cwd=folder)
        (archive,) = folder.glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")

    old = "onnxruntime-web@1.9.0"
    (site.web / "old").symlink_to(installed("web", old, install) / "package" / "dist")
    (site.web / "old.html").write_text(OLD)
    for dtype in ("float32", "float64"):
        site.put(package_of(dtype), dtype)
        page.open(f"{site.address}old.html?/{dtype}")
        assert page.wait_for(SETTLED).startswith("64 golden rows, at most ")
