"""report.html: whole in itself, the same bytes again, and harmless whatever names stand in it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gradline_export.packaging import freeze
from gradline_trainer import fit
from gradline_trainer.orchard import TARGETS, orchard

RNG = np.random.default_rng(8)
ROWS = 300
X = RNG.standard_normal((ROWS, 8))
Y = X @ RNG.standard_normal((8, 2)) + RNG.standard_normal((ROWS, 2))
VOID = {"meta", "br", "input", "link", "img", "hr"}
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
    assert len(pictures) == 8  # the loss, two for each target, coefficients of each, correlations
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert attributes["aria-labelledby"] in titles
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert set(ids.values()) == {1}


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
    assert Counter(tag for tag, _ in page.elements if tag in ("script", "b")) == {"script": 3}
    assert "alert(1)" not in "".join(
        part.partition("</script>")[0] for part in text.split("<script>")[1:]
    )
    assert "<b>bold</b>" in page.words


@pytest.mark.parametrize(("across", "along"), [(1e-150, 1e-150), (1e150, 1e150), (1e-160, 1)])
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
    assert "bias" not in Page(written((X, Y), bias=False)).words.partition("How it was made")[0]


def test_what_a_robust_fit_says() -> None:
    assert "are robust (HC3)" in Page(written((X, Y), robust="HC3")).words


def test_large_tables_give_readable_pages() -> None:
    many = RNG.standard_normal((400, 300))
    page = written((many, many @ RNG.standard_normal((300, 1)) + RNG.standard_normal((400, 1))))
    assert len(page) < 1_000_000
    assert "288 further features" not in page  # that the component says
    assert "The 30 features with the largest standardized coefficients, of 300" in Page(page).words
    wide = written((X, np.tile(Y, (1, 25))))
    assert len(wide) < 3_000_000
    assert "(42 more targets)" in Page(wide).words


def test_no_row_of_a_large_table_is_shown() -> None:
    many = RNG.standard_normal((5000, 2))
    page = written((many, many @ [[1.0], [2.0]] + RNG.standard_normal((5000, 1))))
    drawn = [part.partition("</svg>")[0] for part in page.split("<svg")[1:]]
    assert len([svg for svg in drawn if svg.count("<use") > 100]) == 0
    assert "counted: the stronger the colour, the more of them" in Page(page).words


def test_rows_that_were_not_kept_are_not_shown(tmp_path: Path) -> None:
    frame = pl.DataFrame(RNG.standard_normal((140_000, 2)), schema=["x", "y"])
    frame.write_parquet(tmp_path / "t.parquet")
    found = fit(tmp_path / "t.parquet", "y")
    assert not found.residuals["training"].rows
    text = freeze(found, "model").files["report.html"].decode()
    assert "Not shown: the 140,000 rows were read once and not kept" in Page(text).words
    held = fit(tmp_path / "t.parquet", "y", holdout=0.5)
    words = Page(freeze(held, "model").files["report.html"].decode()).words
    assert "Held-out rows, the first 65,536 of 70,000, counted" in words


def test_residuals_are_those_of_the_rows() -> None:
    found = fit((X, Y), holdout=0.2)
    for which in ("training", "held_out"):
        residuals = found.residuals[which]
        assert residuals.rows == {"training": 240, "held_out": 60}[which]
        off = residuals.predictions - residuals.targets
        for k, metrics in enumerate((found.metrics[which] or {}).values()):
            assert metrics.rmse == pytest.approx(float(np.sqrt(np.mean(off[:, k] ** 2))), rel=1e-12)


def test_no_report_imports_no_plotting(tmp_path: Path) -> None:
    script = (
        "import sys; from gradline.cli import train_and_export\n"
        f"sys.argv = ['train-and-export', '-q', '--no-report', '-o', {str(tmp_path)!r}]\n"
        "try: train_and_export()\nexcept SystemExit as end: assert not end.code, end\n"
        "assert not {'matplotlib', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert not (tmp_path / "orchard" / "1" / "report.html").exists()
