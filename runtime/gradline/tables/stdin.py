"""A table from stdin, kept in a temporary file because most formats need random access."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gradline.errors import InputError

#: The first bytes of binary formats.
MAGIC = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"FEA1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"\x1f\x8b": "csv.gz",
    b"\x28\xb5\x2f\xfd": "csv.zst",
}


@contextmanager
def table_from_stdin() -> Iterator[Path]:
    """Copy stdin to a temporary file with its format's extension; yield the path."""
    with TemporaryDirectory(prefix="gradline-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            if sys.stdin is not None:
                shutil.copyfileobj(sys.stdin.buffer, file)
        with path.open("rb") as file:
            head = file.read(1024)
        if not head:
            raise InputError("stdin is empty", code="empty-file", hint="pipe a table into it")
        known = (kind for magic, kind in MAGIC.items() if head.startswith(magic))
        kind = next(known, None) or _text_kind(head)
        yield path.rename(path.with_suffix(f".{kind}"))


def _text_kind(head: bytes) -> str:
    """Guess the format of text from its first bytes."""
    start = head.lstrip()
    if start.startswith(b"{"):
        return "ndjson"
    if re.match(rb"\[\s*[\[{]", start):
        hint = "expected a table: CSV with a header, NDJSON with one object a line, Parquet or "
        hint += "Arrow (jq -c '.[]' makes lines of an array of objects)"
        raise InputError("stdin holds a JSON array", code="unreadable-data", hint=hint)
    header = head.partition(b"\n")[0]
    return "tsv" if header.count(b"\t") > header.count(b",") else "csv"
