"""No name and no value moves a terminal's cursor, turns a line or breaks a page."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
from pathlib import Path

import pytest

from gradline.commands.group import run
from gradline.terminal.printable import as_json, for_page, for_terminal
from gradline_export import export_package
from gradline_export.report.chart import Axis, Chart
from gradline_trainer import fit
from odd import BODY

EVIL = "y\x1b[31m\r\x07\x9b\u202etxt"


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A package whose target would color a terminal, and its table."""
    root = tmp_path_factory.mktemp("evil")
    table = root / "t\x1b[1m.csv"
    table.write_text(f'"a\x1b[2J",b,"{EVIL}"\n{BODY}', newline="")
    notes = {"author": "a\x07b"}
    return export_package(fit(table, EVIL), root, "evil", notes=notes), table


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "PACKAGE", "TABLE"],
        ["predict", "PACKAGE", "TABLE", "--explain", "--check"],
        ["predict", "PACKAGE", "TABLE", "--json"],
        ["predict", "PACKAGE", "TABLE", "--format", "ndjson"],
        ["inspect", "PACKAGE"],
        ["inspect", "PACKAGE", "--json"],
        ["list", "ROOT"],
        ["diff", "PACKAGE", "PACKAGE", "--data", "TABLE"],
        ["verify", "PACKAGE"],
        ["inspect", f"no{EVIL}"],
        ["inspect", f"no{EVIL}", "--json"],
        ["predict", "PACKAGE", f"no{EVIL}.csv"],
        ["predict", "PACKAGE", "TABLE", "--keep", f"no{EVIL}"],
        [f"no{EVIL}"],
        ["inspect", f"--no{EVIL}"],
    ],
)
def test_no_name_moves_the_cursor_of_a_terminal(
    arguments: list[str], evil: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    package, table = evil
    places = {"PACKAGE": str(package), "TABLE": str(table), "ROOT": str(package.parents[1])}
    leader, follower = pty.openpty()
    with (
        open(follower, "w", encoding="utf-8", newline="") as terminal,
        contextlib.redirect_stdout(terminal),
        contextlib.redirect_stderr(terminal),
    ):
        run([places.get(word, word) for word in arguments])
    said = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(leader, 1 << 16):
            said += part
    os.close(leader)
    text = said.decode().replace("\r\n", "\n")
    assert text
    assert {c for c in text if not c.isprintable()} <= {"\n"}


def test_data_keep_their_bytes_where_no_terminal_shows_them(evil: tuple[Path, Path]) -> None:
    package, table = evil
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out):
        assert run(["predict", str(package), str(table)]) == 0
    assert out.buffer.getvalue().startswith(f'"{EVIL}"\n'.encode())  # type: ignore[attr-defined]
    assert for_terminal(f"{EVIL},Köln\t1\n".encode()).decode() == "y�[31m����txt,Köln\t1\n"
    record = {"name": EVIL, "city": "Köln 🍎"}
    assert json.loads(as_json(record)) == record
    assert as_json(record).isprintable()


def test_what_no_xml_may_hold_is_not_in_the_report(evil: tuple[Path, Path]) -> None:
    page = (evil[0] / "report.html").read_text(encoding="utf-8")
    assert "Predicted against actual values of y�[31m" in page
    assert {c for c in page if for_page(c) != c} == set()
    assert '<title id="n-title">a�b</title>' in Chart("n", "a\x1bb", Axis(0, 1), Axis(0, 1)).drawn()
