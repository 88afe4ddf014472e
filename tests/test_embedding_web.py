"""examples/web in a real browser: the golden rows, and predictions as one types."""

from __future__ import annotations

import functools
import json
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradline
from browser import Page
from gradline.bound import rounding_bound
from gradline.graph import parse_graph
from hosts import EXAMPLES, call, installed, need, npm

pytestmark = pytest.mark.slow

VERDICT = "document.getElementById('verdict').textContent"
SETTLED = f"document.getElementById('verdict') && !{VERDICT}.startsWith('Loading') && {VERDICT}"
ROOT = "document.getElementById('predictor').shadowRoot"
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
    """What is served on this machine alone: examples/web, and the packages put beside it."""

    folder: Path
    address: str

    def put(self, package: Path, name: str) -> Path:
        return Path(shutil.copytree(package, self.folder / name, dirs_exist_ok=True))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    left = shutil.ignore_patterns("node_modules")
    shutil.copytree(EXAMPLES / "web", folder, dirs_exist_ok=True, ignore=left)
    (folder / "node_modules").symlink_to(npm("web") / "node_modules")
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(need("chromium"), tmp_path_factory.mktemp("profile")) as page:
        yield page


def shown(page: Page) -> list[dict[str, Any]]:
    """Return what the fields are, as assistive software is told it."""
    found: list[dict[str, Any]] = (
        page.evaluate(f"""[...{ROOT}.querySelectorAll('input')].map(i => ({{
        name: [...i.labels].map(l => l.textContent).join(),
        value: i.value,
        description: {ROOT}.getElementById(i.getAttribute('aria-describedby')).textContent,
    }}))""")
    )
    return found


def predictions(page: Page) -> dict[str, float]:
    """Return the answers that stand on the page, by target."""
    found = page.evaluate(
        f"[...{ROOT}.querySelectorAll('[role=status] dt')]"
        ".map(t => [t.textContent, t.nextSibling.querySelector('data').value])"
    )
    return {name: float(value) for name, value in found}


def enter(page: Page, field: int, text: str) -> None:
    page.evaluate(f"{ROOT}.querySelectorAll('input')[{field}].select()")
    page.type(text)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_golden_rows_are_within_their_bounds(
    dtype: str, site: Site, page: Page, package_of: Callable[[str], Path]
) -> None:
    site.put(package_of(dtype), dtype)
    page.open(f"{site.address}/?package={dtype}")
    assert "64 golden rows, at most " in page.wait_for(SETTLED)
    assert page.evaluate("document.title") == "orchard"


def test_a_page_that_computes_wrongly_says_so_and_predicts_nothing(
    site: Site, page: Page, package_of: Callable[[str], Path]
) -> None:
    package = site.put(package_of("float32"), "moved")
    golden = json.loads((package / "golden.json").read_text())
    golden["outputs"][7][1] += 2 * golden["bounds"][7][1]
    (package / "golden.json").write_text(json.dumps(golden))
    page.open(f"{site.address}/?package=moved")
    assert "golden row 7, target oranges" in page.wait_for(SETTLED)
    assert page.evaluate(ROOT) is None


def test_the_fields_are_labelled_and_start_with_the_means(
    site: Site, page: Page, package_of: Callable[[str], Path]
) -> None:
    site.put(package_of("float32"), "float32")
    page.open(f"{site.address}/?package=float32")
    page.wait_for(SETTLED)
    assert shown(page) == [
        {"name": "temperature", "value": "84.4", "description": "69 to 102"},
        {"name": "rainfall", "value": "85.6", "description": "43 to 134"},
        {"name": "humidity", "value": "54.4", "description": "37 to 70"},
    ]


def test_what_is_typed_is_predicted(
    site: Site, page: Page, package_of: Callable[[str], Path]
) -> None:
    package = site.put(package_of("float32"), "float32")
    page.open(f"{site.address}/?package=float32")
    page.wait_for(SETTLED)
    model = gradline.load(package)
    graph = parse_graph((package / "model.onnx").read_bytes())
    row = [84.4, 85.6, 54.4]
    for field, text in enumerate(["73", "67.25", "43"]):
        before = predictions(page)
        row[field] = float(text)
        enter(page, field, text)
        page.wait_for(f"Number({ROOT}.querySelector('data').value) !== {before['apples']!r}")
        x = np.array([row], np.float32)
        bounds = 2 * rounding_bound(x, graph.weights, graph.bias, graph.dtype)[0]
        answers = predictions(page)
        assert list(answers) == ["apples", "oranges"]
        np.testing.assert_array_less(
            np.abs(np.array([*answers.values()]) - model.predict(x)[0]), bounds
        )
    text = page.evaluate(f"{ROOT}.querySelector('data').textContent")
    assert text == f"{answers['apples']:.6g}"


def test_fields_say_what_is_wrong_with_them(
    site: Site, page: Page, package_of: Callable[[str], Path]
) -> None:
    site.put(package_of("float32"), "float32")
    page.open(f"{site.address}/?package=float32")
    page.wait_for(SETTLED)
    enter(page, 1, "200")
    page.wait_for(f"{ROOT}.getElementById('range1').textContent.startsWith('outside')")
    assert shown(page)[1]["description"] == "outside the training range, 43 to 134"
    page.evaluate(f"{ROOT}.querySelectorAll('input')[2].value = ''")
    enter(page, 0, "70")
    page.wait_for(f"{ROOT}.querySelector('[role=status]').textContent.includes('humidity needs')")
    assert predictions(page) == {}


def test_light_and_dark_differ(
    site: Site, page: Page, package_of: Callable[[str], Path], tmp_path: Path
) -> None:
    site.put(package_of("float32"), "float32")
    page.open(f"{site.address}/?package=float32")
    page.wait_for(SETTLED)
    colours = {}
    for scheme in ("light", "dark"):
        (tmp_path / f"{scheme}.png").write_bytes(page.screenshot(scheme))
        colours[scheme] = page.evaluate(f"getComputedStyle({ROOT}.querySelector('input')).color")
    assert colours["light"] != colours["dark"]


def test_the_oldest_web_runtime_loads_the_same_file(
    site: Site, page: Page, package_of: Callable[[str], Path]
) -> None:
    def install(folder: Path) -> None:
        call(need("npm"), "pack", old, cwd=folder)
        (archive,) = folder.glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")

    old = "onnxruntime-web@1.9.0"
    (site.folder / "old").symlink_to(installed("web", old, install) / "package" / "dist")
    (site.folder / "old.html").write_text(OLD)
    for dtype in ("float32", "float64"):
        site.put(package_of(dtype), dtype)
        page.open(f"{site.address}/old.html?{dtype}")
        assert page.wait_for(SETTLED).startswith("64 golden rows, at most ")
