"""Diagnosis of files that Polars could not read."""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradline.columns.python_numbers import is_large_integer, large_integer
from gradline.errors import InputError
from gradline.tables.files import TableFile, file_format
from gradline.tables.lazy_polars import pl
from gradline.tables.objects import ObjectFile

RAGGED_HINT = "give every row the header's number of fields; quote fields that hold the separator"
QUOTE_HINT = 'quote the whole field and double the marks in it, as "5"" pipe", or remove the mark'
#: First bytes of files that have an Arrow file's extension but are not Arrow files.
OTHER_ARROW = {
    b"\xff\xff\xff\xff": ("an Arrow IPC stream", "pyarrow.ipc.open_stream(FILE).read_all()"),
    b"FEA1": ("a file of Feather version 1", "pyarrow.feather.read_table(FILE)"),
}
SHOWN = 40  # letters of a line


def unreadable(path: TableFile | None, name: str, reason: str, separator: str | None) -> InputError:
    """Build the error for a file that Polars could not read; `reason` is Polars' own message."""
    if "utf-8" in reason.lower() or "utf8" in reason.lower():
        hint = "convert it from its own encoding, such as latin1: "
        hint += f"iconv -f latin1 -t utf-8 {name} > utf8-{name}"
        return InputError(f"{name} is not UTF-8 text", code="wrong-encoding", hint=hint)
    if path is not None:
        with suppress(OSError):  # the file may be gone
            if error := _fault_in(path, name, reason, separator):
                return error
    first_line = reason.strip().partition("\n")[0]
    return InputError(f"{name} cannot be read: {first_line}", code="unreadable-data")


def _fault_in(path: TableFile, name: str, reason: str, separator: str | None) -> InputError | None:
    """Search a file for its first fault; return None if no known fault is found."""
    kind = file_format(path) or "csv"
    if kind in ("csv", "tsv") and (found := _misquoted(path, separator)):
        return InputError(f"{name}: {found}", code="unreadable-data", hint=QUOTE_HINT)
    if "more fields" in reason:
        row, _ = odd_rows(path, separator)
        found = row or "a row has surplus fields"
        return InputError(f"{name} is ragged: {found}", code="ragged", hint=RAGGED_HINT)
    return _odd_line(path) if kind == "ndjson" else None


def check_arrow(path: TableFile) -> None:
    """Check that a file named as an Arrow file is one."""
    if not isinstance(path, Path):
        return
    with path.open("rb") as file:
        head = file.read(4)
    if head in OTHER_ARROW:
        what, read = OTHER_ARROW[head]
        found = f"{path.name} is {what}, expected an Arrow IPC file (Feather version 2)"
        call = f"write_feather({read.replace('FILE', repr(path.name))}, {f'new-{path.name}'!r})"
        hint = f"rewrite it in Python: pyarrow.feather.{call}"
        raise InputError(found, code="unreadable-data", hint=hint)


def odd_rows(path: TableFile | None, separator: str | None = None) -> tuple[str | None, list[int]]:
    """Describe the first row whose length differs from the header's, and list blank lines.

    Polars reads absent fields and blank lines as missing values, and does not say where surplus
    fields are. Blank lines are counted from 0 after the header; rows are counted without them.
    """
    blank: list[int] = []
    if path is None:
        return None, blank
    with _lines(path) as lines:
        rows = csv.reader(lines, delimiter=separator or default_separator(path))
        width = len(next(rows))
        for number, row in enumerate(rows):
            if not row:
                blank.append(number)
            elif len(row) != width:
                place = number - len(blank) + 1
                return f"row {place} has {len(row)} fields, the header has {width}", blank
    return None, blank


def _misquoted(path: TableFile, separator: str | None) -> str | None:
    """Describe the first quotation mark that CSV does not allow at its place."""
    mark = re.escape(separator or default_separator(path))
    # Closed quoted fields, then an unquoted field that contains a quotation mark.
    whole = rf'(?:[^"{mark}]*+|"(?:[^"]|"")*+"){mark}'
    bare = re.compile(rf'(?:{whole})*+[^"{mark}]++"')
    open_field = re.compile(rf'(?:{whole})*+"(?:[^"]|"")*+\Z')
    opened: tuple[int, str] | None = None  # number and text of the line with the open mark
    with _lines(path) as lines:
        for number, line in enumerate(lines, 1):
            if opened and '"' not in line:
                continue
            text = ('"' if opened else "") + line.rstrip("\r\n")
            if bare.match(text):
                where, what = f"line {number}", "a quotation mark in a field that is not quoted"
                return f"{where} has {what}: {_cut(line)}"
            if not open_field.match(text):
                opened = None
            elif opened is None:
                opened = number, line
    if opened is None:
        return None
    return f"line {opened[0]} opens a quotation mark that is never closed: {_cut(opened[1])}"


def _cut(line: str) -> str:
    text = line.strip()
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


@dataclass(frozen=True)
class _Odd:
    """A number or a placeholder such as NaN, as written in the file."""

    text: str


def _odd_line(path: TableFile) -> InputError | None:
    """Build the error for the first line that is not a JSON object or has an odd number."""
    with _lines(path) as lines:
        for number, line in enumerate(filter(str.strip, lines), 1):
            place = f"row {number} of {path.name}"
            try:
                found = json.loads(line, parse_constant=_Odd, parse_int=_Odd, parse_float=_Odd)
                fault = "" if isinstance(found, dict) else f"is not a JSON object: {_cut(line)}"
            except (ValueError, RecursionError) as error:
                fault = f"is not JSON: {error}"
            if fault:
                hint = "write one JSON object a line"
                return InputError(f"{place} {fault}", code="unreadable-data", hint=hint)
            if odd := _odd_value(found, place):
                return odd
    return None


def _odd_value(found: dict[str, Any], place: str) -> InputError | None:
    for column, value in found.items():
        if not isinstance(value, _Odd):
            continue
        if is_large_integer(value.text):
            return large_integer(column, value.text, place)
        holding = f"the column {column!r} holds {value.text} in {place}"
        if value.text.endswith(("NaN", "Infinity")):
            fault = f"{holding}, which JSON does not allow"
            hint = "write null for a missing value"
            return InputError(fault, code="unreadable-data", hint=hint)
        if math.isinf(float(value.text)):
            fault = f"{holding}, outside the range of float64"
            hint = "correct it, or write null for a missing value"
            return InputError(fault, code="out-of-range", hint=hint)
    return None


@contextmanager
def _lines(path: TableFile) -> Iterator[Iterable[str]]:
    """Open a text file, compressed or not, and yield its lines with their line ends."""
    if isinstance(path, ObjectFile) or path.name.endswith(".zst"):
        # Python before 3.14 has no zstd. A separator that no text contains keeps lines whole.
        whole = scan_fields(path, separator="\x01", quote_char=None)
        batches = whole.collect_batches(chunk_size=10_000)
        yield (line + "\n" for batch in batches for line in batch.to_series())
        return
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
        yield file


def scan_fields(path: TableFile, **options: Any) -> pl.LazyFrame:
    """Scan all lines of a text file, its header too, as fields of text."""
    source = path if isinstance(path, Path) else str(path)
    options |= {"has_header": False, "infer_schema": False, "empty_string_is_null": False}
    return pl.scan_csv(source, glob=False, **options)


def default_separator(path: TableFile) -> str:
    """Look up the default separator of a text file's extension."""
    return "\t" if file_format(path) == "tsv" else ","
