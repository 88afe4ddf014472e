"""A real notebook: what it shows of a fit, as HTML and in a browser."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from browser import Page
from hosts import need
from public_tables import penguins

pytestmark = pytest.mark.slow

CELLS = """
import gradline, pandas as pd
from gradline_trainer import fit
table = pd.read_csv({path!r})
fitted = fit(table, "body_mass_g", holdout=0.2)
fitted
---
fitted.summary()
---
X, y = table.drop(columns="body_mass_g"), table["body_mass_g"]
fit(X, y, exclude="year")
---
fitted.predict(X.head(2), intervals=0.95)
---
model = gradline.load(fitted.export("artifacts", name="penguins"))
model
---
fit(table, "body_mass")
"""
THEMES = {"light": ("white", "#212121"), "dark": ("#111", "#ddd")}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """The outputs of each cell; the last one fails."""
    folder = tmp_path_factory.mktemp("notebook")
    cells = [
        nbformat.v4.new_code_cell(text.strip())
        for text in CELLS.format(path=str(penguins(folder))).split("---")
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Jupyter's own
        where = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=120, allow_errors=True, resources=where).execute()
    return [cell.outputs for cell in notebook.cells]


def shown(cell: list[Any]) -> dict[str, str]:
    """The last value of a cell, by its form."""
    (value,) = [output.data for output in cell if output.output_type == "execute_result"]
    return dict(value)


def test_a_fit_and_its_summary_have_an_html_and_a_short_text(outputs: list[list[Any]]) -> None:
    for cell in outputs[:3]:
        found = shown(cell)
        assert "<table" in found["text/html"]
        assert "<script" not in found["text/html"]
        assert len(found["text/plain"].splitlines()) < 20
    assert "held-out rows" in shown(outputs[0])["text/html"]


def test_a_warning_is_shown_beside_the_cell(outputs: list[list[Any]]) -> None:
    streams = ["".join(o.text for o in cell if o.output_type == "stream") for cell in outputs]
    assert "GradlineWarning: 2 of 344 rows dropped for missing values" in streams[0]
    assert "fitted = fit(table" in streams[0]  # the caller's line


def test_a_fault_is_short_and_says_what_to_do(outputs: list[list[Any]]) -> None:
    (error,) = [output for output in outputs[-1] if output.output_type == "error"]
    assert (error.ename, error.evalue) == ("InputError", "unknown target 'body_mass'")
    text = "\n".join(error.traceback)
    assert text.count("/gradline") <= 3
    assert "did you mean 'body_mass_g'?" in text


def page_of(outputs: list[list[Any]], theme: str) -> str:
    """Write the outputs as a notebook does."""
    back, ink = THEMES[theme]
    parts = []
    for cell in outputs[:5]:
        value = shown(cell)
        parts.append(value.get("text/html") or f"<pre>{value['text/plain']}</pre>")
    style = f"body{{background:{back};color:{ink};font:13px sans-serif;margin:12px}}"
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{'<hr>'.join(parts)}"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [390, 1000])
def test_a_browser_shows_it_in_every_theme(
    theme: str, width: int, outputs: list[list[Any]], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(page_of(outputs, theme))
    with Page(need("chromium"), tmp_path / "profile") as page:
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        page.open(path.as_uri())
        page.wait_for("document.readyState == 'complete' && !!document.querySelector('table')")
        inks = page.evaluate(
            "[...new Set([...document.querySelectorAll('td, th, strong')]"
            ".map(e => getComputedStyle(e).color))].length"
        )
        assert inks == 1  # the page's own
        data = page.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        (tmp_path / f"{theme}.png").write_bytes(base64.b64decode(data))
