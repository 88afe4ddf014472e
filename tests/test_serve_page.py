"""The server's page in a real browser, against a real server."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import polars as pl
import pytest

import gradline
from browser import Page
from gradline_export import export_package
from gradline_trainer import fit
from hosts import need

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::gradline.GradlineWarning"),  # some rows have gaps
]

NAME = "<script>document.title = 'hacked'</script>"
SHOWN = "[...document.querySelectorAll('gradline-panel dd')].map(d => Number(d.dataset.value))"
SETTLED = "document.querySelectorAll('gradline-panel dd').length > 0"


@pytest.fixture(scope="module")
def root(orchard_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages: orchard of two versions, and one whose names are HTML."""
    folder = tmp_path_factory.mktemp("served")
    for version in "12":
        shutil.copytree(orchard_package, folder / "orchard" / version)
    odd = fit({NAME: [1.0, 2, 4], "“q”": [0.0, 1, 5], "y & z": [1.0, 2, 3]}, "y & z")
    export_package(odd, folder, "zz-odd", report=False)
    random = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "region": random.choice(["Basel, CH", '"Z"', "O'Hara"], 60),
            "area": pl.Series(random.uniform(40, 400, 60).round(1)).scatter([5], None),
            "price": random.normal(0, 1, 60),
        }
    )
    encoded = fit(table, "price", one_hot="region", missing="mean")
    export_package(encoded, folder, "shops", report=False)
    return folder


