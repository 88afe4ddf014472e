"""axe-core finds nothing serious in reports and in the server's page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from accessibility import resized, serious
from browser import Page
from gradline_export import export_package
from gradline_trainer import fit
from gradline_trainer.orchard import TARGETS, orchard
from hosts import need
from public_tables import penguins
from serving import serving

pytestmark = pytest.mark.slow

MODELS = ("orchard", "penguins", "logged")
SHOWN = "document.querySelectorAll('gradline-effects tbody tr').length > 2"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages of format 1, of format 2, and of a logged target."""
    folder = tmp_path_factory.mktemp("packages")
    table = penguins(folder)
    export_package(fit(orchard(), TARGETS), folder, "orchard")
    export_package(fit(table, "body_mass_g"), folder, "penguins")
    export_package(fit(table, "log(body_mass_g)"), folder, "logged")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(need("chromium"), tmp_path_factory.mktemp("profile")) as page:
        page.call("Page.enable")
        yield page


@pytest.fixture(params=[390, 1200])
def width(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture(params=["light", "dark"])
def seen(request: pytest.FixtureRequest, width: int, browser: Page) -> Iterator[Page]:
    """The browser with a width and a colour scheme."""
    browser.prefer(request.param)
    resized(browser, width)
    yield browser
    browser.call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize("model", MODELS)
def test_reports(model: str, root: Path, seen: Page, width: int) -> None:
    report = root / model / "1" / "report.html"
    seen.open(report.as_uri())
    seen.wait_for(f"location.pathname === '{report}' && {SHOWN}")
    assert serious(seen) == []
    assert seen.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with serving(root) as server:
        yield server.address


@pytest.mark.parametrize("model", MODELS)
def test_the_servers_page(model: str, address: str, seen: Page, width: int) -> None:
    seen.open("about:blank")
    seen.open(f"{address}/")
    seen.wait_for(SHOWN)
    chosen = "document.getElementById('model')"
    seen.evaluate("document.querySelector('gradline-panel').replaceChildren()")
    seen.evaluate(f"{chosen}.value = '{model}'; {chosen}.dispatchEvent(new Event('change'))")
    seen.wait_for(SHOWN)
    row = "document.querySelector('gradline-panel').values.join(',')"
    seen.evaluate(f"document.getElementById('rows').value = {row}")
    seen.evaluate("document.getElementById('go').click()")
    seen.wait_for("!!document.querySelector('#table td')")
    assert serious(seen) == []
    assert seen.evaluate("document.documentElement.scrollWidth") <= width
