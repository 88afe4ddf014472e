"""What people read is plain English: no phrase that a reader has to read twice."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "commands.md"),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
SOURCES = ["benchmarks", "examples", "runtime", "trainer", "export"]
TEMPLATES = (".html", ".js", ".mjs", ".css", ".c", ".j2")
AWKWARD = re.compile(
    r"\b(?:that of|of which|whoever|whichever|who comes|(?:is|are|be) told|told of|tells of)\b",
    re.IGNORECASE,
)


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line, without code and quoted examples."""
    fenced = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r'"[^"]*"|`[^`]*`', "", line)


def sentences(source: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each comment and string in Python, or each line of a template."""
    text = source.read_text()
    if source.suffix in TEMPLATES:
        yield from enumerate(text.splitlines(), 1)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def sources(folder: str) -> list[Path]:
    kinds = (".py", *TEMPLATES)
    found = sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in kinds)
    return [path for path in found if "node_modules" not in path.parts]


def awkward(lines: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {n}: …{m[0]}… in {text[:80]!r}" for n, text in lines for m in AWKWARD.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_plain_english(page: Path) -> None:
    assert awkward(prose(page)) == []


@pytest.mark.parametrize("folder", SOURCES)
def test_docstrings_comments_and_messages_are_plain_english(folder: str) -> None:
    found = {path.name: awkward(sentences(path)) for path in sources(folder)}
    assert found
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("folder", SOURCES)
def test_a_docstring_begins_with_a_verb_that_says_more_than_return(folder: str) -> None:
    vague = re.compile(r'"""Return (?:that|those|what|whether it is|how|the one)\b')
    found = [
        f"{path.name}: {line.strip()}"
        for path in sources(folder)
        for line in path.read_text().splitlines()
        if vague.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("Return that of a fit.", 1),
        ("the client is told 503", 1),
        ("The server refuses the request.", 0),
        ("the folder that holds the files", 0),
    ],
)
def test_awkward_phrases_are_found(text: str, phrases: int) -> None:
    assert len(awkward(iter([(1, text)]))) == phrases
