"""Writing of tables, in the format of the file's extension."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from queue import Full, Queue
from tempfile import TemporaryFile
from typing import IO, Any

from gradline.atomic import write_named
from gradline.errors import InputError
from gradline.tables.lazy_polars import pl

#: Polars' method and its options for each extension.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "csv": ("sink_csv", {}),
    "tsv": ("sink_csv", {"separator": "\t"}),
    "csv.gz": ("sink_csv", {"compression": "gzip"}),
    "csv.zst": ("sink_csv", {"compression": "zstd"}),
    "tsv.gz": ("sink_csv", {"separator": "\t", "compression": "gzip"}),
    "tsv.zst": ("sink_csv", {"separator": "\t", "compression": "zstd"}),
    "parquet": ("sink_parquet", {}),
    "arrow": ("sink_ipc", {}),
    "feather": ("sink_ipc", {}),
    "ndjson": ("sink_ndjson", {}),
    "jsonl": ("sink_ndjson", {}),
}
WAITING = 2  # frames between producer and writer
COPIED = 1 << 20  # bytes at a time


def output_format(path: Path) -> str:
    """Look up the format of a file's extension."""
    name = path.name.lower()
    found = [kind for kind in FORMATS if name.endswith(f".{kind}")]
    if not found:
        what = f"{path.name}: unknown output format {path.suffix!r}"
        hint = f"name the output *.{', *.'.join(FORMATS)}, or give --format"
        if not path.suffix:
            hint += "; a folder needs --engine ray"
        if path.suffix.lower() == ".json":
            hint = f"for an object per line, name it {path.stem}.ndjson"
        raise InputError(what, code="unknown-format", hint=hint)
    return max(found, key=len)


def check_types(schema: Mapping[str, pl.DataType], kind: str) -> None:
    """Raise an InputError if a format can't hold columns of these types."""
    method, _ = FORMATS[kind]
    for name, dtype in schema.items():
        if not _holds(method, dtype):
            what = f"the column {name!r} holds {dtype}, which {kind} can't"
            hint = "write parquet or arrow, or leave it out of --keep"
            raise InputError(what, code="bad-type", hint=hint)


def _holds(method: str, dtype: Any) -> bool:
    if method == "sink_csv":
        return not (dtype.is_nested() or dtype in (pl.Binary, pl.Duration))
    if method == "sink_ndjson" and dtype.is_nested():
        inner = [f.dtype for f in dtype.fields] if dtype == pl.Struct else [dtype.inner]
        return all(_holds(method, kind) for kind in inner)
    return method != "sink_ndjson" or dtype != pl.Binary


def write_table(
    frames: Iterable[pl.DataFrame], schema: Mapping[str, pl.DataType], path: Path, kind: str
) -> None:
    """Write a table, given in consecutive frames, to a path; see `write_named`."""
    write_named(path, lambda file: _sink(frames, schema, file, kind))


def table_bytes(
    frames: Iterator[pl.DataFrame], schema: Mapping[str, pl.DataType], kind: str
) -> Iterator[bytes]:
    """Yield a table's bytes in parts; formats that can't be streamed go through a file."""
    method, options = FORMATS[kind]
    if method == "sink_ndjson":
        yield from (frame.write_ndjson().encode() for frame in frames)
    elif method == "sink_csv" and "compression" not in options:
        headed = chain(islice(frames, 1), [pl.DataFrame(schema=schema)])
        yield next(headed).write_csv(**options).encode()
        yield from (frame.write_csv(include_header=False, **options).encode() for frame in frames)
    else:
        with TemporaryFile() as file:
            _sink(frames, schema, file, kind)
            file.seek(0)
            while part := file.read(COPIED):
                yield part


def _sink(
    frames: Iterable[pl.DataFrame], schema: Mapping[str, pl.DataType], file: IO[bytes], kind: str
) -> None:
    """Write frames to an open file with a streaming query of Polars, in a thread.

    This thread makes the frames, so that Python handles signals between two of them.
    """
    from polars.io.plugins import register_io_source

    waiting: Queue[pl.DataFrame | None] = Queue(WAITING)

    def source(*_: object) -> Iterator[pl.DataFrame]:
        while (frame := waiting.get()) is not None:
            yield frame

    method, options = FORMATS[kind]
    query = register_io_source(source, schema=dict(schema))
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(getattr(query, method), file, **options)
        try:
            for frame in frames:
                _hand(frame, waiting, written)
        finally:
            _hand(None, waiting, written)
        _end(written)


def _hand(
    frame: pl.DataFrame | None, waiting: Queue[pl.DataFrame | None], written: Future[Any]
) -> None:
    """Hand a frame to the query; raise the query's error if it has ended."""
    while not written.done():
        try:
            waiting.put(frame, timeout=0.1)
        except Full:
            continue
        return
    _end(written)


def _end(written: Future[Any]) -> None:
    """Wait for the query's end; make Polars' error, such as for a full disk, an OSError."""
    from polars.exceptions import PolarsError

    try:
        written.result()
    except PolarsError as error:
        raise OSError(str(error)) from error
