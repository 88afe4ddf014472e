"""How a file is opened: as a lazy frame, with what goes wrong said in its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradline.errors import InputError, needs_extra
from gradline.tables.faults import check_arrow, default_separator, unreadable
from gradline.tables.files import FORMATS, Dialect, TableFile, file_format
from gradline.tables.forks import check_polars
from gradline.tables.objects import ObjectFile, reachable

if TYPE_CHECKING:
    import polars as pl

__all__ = ["open_file", "readable"]


def open_file(
    path: TableFile,
    dialect: Dialect,
    numbers: Sequence[str] = (),
    storage: dict[str, Any] | None = None,
) -> tuple[pl.LazyFrame, list[str], bool]:
    """Return the file as a lazy frame, its column names as written, and whether it is text.

    A text file's columns are all strings; what they mean is decided where they are read.

    Args:
        path: Of the file.
        dialect: Of a text file.
        numbers: Columns of a text file to read as numbers, None where one is missing or no number.
        storage: Of an object store, what Polars is to be told beside its environment.

    Raises:
        InputError: For an unknown format, an empty file, or one that cannot be read.
    """
    with needs_extra():
        import polars as pl
    check_polars()
    kind = file_format(path)
    if kind is None and dialect.separator is not None:
        kind = "csv"
    if kind is None:
        raise InputError(
            f"{path.name}: unknown file format {path.suffix!r}",
            code="unknown-format",
            hint=f"expected one of {', '.join(FORMATS)}, or --separator for another text file",
        )
    with readable(path):
        if kind in ("csv", "tsv"):
            separator = dialect.separator or default_separator(path)
            return _open_text(path, separator, dialect, numbers, storage)
        if kind == "parquet":
            frame = pl.scan_parquet(_source(path), glob=False, storage_options=storage)
        elif kind == "arrow":
            check_arrow(path)
            frame = pl.scan_ipc(_source(path), glob=False, storage_options=storage)
        else:
            if isinstance(path, Path) and path.stat().st_size == 0:
                raise InputError(
                    f"{path.name} is empty", code="empty-file", hint="give a file with rows"
                )
            # Every line counts: a column's first decimal may stand in the last one.
            source = _source(path)
            frame = pl.scan_ndjson(source, infer_schema_length=None, storage_options=storage)
        return frame, frame.collect_schema().names(), False


def _source(path: TableFile) -> Path | str:
    """Return what Polars calls a file."""
    return path if isinstance(path, Path) else str(path)


def _open_text(
    path: TableFile,
    separator: str,
    dialect: Dialect,
    numbers: Sequence[str],
    storage: dict[str, Any] | None,
) -> tuple[pl.LazyFrame, list[str], bool]:
    import polars as pl

    header = pl.scan_csv(
        _source(path),
        storage_options=storage,
        has_header=False,
        infer_schema=False,
        separator=separator,
        truncate_ragged_lines=True,
        empty_string_is_null=False,
        glob=False,
    )
    names = [str(name) for name in header.head(1).collect().row(0)]
    if len(names) == 1 and not names[0].strip():
        raise InputError(
            f"{path.name} begins with a blank line, expected the names of the columns",
            code="no-header",
            hint="remove the blank lines above the header",
        )
    other = next((c for c in ";\t|," if c in names[0]), None)
    if len(names) == 1 and other:
        raise InputError(
            f"{path.name} has a single column, named {names[0]!r}",
            code="wrong-separator",
            hint=f"is the separator another one? --separator {other!r}",
        )
    kinds: dict[str, Any] = {
        "infer_schema": False,
        "schema_overrides": dict.fromkeys(numbers, pl.Float64),
        # Polars leaves doubled quotes in a header as they are; row 0, read above, has them undone.
        "with_column_names": lambda _: _distinct(names),
    }
    if isinstance(path, ObjectFile):  # of which Polars looks for a header on this disk
        number = set(numbers)
        kinds = {"schema": {n: pl.Float64 if n in number else pl.String for n in _distinct(names)}}
    frame = pl.scan_csv(
        _source(path),
        storage_options=storage,
        # Before Polars raises for a value, it may let later rows pass in the place of earlier ones.
        ignore_errors=bool(numbers),
        separator=separator,
        null_values=list(dialect.nulls),
        glob=False,
        **kinds,
    )
    return frame, names, True


def _distinct(names: list[str]) -> list[str]:
    """Return the names, a repeated one with its place behind it."""
    first: dict[str, int] = {}
    return [
        name if first.setdefault(name, place) == place else f"{name}\0{place}"
        for place, name in enumerate(names)
    ]


@contextmanager
def readable(path: TableFile | None, separator: str | None = None) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an InputError that names the file."""
    import polars as pl

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
