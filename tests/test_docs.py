"""README and docs/: every code block does what the page says, every link has a target."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from gradline.commands.group import COMMANDS, import_command
from gradline_export import export_package, package_coefficients
from gradline_trainer import fit, load_moments, save_moments
from hosts import ROOT
from pages import blocks, is_as_shown
from walk import DECLARED, SYNTAX_ALONE, Walk, is_slow

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "examples").glob("*/README.md"))]
TABLES = {"sales.csv": "revenue", "prices.csv": "price", "logs/a.parquet": "cpu"}
EXAMPLE = re.compile(r" *(?:.*\| )?(?:gradline|train-and-export)(?: |$)")
WITH_BLOCKS = [page for page in PAGES if blocks(page)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's working folder: the sources' examples and reference package, and tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "local")  # another test may have a cluster
    Path(".curlrc").write_text("no-progress-meter\n")  # as on a terminal
    shutil.copytree(ROOT / "examples", "examples", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(ROOT / "artifacts" / "orchard" / "1", "artifacts/orchard/1")
    Path("logs").mkdir()
    random = np.random.default_rng(0)
    for path, target in TABLES.items():
        columns = {n: random.standard_normal(200) for n in ("id", "a", "b", "memory")}
        frame = pl.DataFrame({**columns, target: random.standard_normal(200)})
        if path.endswith("parquet"):
            frame.write_parquet(path)
        elif path == "prices.csv":
            text = frame.write_csv(separator=";").replace(".", ",")
            Path(path).write_text(text + "NA;1;1;1;1\n")
        else:
            frame.write_csv(path)
    pl.read_csv("sales.csv").reverse().write_csv("new.csv")
    regions = pl.Series("region", ["north", "south", "east", "north"] * 50)
    shops = pl.read_csv("sales.csv").with_columns(regions, pl.Series("a", [None, 1, 2, 3] * 50))
    shops.write_csv("shops.csv")
    shops.with_columns(region=pl.lit("west")).write_csv("new_shops.csv")
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.slow] * is_slow(p), id=name(p)) for p in WITH_BLOCKS],
)
def test_every_block_does_what_the_page_says(page: Path, folder: Path) -> None:
    walk = Walk()
    try:
        for block in blocks(page):
            walk.follow(block)
    finally:
        walk.close()


def test_what_is_not_run_is_counted() -> None:
    """The tests cannot run these languages with ONNX Runtime; make and pip take minutes."""
    found = [block for page in PAGES for block in blocks(page)]
    alone = Counter(block.language for block in found if block.language in SYNTAX_ALONE)
    assert alone == {"java": 1, "csharp": 1, "rust": 1, "swift": 1}
    lines = [line for block in found if block.language == "sh" for line in block.text.splitlines()]
    looked_up = Counter(line.split()[0] for line in lines if line.startswith(DECLARED))
    assert looked_up == {"make": 2, "pip": 6}


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a 1.5", "a 1.50", False),
        ("at most …% of it", "at most 25% of it", True),
        ("a …", "a b\nc", False),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nb\nc\nd\ne", False),
        ("", "a", False),
    ],
)
def test_an_ellipsis_stands_for_what_it_leaves_out(shown: str, printed: str, same: bool) -> None:
    assert is_as_shown(shown, printed) is same


def test_the_readme_opens_with_three_sentences_and_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    opening = text.split("```sh")[0].replace("\n", " ")
    assert len(re.findall(r"\. [A-Z]|\. *$", opening)) == 3
    first = blocks(ROOT / "README.md")[0].text
    commands = [line.split("#")[0].strip() for line in first.splitlines()]
    assert commands == ["make run", "make test"]
    assert len(text.split()) <= 900


def written_anew() -> str:
    """Write docs/commands.md as docs/commands.py does."""
    return str(runpy.run_path(str(ROOT / "docs" / "commands.py"))["reference"]()) + "\n"


def test_the_command_reference_is_what_the_commands_say() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == written_anew(), "run make docs"


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_in_a_commands_help_are_commands(command: str) -> None:
    """Each example parses; the reader has the tables and packages in them."""
    text = import_command(command).help or ""
    lines = re.sub(r"\\\n *", "", text).splitlines()
    examples = [shlex.split(line.rpartition("| ")[2]) for line in lines if EXAMPLE.match(line)]
    assert examples
    for words in examples:
        name = words.pop(0)
        name = words.pop(0) if name == "gradline" else name
        import_command(name).make_context(name, words)


NAMED = (  # members whose own members have the names of columns, files and the like
    "columns", "files", "metrics.training", "metrics.held_out", "metrics.cross_validated",
    "statistics.targets",
    "training.options", "training.versions", "training.notes",
    "intervals.residual_deviation", "intervals.quantiles",
    "origin.versions", "origin.notes", "origin.with.parameters",
)  # fmt: skip


def members(value: object, path: str) -> Iterator[str]:
    """Yield the path of each value in a manifest, as docs/package-format.md writes it."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from members(part, f"{path}.{'NAME' if path in NAMED else key}".lstrip("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for part in value:
            yield from members(part, f"{path}[]")
    else:
        yield path


