"""Opening of one file as a lazy frame; errors name the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradline.errors import InputError, in_quotes
from gradline.tables.faults import check_arrow, default_separator, scan_fields, unreadable
from gradline.tables.files import EXTENSIONS, Dialect, TableFile, file_format
from gradline.tables.lazy_polars import check_polars, pl
from gradline.tables.objects import ObjectFile, reachable


def open_file(
    path: TableFile,
    dialect: Dialect,
    numbers: Sequence[str] = (),
    storage: dict[str, Any] | None = None,
) -> tuple[pl.LazyFrame, list[str], bool]:
    """Open a file as a lazy frame; return it, its column names and whether the file is text.

    A text file's columns are strings; `numbers` are float64, null for anything but a number.
    `storage` are Polars' options for an object store.
    """
    check_polars()
    kind = file_format(path) or ("csv" if dialect.separator else None)
    if kind is None:
        what = f"{path.name}: unknown file format {path.suffix!r}"
        hint = f"expected one of {', '.join(EXTENSIONS)}, or --separator for another text file"
        raise InputError(what, code="unknown-format", hint=hint)
    source = path if isinstance(path, Path) else str(path)
    with readable(path):
        if kind in ("csv", "tsv"):
            return _open_text(path, source, dialect, numbers, storage)
        if kind == "parquet":
            frame = pl.scan_parquet(source, glob=False, storage_options=storage)
        elif kind == "arrow":
            check_arrow(path)
            frame = pl.scan_ipc(source, glob=False, storage_options=storage)
        else:
            if isinstance(path, Path) and path.stat().st_size == 0:
                raise _empty(path.name)
            # The schema needs every line: a column's first decimal may be in the last one.
            frame = pl.scan_ndjson(source, infer_schema_length=None, storage_options=storage)
        return frame, frame.collect_schema().names(), False


def _open_text(
    path: TableFile,
    source: Path | str,
    dialect: Dialect,
    numbers: Sequence[str],
    storage: dict[str, Any] | None,
) -> tuple[pl.LazyFrame, list[str], bool]:
    separator = dialect.separator or default_separator(path)
    lines = scan_fields(
        path, separator=separator, truncate_ragged_lines=True, storage_options=storage
    )
    names = [str(name) for name in lines.head(1).collect().row(0)]
    _check_header(path, names)
    distinct = _distinct(names)
    kinds: dict[str, Any] = {
        "infer_schema": False,
        "schema_overrides": dict.fromkeys(numbers, pl.Float64),
        # Polars keeps doubled quotes in a header; row 0, read above, has them undone.
        "with_column_names": lambda _: distinct,
    }
    if isinstance(path, ObjectFile):  # Polars would look for the object's header on this disk
        strings = dict.fromkeys(distinct, pl.String)
        kinds = {"schema": strings | dict.fromkeys(numbers, pl.Float64)}
    frame = pl.scan_csv(
        source,
        storage_options=storage,
        # Without this, Polars may yield later rows in place of earlier ones before it raises.
        ignore_errors=bool(numbers),
        separator=separator,
        null_values=list(dialect.nulls),
        glob=False,
        **kinds,
    )
    return frame, names, True


def _check_header(path: TableFile, names: list[str]) -> None:
    if len(names) > 1:
        return
    (name,) = names
    if not name.strip():
        what = f"{path.name} begins with a blank line, expected the names of the columns"
        hint = "remove the blank lines above the header"
        raise InputError(what, code="no-header", hint=hint)
    if other := next((c for c in ";\t|," if c in name), None):
        what = f"{path.name} has a single column, named {name!r}"
        hint = f"is the separator another one? --separator {in_quotes(repr(other)[1:-1])}"
        raise InputError(what, code="wrong-separator", hint=hint)


def _distinct(names: list[str]) -> list[str]:
    """Make names distinct: append its place to a repeated one."""
    first: dict[str, int] = {}
    return [
        name if first.setdefault(name, place) == place else f"{name}\0{place}"
        for place, name in enumerate(names)
    ]


def _empty(name: str) -> InputError:
    hint = "give a file with a header and rows"
    return InputError(f"{name} is empty", code="empty-file", hint=hint)


@contextmanager
def readable(path: TableFile | None, separator: str | None = None) -> Iterator[None]:
    """Convert read errors to an InputError that names the file."""
    name = path.name if path else "the table"
    try:
        with reachable(path):
            yield
    except pl.exceptions.NoDataError as error:
        raise _empty(name) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, name, str(error), separator) from error
