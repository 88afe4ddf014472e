"""A table from stdin: kept in a temporary file, since most formats are read from their end."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gradline.errors import InputError

__all__ = ["table_from_stdin"]

#: The first bytes of each format that has such; text is CSV, or NDJSON where it opens an object.
MAGIC = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\x1f\x8b": "csv.gz",
    b"\x28\xb5\x2f\xfd": "csv.zst",
}


@contextmanager
def table_from_stdin() -> Iterator[Path]:
    """Give the path of a file that holds what stdin does, named by its format, for a while.

    Raises:
        InputError: Where stdin is closed or empty.
    """
    with TemporaryDirectory(prefix="gradline-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            if sys.stdin is not None:
                shutil.copyfileobj(sys.stdin.buffer, file)
        with path.open("rb") as file:
            head = file.read(1024)
        if not head:
            raise InputError("stdin is empty", code="empty-file", hint="pipe a table into it")
        kinds = [kind for magic, kind in MAGIC.items() if head.startswith(magic)]
        text = "ndjson" if head.lstrip().startswith(b"{") else "csv"
        yield path.rename(path.with_suffix(f".{kinds[0] if kinds else text}"))