def test_the_format_says_what_every_member_of_a_manifest_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 60))
    shops = {"a": [None, *a[1:]], "b": b, "region": ["n", "s", "e"] * 20, "y": a - b + a * b}
    pl.DataFrame(shops).write_csv(tmp_path / "shops.csv")
    filled = fit(tmp_path / "shops.csv", "y", one_hot=["region"], missing="mean")
    as_it_comes = {
        "opened": [f"{1 + j % 28}/{1 + j % 12}/2023" for j in range(60)],
        "at": [f"2024-03-{1 + j % 28:02}T{j % 24:02}:00+02:00" for j in range(60)],
        "price": [f"(${1000 + j:,})" if j % 7 == 0 else f"${1000 + j:,}" for j in range(60)],
        "share": [f"{j * j % 61}%" for j in range(60)],
        "size": ["?" if j < 4 else str(j * j % 17) for j in range(60)],
        "town": ["" if j < 6 else "ab"[j % 2] if j < 52 else f"town{j}" for j in range(60)],
        "y": a - b,
    }
    pl.DataFrame(as_it_comes).write_csv(tmp_path / "terms.csv")
    terms = fit(tmp_path / "terms.csv", "y")
    penalised = fit({"b": b, "y": a + b}, "y", ridge="auto", holdout=0.2)
    kept = fit({"b": b, "y": a + b}, "y", keep_moments=True)
    next_to_b = np.where(np.arange(60) < 2, np.nextafter(b, np.inf), b)
    save_moments(kept, tmp_path / "t.moments")
    versions = [
        export_package(filled, tmp_path, notes={"by": "me"}),
        export_package(fit(load_moments(tmp_path / "t.moments")), tmp_path),
        export_package(penalised, tmp_path),
        export_package(terms, tmp_path),
        export_package(fit({"b": b, "y": np.exp(a)}, "log(y)"), tmp_path),
        export_package(fit({"b": b, "y": a + b}, "y"), tmp_path, intervals=True),
        export_package(Ridge().fit(np.c_[a, b], a + b), tmp_path, notes={"by": "me"}),
        package_coefficients([2.0], 1.0, "a", "y", tmp_path),
        export_package(fit({"b": b, "c": next_to_b, "y": a}, "y", arithmetic="fast"), tmp_path),
    ]
    monkeypatch.setattr("gradline_trainer.learning.WIDE", 0)
    versions.append(export_package(fit({"b": b, "y": a + b}, "y"), tmp_path))
    monkeypatch.setattr("gradline_export.freeze.manifest.MOST_COLUMNS", 0)
    monkeypatch.setattr("gradline_export.freeze.freezing.MOST_COLUMNS", 0)
    versions.append(export_package(terms, tmp_path))
    found: set[str] = set()
    for version in versions:
        found |= set(members(json.loads((version / "manifest.json").read_text()), ""))
    page = (ROOT / "docs" / "package-format.md").read_text()
    section = page.split("\n## manifest.json\n")[1].split("\n### The seal\n")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert found == set(re.findall(r"`([\w.\[\]]+)`", " ".join(cells)))


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"
    for picture in re.findall(r'<img src="([^"]*)"', text):
        assert (page.parent / picture).is_file(), picture


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    wings = "runtime/gradline", "trainer/gradline_trainer", "export/gradline_export"
    named = re.findall(rf"`((?:{'|'.join(wings)}|docs|tests|\.ci)/[\w./-]+)`", text)
    missing = [path for path in named if "NAME" not in path and not (ROOT / path).exists()]
    diagram = re.findall(r"([a-z_]+(?:\.py|/)) {2,}", text.split("```")[1])
    tops = [path for wing in wings for path in (ROOT / wing).iterdir()]
    there = {path.name + "/" * path.is_dir() for path in tops}
    assert len(named) > 20
    assert not [*missing, *sorted(set(diagram) - there)]


def test_every_page_can_be_found_from_the_readme() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name
    assert "(docs/README.md)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("folder_name", ["node", "web"])
def test_lock_files_pin_contents_and_name_no_registry(folder_name: str) -> None:
    lock = (ROOT / "examples" / folder_name / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')