@contextmanager
def served(root: Path, *options: str) -> Iterator[str]:
    """Serve packages; give the address."""
    command = [sys.executable, "-m", "gradline", "serve", str(root), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        yield server.stderr.readline().strip()
        server.terminate()


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with served(root) as address:
        yield address


@pytest.fixture
def page(address: str, tmp_path: Path) -> Iterator[Page]:
    with Page(need("chromium"), tmp_path / "profile") as page:
        page.call("Page.enable")
        page.open(f"{address}/")
        page.wait_for(SETTLED)
        yield page


def put(page: Page, selector: str, value: str) -> None:
    """Write into a field as a person does, with what that makes the page do."""
    page.evaluate(
        f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
        f" field.value = {json.dumps(value)};"
        " field.dispatchEvent(new Event('input', {bubbles: true}));"
        " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def wait_for_values(page: Page, expected: list[float]) -> None:
    end = time.monotonic() + 20
    while (found := page.evaluate(SHOWN)) != expected:
        assert time.monotonic() < end, f"{found}, expected {expected}"
        time.sleep(0.02)


def test_it_predicts_as_one_types(page: Page, root: Path) -> None:
    model = gradline.load(root / "orchard")
    assert page.evaluate("document.title") == "orchard · gradline"
    for place, value in enumerate(("73", "67", "43")):
        put(page, f"#feature-{place}", value)
    wait_for_values(page, model.predict([[73, 67, 43]])[0].astype(float).tolist())
    assert "outside" not in page.evaluate("document.querySelector('gradline-panel').innerText")
    put(page, "#feature-0", "1000")
    wait_for_values(page, model.predict([[1000, 67, 43]])[0].astype(float).tolist())
    told = page.evaluate("document.getElementById('feature-0-range').textContent")
    assert told == "outside the range: trained on 69 to 102, mean 84.4"
    put(page, "#feature-0", "")
    page.wait_for("document.querySelector('gradline-panel .fault')?.textContent === "
                  "'temperature: give a number'")  # fmt: skip


def test_every_field_has_a_label_and_a_range_for_assistive_software(page: Page) -> None:
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    fields = [n for n in nodes if n.get("role", {}).get("value") == "spinbutton"]
    assert [n["name"]["value"] for n in fields] == ["temperature", "rainfall", "humidity"]
    assert fields[0]["description"]["value"].startswith("trained on 69 to 102")


def test_rows_of_csv_in_any_order_of_names(page: Page, root: Path) -> None:
    rows = "humidity;temperature;rainfall\n43;73;67\n64;91;88"
    put(page, "#rows", rows)
    page.evaluate("document.getElementById('go').click()")
    cells = page.wait_for(
        "(() => { const cells = [...document.querySelectorAll('#table td')]"
        ".map(c => Number(c.textContent)); return cells.length === 12 && cells; })()"
    )
    found = gradline.load(root / "orchard").predict([[73, 67, 43], [91, 88, 64]], intervals=0.95)
    ends = np.stack([found.values, found.lower, found.upper], axis=-1)
    assert cells == pytest.approx(ends.ravel().tolist(), abs=0.05)
    put(page, "#rows", "humidity,temperature\n43,73")
    page.evaluate("document.getElementById('go').click()")
    page.wait_for("document.getElementById('wrong').textContent === "
                  "'the header has no column rainfall'")  # fmt: skip


def test_its_snippets_make_this_very_request(page: Page, root: Path) -> None:
    put(page, "#feature-1", "99.5")
    page.wait_for("document.getElementById('snippet').textContent.includes('99.5')")
    exact = gradline.load(root / "orchard").predict([[84, 99.5, 54]])[0].astype(float).tolist()
    curl = page.evaluate("document.getElementById('snippet').textContent")
    answer = subprocess.run(["sh", "-c", f"{curl} --silent"], capture_output=True, check=True)
    expected = [dict(zip(("apples", "oranges"), exact, strict=True))]
    assert json.loads(answer.stdout) == {"predictions": expected}
    page.evaluate("[...document.querySelectorAll('#tabs button')][1].click()")
    code = page.evaluate("document.getElementById('snippet').textContent")
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ast.literal_eval(shown.stdout.decode()) == expected
    page.evaluate("[...document.querySelectorAll('#tabs button')][2].click()")
    script = page.evaluate("document.getElementById('snippet').textContent")
    node = [need("node"), "--input-type=module", "-e", script]
    shown = subprocess.run(node, capture_output=True, check=True)
    assert shown.stdout.decode().count(":") == 2
    assert all(str(value) in shown.stdout.decode() for value in exact)


def choose(page: Page, model: str) -> None:
    put(page, "#model", model)
    page.wait_for(f"document.title === '{model} · gradline'")


def test_a_model_with_categories_is_asked_by_the_tables_columns(page: Page, root: Path) -> None:
    model = gradline.load(root / "shops")
    choose(page, "shops")
    levels = "[...document.querySelectorAll('gradline-panel option')].map(o => o.value)"
    assert page.evaluate(levels) == list(model.columns[0].levels)
    for level in model.columns[0].levels:
        for area, given in (("99.5", 99.5), ("", None)):
            put(page, "#feature-0", level)
            put(page, "#feature-1", area)
            answer = model.predict({"region": [level], "area": [given]})[0].astype(float).tolist()
            wait_for_values(page, answer)
            for place, run in enumerate((["sh", "-c"], [sys.executable, "-c"])):
                page.evaluate(f"document.querySelectorAll('#tabs button')[{place}].click()")
                code = page.evaluate("document.getElementById('snippet').textContent")
                code += " --silent" if place == 0 else ""
                told = subprocess.run([*run, code], capture_output=True, check=True).stdout
                assert json.dumps(answer)[1:-1].encode() in told


def test_rows_of_csv_with_quotes_categories_and_gaps(page: Page, root: Path) -> None:
    model = gradline.load(root / "shops")
    choose(page, "shops")
    rows = 'area,region\r\n100,"Basel, CH"\r\n,"""Z"""\r\n\r\n42.5,O\'Hara\r\n'
    given = {"region": ["Basel, CH", '"Z"', "O'Hara"], "area": [100.0, None, 42.5]}
    put(page, "#rows", rows)
    page.evaluate("document.getElementById('go').click()")
    cells = page.wait_for(
        "(() => { const cells = [...document.querySelectorAll('#table td:nth-child(2)')]"
        ".map(c => Number(c.textContent)); return cells.length === 3 && cells; })()"
    )
    assert cells == pytest.approx(model.predict(given).ravel().tolist(), abs=0.01)
    for wrong, said in {
        "nowhere,1": "nowhere",
        "O'Hara,much": "row 1: area: much is not a number",
        "O'Hara": "row 1: 1 values, expected 2",
        "region,area": "there are no rows below the header",
        "region,size\nO'Hara,1": "the header has no column area",
        " ": "paste a row first",
    }.items():
        put(page, "#rows", wrong)
        page.evaluate("document.getElementById('wrong').textContent = ''")
        page.evaluate("document.getElementById('go').click()")
        page.wait_for(f"document.getElementById('wrong').textContent.includes({json.dumps(said)})")
        assert page.evaluate("document.getElementById('table').textContent") == ""
        assert page.evaluate("document.getElementById('wrong').checkVisibility()")


def test_the_arrows_go_from_tab_to_tab(page: Page) -> None:
    page.evaluate("document.querySelector('#tabs button').focus()")
    label = "document.getElementById('snippet').getAttribute('aria-labelledby')"
    named = f"document.getElementById({label}).textContent"
    for language in ("Python", "JavaScript", "curl"):
        page.press("ArrowRight")
        assert page.evaluate("document.activeElement.textContent") == language
        assert page.evaluate(named) == language
    page.press("Tab")
    assert page.evaluate("document.activeElement.id") == "snippet"


def test_the_snippet_is_copied_by_the_keyboard(page: Page) -> None:
    page.call("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    page.evaluate("document.getElementById('snippet').focus()")
    page.press("Tab")
    page.press("Enter")
    page.wait_for("document.getElementById('copied').textContent === 'Copied.'")
    snippet = page.evaluate("document.getElementById('snippet').textContent")
    assert page.evaluate("navigator.clipboard.readText()") == snippet
    put(page, "#feature-0", "70")
    page.wait_for("document.getElementById('copied').textContent === ''")


def test_without_a_clipboard_the_snippet_is_selected(page: Page) -> None:
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.evaluate("document.getElementById('copy').click()")
    page.wait_for("document.getElementById('copied').textContent !== ''")
    snippet = page.evaluate("document.getElementById('snippet').textContent")
    assert page.evaluate("getSelection().toString()").strip() == snippet.strip()


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("NaN,1,1", "row 1: temperature: NaN is not a number"),
        ("NaN,n/a,-inf", "row 1: temperature: NaN is not a number"),
        ("73,5;67;43", "row 1: temperature: 73,5 is not a number; write 73.5"),
        ("73;67,5;43,5", "row 1: rainfall: 67,5 is not a number; write 67.5"),
        ("1,2,3\n4,,6", "row 2: rainfall: the value is missing"),
        ('"a;b;c",1,2', "row 1: temperature: a;b;c is not a number"),
        ("a,b,c", "the header has no column temperature"),
    ],
)
def test_pasted_rows_that_are_no_numbers_are_told_as_such(
    pasted: str, said: str, page: Page
) -> None:
    put(page, "#rows", pasted)
    page.evaluate("document.getElementById('go').click()")
    page.wait_for(f"document.getElementById('wrong').textContent === {json.dumps(said)}")


def test_a_server_that_stopped_is_told_in_words(root: Path, tmp_path: Path) -> None:
    with Page(need("chromium"), tmp_path / "profile") as page:
        page.call("Page.enable")
        with served(root) as address:
            page.open(f"{address}/")
            page.wait_for(SETTLED)
        put(page, "#feature-0", "70")
        said = "textContent.startsWith('The server does not answer')"
        page.wait_for(f"document.querySelector('gradline-panel .fault')?.{said}")
        put(page, "#rows", "1,2,3")
        page.evaluate("document.getElementById('go').click()")
        page.wait_for(f"document.getElementById('wrong').{said}")


def test_models_and_versions_are_chosen_and_names_are_never_html(page: Page) -> None:
    versions = "[...document.querySelectorAll('#version option')].map(o => o.textContent)"
    assert page.evaluate(versions) == ["1", "2"]
    put(page, "#version", "1")
    page.wait_for("document.getElementById('snippet').textContent.includes('/versions/1:predict')")
    put(page, "#model", "zz-odd")
    page.wait_for("document.title === 'zz-odd · gradline'")
    page.wait_for("document.querySelectorAll('gradline-panel label').length === 2")
    labels = page.evaluate(
        "[...document.querySelectorAll('gradline-panel label')].map(l => l.textContent)"
    )
    assert labels == [NAME, "“q”"]
    page.wait_for("document.querySelector('gradline-panel dt')?.textContent === 'y & z'")
    assert page.evaluate("document.title") == "zz-odd · gradline"


def test_nothing_from_elsewhere_can_run(page: Page) -> None:
    page.evaluate(
        "(() => { const s = document.createElement('script');"
        " s.textContent = 'document.title = \"injected\"'; document.body.append(s); })()"
    )
    assert page.evaluate("document.title") == "orchard · gradline"
    refused = "fetch('http://127.0.0.2:9/').then(() => 'came', () => 'refused')"
    assert page.evaluate(refused) == "refused"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_users_colour_scheme(scheme: str, page: Page) -> None:
    page.prefer(scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    text = page.evaluate("getComputedStyle(document.body).color")
    bright = {name: sum(map(int, colour[4:-1].split(","))) for name, colour in
              (("ground", ground), ("text", text))}  # fmt: skip
    assert (bright["ground"] > bright["text"]) == (scheme == "light")


def test_a_person_enters_the_token_that_the_server_asks_for(root: Path, tmp_path: Path) -> None:
    token = "x" * 16
    (tmp_path / "token").write_text(token)
    options = ("--token-file", str(tmp_path / "token"))
    shown = "document.getElementById('entry')?.checkVisibility()"
    fault = "document.getElementById('fault')?.textContent"
    with served(root, *options) as address, Page(need("chromium"), tmp_path / "profile") as page:
        page.call("Page.enable")
        page.open(f"{address}/")
        for typed, said in (("", "This server requires"), ("x", "Wrong token")):
            if typed:
                put(page, "#token", typed)
                page.evaluate("document.querySelector('#entry button').click()")
            page.wait_for(f"{fault}?.startsWith({json.dumps(said)}) && {shown}")
        put(page, "#token", token)
        page.evaluate("document.querySelector('#entry button').click()")
        page.wait_for(SETTLED)
        assert not page.evaluate(shown)
        page.open(f"{address}/")  # the token is known for as long as the tab is open
        page.wait_for(SETTLED)
        predicted = page.evaluate(SHOWN)
        for place, run in enumerate(
            (["sh", "-c"], [sys.executable, "-c"], [need("node"), "--input-type=module", "-e"])
        ):
            page.evaluate(f"document.querySelectorAll('#tabs button')[{place}].click()")
            code = page.evaluate("document.getElementById('snippet').textContent")
            assert token not in code
            code += " --silent" * (place == 0)
            env = {**os.environ, "TOKEN": token}
            told = subprocess.run([*run, code], capture_output=True, check=True, env=env).stdout
            assert all(str(value) in told.decode() for value in predicted)


def test_the_page_says_what_the_model_is_and_how_well_it_predicts(page: Page, root: Path) -> None:
    model = gradline.load(root / "orchard")
    assert page.evaluate("document.getElementById('equation').textContent") == model.equation
    texts = "[...document.querySelectorAll('#metrics %s')].map(e => e.textContent)"
    assert page.evaluate(texts % "thead th") == ["target", "R²", "typical error (RMSE)"]
    name, r2, rmse = page.evaluate(texts % "tbody tr:first-child *")
    training = model.metrics["training"]["apples"]
    assert name == "apples"
    assert float(r2) == pytest.approx(training["r2"], abs=1e-3)
    assert float(rmse) == pytest.approx(training["rmse"], rel=1e-2)


def test_intervals_and_effects_are_the_packages_own(page: Page, root: Path) -> None:
    model = gradline.load(root / "orchard")
    for place, value in enumerate(("73", "67", "43")):
        put(page, f"#feature-{place}", value)
    found = model.predict([[73, 67, 43]], intervals=0.95)
    wait_for_values(page, found.values[0].astype(float).tolist())
    ends = page.evaluate(
        "[...document.querySelectorAll('gradline-panel dd small')]"
        ".map(e => [Number(e.dataset.lower), Number(e.dataset.upper)])"
    )
    assert np.array(ends) == pytest.approx(np.stack([found.lower[0], found.upper[0]], -1))
    shown = page.evaluate(
        "[...document.querySelectorAll('gradline-effects table')].map(t => [...t.rows]"
        ".map(r => [r.cells[0].textContent, Number(r.cells[2].dataset.effect)]))"
    )
    parts = model.explain([[73, 67, 43]]).contributions[0]
    for effects, expected in zip(shown, parts, strict=True):
        assert dict(effects) == pytest.approx(dict(zip(model.features, expected, strict=True)))


def test_the_report_is_a_link_away(page: Page, root: Path) -> None:
    href = page.evaluate("document.getElementById('report').href")
    assert href.endswith("/v2/models/orchard/versions/2/report")
    page.open(href)
    page.wait_for("document.title === 'orchard: a linear model'")
    page.wait_for("!!document.querySelector('gradline-panel dd')")  # its scripts run
    reached = "(() => { try { return typeof sessionStorage; } catch (e) { return e.name; } })()"
    assert page.evaluate(reached) == "SecurityError"
    with urlopen(href) as answer:
        assert answer.read() == (root / "orchard" / "2" / "report.html").read_bytes()
        assert answer.headers["Content-Security-Policy"].startswith("sandbox allow-scripts; ")


def test_a_package_without_a_report_has_no_link(page: Page, address: str) -> None:
    choose(page, "shops")
    page.wait_for("document.getElementById('to-report').hidden")
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{address}/v2/models/shops/report")
    assert caught.value.code == 404
    assert "has no report" in json.load(caught.value)["error"]


def test_a_report_that_changed_is_not_sent(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "orchard" / "1"
    shutil.copytree(root / "orchard" / "1", copy)
    with served(tmp_path / "orchard") as address:
        (copy / "report.html").write_bytes(b"other")
        with pytest.raises(HTTPError) as caught:
            urlopen(f"{address}/v2/models/orchard/report")
        assert caught.value.code == 404
        assert "changed or removed" in json.load(caught.value)["error"]


def test_a_missing_value_is_sent_as_null(page: Page) -> None:
    choose(page, "shops")
    put(page, "#feature-1", "")
    page.wait_for("document.getElementById('snippet').textContent.includes('\"area\": null')")


def test_with_a_token_the_report_is_saved(root: Path, tmp_path: Path) -> None:
    token = "x" * 16
    (tmp_path / "token").write_text(token)
    with (
        served(root, "--token-file", str(tmp_path / "token")) as address,
        Page(need("chromium"), tmp_path / "profile") as page,
    ):
        page.call("Page.enable")
        page.open(f"{address}/")
        page.wait_for("document.getElementById('entry')?.checkVisibility()")
        put(page, "#token", token)
        page.evaluate("document.querySelector('#entry button').click()")
        page.wait_for(SETTLED)
        page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        page.evaluate("document.getElementById('report').click()")
        saved = tmp_path / "orchard-2-report.html"
        end = time.monotonic() + 20
        while not saved.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert saved.read_bytes() == (root / "orchard" / "2" / "report.html").read_bytes()


@contextmanager
def below(address: str, prefix: str) -> Iterator[str]:
    """Answer for a server below a path of another, as a proxy does; give that address."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if self.command == "POST" else None
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            with urlopen(Request(f"{address}{self.path.removeprefix(prefix)}", body)) as answer:
                self.send_response(answer.status)
                for name in ("Content-Type", "Content-Length", "Content-Security-Policy"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                self.wfile.write(answer.read())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
        server.shutdown()


def test_it_works_below_another_path(address: str, page: Page) -> None:
    with below(address, "/models/here") as there:
        page.open(f"{there}/")
        page.wait_for(f"location.href === '{there}/' && {SETTLED}")
        snippet = page.evaluate("document.getElementById('snippet').textContent")
        assert f"{there}/v1/models/orchard:predict" in snippet
        told = subprocess.run(["sh", "-c", f"{snippet} --silent"], capture_output=True, check=True)
        assert "predictions" in json.loads(told.stdout)
        page.open(page.evaluate("document.getElementById('report').href"))
        page.wait_for("document.title === 'orchard: a linear model'")


def test_a_model_of_unknown_training_shows_what_is_known(root: Path, tmp_path: Path) -> None:
    bare = tmp_path / "orchard.onnx"
    bare.write_bytes((root / "orchard" / "1" / "model.onnx").read_bytes())
    with served(bare) as address, Page(need("chromium"), tmp_path / "profile") as page:
        page.call("Page.enable")
        page.open(f"{address}/")
        page.wait_for(SETTLED)
        said = "no record of the training rows"
        assert said in page.evaluate("document.getElementById('intervals').textContent")
        assert page.evaluate("document.getElementById('equation').textContent").startswith("apples")
        for hidden in ("metrics table", "to-report:not([hidden])"):
            assert page.evaluate(f"document.querySelector('#{hidden}')") is None
        assert page.evaluate("document.querySelector('gradline-effects table')") is None
        put(page, "#feature-0", "73")
        model = gradline.load(bare)
        wait_for_values(page, model.predict([[73, 0, 0]])[0].astype(float).tolist())


@pytest.mark.parametrize("learned", ["null", "{library: 'scikit-learn', class: 'Ridge'}"])
def test_a_model_learned_elsewhere_says_where(learned: str, page: Page) -> None:
    page.evaluate(f"described.origin = {{learned: 'elsewhere', with: {learned}}}; showModel()")
    text = page.evaluate("document.getElementById('origin').textContent")
    by = "" if learned == "null" else ", with scikit-learn Ridge"
    assert text == (
        f"This model was learned elsewhere{by}, so its training rows, metrics and ranges are "
        "unknown."
    )
