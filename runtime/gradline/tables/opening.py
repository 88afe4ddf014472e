"""Opening of one file as a lazy frame; errors name the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradline.errors import InputError
from gradline.tables.faults import check_arrow, default_separator, unreadable
from gradline.tables.files import FORMATS, Dialect, TableFile, file_format
from gradline.tables.forks import check_polars
from gradline.tables.lazy_polars import pl
from gradline.tables.objects import ObjectFile, reachable


def open_file(
    path: TableFile,
    dialect: Dialect,
    numbers: Sequence[str] = (),
    storage: dict[str, Any] | None = None,
) -> tuple[pl.LazyFrame, list[str], bool]:
    """Open a file as a lazy frame; return it, its column names and whether the file is text.

    Args:
        path: The file.
        dialect: The dialect of text files.
        numbers: Columns of a text file to read as float64, null for anything but a number; all
            others are read as strings.
        storage: Polars' storage options for an object store.

    Raises:
        InputError: For an unknown format, an empty file, or one that cannot be read.
    """
    check_polars()
    kind = file_format(path) or ("csv" if dialect.separator else None)
    if kind is None:
        raise InputError(
            f"{path.name}: unknown file format {path.suffix!r}",
            code="unknown-format",
            hint=f"expected one of {', '.join(FORMATS)}, or --separator for another text file",
        )
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
                raise InputError(
                    f"{path.name} is empty", code="empty-file", hint="give a file with rows"
                )
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
    header = pl.scan_csv(
        source,
        storage_options=storage,
        has_header=False,
        infer_schema=False,
        separator=separator,
        truncate_ragged_lines=True,
        empty_string_is_null=False,
        glob=False,
    )
    names = [str(name) for name in header.head(1).collect().row(0)]
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
        raise InputError(
            f"{path.name} begins with a blank line, expected the names of the columns",
            code="no-header",
            hint="remove the blank lines above the header",
        )
    if other := next((c for c in ";\t|," if c in name), None):
        raise InputError(
            f"{path.name} has a single column, named {name!r}",
            code="wrong-separator",
            hint=f"is the separator another one? --separator {other!r}",
        )


def _distinct(names: list[str]) -> list[str]:
    """Make names distinct: append its place to a repeated one."""
    first: dict[str, int] = {}
    return [
        name if first.setdefault(name, place) == place else f"{name}\0{place}"
        for place, name in enumerate(names)
    ]


@contextmanager
def readable(path: TableFile | None, separator: str | None = None) -> Iterator[None]:
    """Convert read errors to an InputError that names the file."""
    name = path.name if path else "the table"
    try:
        with reachable(path):
            yield
    except pl.exceptions.NoDataError as error:
        raise InputError(
            f"{name} is empty", code="empty-file", hint="give a file with a header and rows"
        ) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, name, str(error), separator) from error
