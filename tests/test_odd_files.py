"""Files that are not read are told by what is wrong with them; each counts once."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

import gradline
from gradline.tables.files import table_files
from gradline_trainer import fit
from odd import BODY, ROWS, command, package_of_rows, refusal


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a and b."""
    return package_of_rows(tmp_path_factory.mktemp("p"))


@pytest.fixture(scope="module")
def model(package: Path) -> gradline.Model:
    return gradline.load(package)


QUOTE_HINT = "quote the whole field and double the marks in it"
LINES = "".join(f"{a},{b},pipe\n" for a, b, _ in ROWS)


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        (
            "t.csv",
            f'b,y,size\n{LINES}1,2,5" pipe\n',
            "t.csv: line 14 has a quotation mark in a field that is not quoted: '1,2,5\" pipe'",
            QUOTE_HINT,
        ),
        (
            "t.tsv",
            'b\ty\tsize\n1\t2\t"a ""b"" c"\n1\t2\tpipe 5"\n1\t2\tx\n',
            "t.tsv: line 3 has a quotation mark in a field that is not quoted: '1\\t2\\tpipe 5\"'",
            QUOTE_HINT,
        ),
        (
            "t.csv",
            f'b,y,size\n{LINES}1,2,"5 pipe\n{LINES}',
            "t.csv: line 14 opens a quotation mark that is never closed: '1,2,\"5 pipe'",
            QUOTE_HINT,
        ),
        (
            "t.csv",
            'b,y,size\n1,2,"two\nlines"\n1,2,"5"" pipe"\n1,2,3,4\n',
            "t.csv is ragged: row 3 has 4 fields, the header has 3",
            "give every row the header's number of fields",
        ),
        *(
            (
                "t.csv",
                f"{blank}b,y\n1,2\n",
                "t.csv begins with a blank line, expected the names of the columns",
                "remove the blank lines above the header",
            )
            for blank in ("\n", "\r\n\r\n", "   \n")
        ),
        (
            "t.ndjson",
            '{"a": 1, "y": 2}\n\n{"a": NaN, "y": 2}\n',
            "the column 'a' holds NaN in row 2 of t.ndjson, which JSON does not allow",
            "write null for a missing value",
        ),
        (
            "t.ndjson",
            '{"a": 1, "y": 2}\n{"a": 1, "y": -Infinity}\n',
            "the column 'y' holds -Infinity in row 2 of t.ndjson, which JSON does not allow",
            "write null for a missing value",
        ),
        (
            "t.ndjson",
            '{"a": 1, "y": 2}\n{"a": 1e400, "y": 2}\n',
            "the column 'a' holds 1e400 in row 2 of t.ndjson, outside the range of float64",
            "correct it, or write null for a missing value",
        ),
        (
            "t.ndjson",
            '{"a": 1, "y": 2}\n{"a": 1, "y"\n',
            "row 2 of t.ndjson is not JSON: Expecting ':' delimiter: line 2 column 1 (char 13)",
            "write one JSON object a line",
        ),
        (
            "t.ndjson",
            "[1, 2]\n[3, 4]\n",
            "row 1 of t.ndjson is not a JSON object: '[1, 2]'",
            "write one JSON object a line",
        ),
    ],
)
def test_a_file_that_is_not_read_is_told_by_what_is_wrong_with_it(
    name: str, text: str, message: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(text.encode())
    error = refusal(lambda: fit(tmp_path / name, "y"))
    assert str(error) == message
    assert error.hint.startswith(hint)


@pytest.mark.parametrize("name", ["t.arrow", "t.feather"])
def test_an_arrow_stream_and_feather_1_are_named_with_how_to_convert_them(
    name: str, package: Path, tmp_path: Path
) -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    path = tmp_path / name
    frame.write_ipc_stream(path)
    status, said = command("predict", package, path)
    assert (status, said) == (
        2,
        f"Error: {name} is an Arrow IPC stream, expected an Arrow IPC file (Feather version 2)\n"
        "  rewrite it in Python: pyarrow.feather.write_feather(pyarrow.ipc.open_stream("
        f"{name!r}).read_all(), 'new-{name}')\n",
    )
    path.write_bytes(b"FEA1" + b"\0" * 60 + b"FEA1")
    error = refusal(lambda: fit(path, "b"))
    assert str(error).startswith(f"{name} is a file of Feather version 1, expected an Arrow IPC")


# Each file once


def test_a_file_counts_once_whatever_links_lead_to_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "k=1").mkdir(parents=True)
    for name in ("z.csv", "k=1/y.csv"):
        (data / name).write_text(f"a,b,y\n{BODY}")
    for name, target in {
        "aa": ".", "bb": ".", "k=0": "k=1", "k=2": "..", "b.csv": "z.csv", "gone.csv": "nowhere",
    }.items():  # fmt: skip
        (data / name).symlink_to(target)
    once = [data / "k=1" / "y.csv", data / "z.csv"]
    for pattern in ("data/**/*.csv", "**/*.csv", "**/data/**/*.csv", "data/**"):
        assert table_files(tmp_path / pattern) == once
    assert table_files(data) == once
    assert table_files(data / "*.csv") == once[1:]
    os.link(data / "z.csv", data / "hard.csv")  # another name of its own, and no link
    assert len(table_files(data / "*.csv")) == 2


def test_a_glob_means_what_it_did(tmp_path: Path) -> None:
    import glob

    for name in (
        "a/b/1.csv",
        "a/1.csv",
        ".h/1.csv",
        "a/.h/1.csv",
        "_c/[1].csv",
        "1.csv",
        "a/.2.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for pattern in ("**/*.csv", "**/a/**/*.csv", "a/**", "**", "*/**/1.csv", "**/.h/*.csv"):
        whole = str(tmp_path / pattern)
        expected = sorted(Path(p) for p in glob.glob(whole, recursive=True) if Path(p).is_file())
        assert table_files(whole) == expected
