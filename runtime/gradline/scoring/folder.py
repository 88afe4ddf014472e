"""Predictions written to a folder: one file for each file of the table, or piece of a large one.

Each file is named by its place in the table and appears whole. So repeated work loses and doubles
nothing, and files that exist are not predicted again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from gradline.atomic import BUILDING, write_whole
from gradline.errors import GradlineError, InputError, OutputError
from gradline.explain.counts import Counts
from gradline.model import Model
from gradline.package.files import Package
from gradline.scoring.engine import Engine
from gradline.scoring.rows import Scoring
from gradline.tables import BLOCK_ROWS, Dialect, FrameTable
from gradline.tables.files import absolute
from gradline.tables.lazy_polars import pl
from gradline.tables.opening import open_file, readable
from gradline.tables.shards import shards
from gradline.tables.writing import FORMATS, write_table

Pieces = list[tuple[str, FrameTable]]
OPTIONS = ("keep", "unknown_category", "explain", "check")
JOB = "gradline-job.json"  # describes the job that a folder's files belong to


@dataclass
class Scored(Counts):
    """Counts over a folder's files; all but `rows` are of the rows predicted now."""

    files: int = 0
    before: int = 0  # files that existed before


@dataclass(frozen=True)
class Work:
    """The task of predicting some files, on any machine."""

    package: Package  # its bytes: other machines need not read it from a disk
    digest: str
    folder: Path
    kind: str  # one of `writing.FORMATS`
    options: dict[str, Any]  # of `Scoring`
    kept: dict[str, Any]  # the kept columns' types, the same for all files

    def __call__(self, pieces: Pieces) -> Scored:
        """Predict files one by one; raise the first error of gradline's own when all are done."""
        scored = Scored()
        errors: list[GradlineError] = []
        for name, table in pieces:
            try:
                scored.add(self._predict(table, self.folder / name))
            except GradlineError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return scored

    def _predict(self, table: FrameTable, path: Path) -> Scored:
        if path.exists():
            return Scored(_rows_of(path, self.kind), files=1, before=1)
        scoring = Scoring(self._model(), table, **self.options, kept=self.kept)
        write_table(scoring.frames(), scoring.schema(), path, self.kind)
        scored = Scored(files=1)
        scored.add(scoring.counts)
        return scored

    def _model(self) -> Model:
        """Open the model, once in a process."""
        if self.digest not in _opened:
            _opened.clear()
            _opened[self.digest] = Model(self.package)
        return _opened[self.digest]


_opened: dict[str, Model] = {}


def score_files(
    scoring: Scoring, folder: Path, kind: str, engine: Engine, report: Callable[[str, int], None]
) -> Scored:
    """Predict a table's files into a folder; report ("rows", the count so far)."""
    package = scoring.model.package
    manifest = json.dumps(package.manifest, sort_keys=True).encode()
    digest = hashlib.sha256(package.onnx + manifest).hexdigest()
    options = {name: getattr(scoring, name) for name in OPTIONS}
    work = Work(package, digest, folder.absolute(), kind, options, scoring.kept or {})
    pieces = list(_pieces(scoring.table, kind))
    total = Scored()
    with _alone_in(folder):
        _claim(folder, _describe(work, scoring.table.dialect, pieces))
        try:
            for scored in engine(work, pieces):
                total.add(scored)
                report("rows", total.rows)
        finally:
            _sweep(folder)
    return total


def _pieces(table: FrameTable, kind: str) -> Iterator[Pieces]:
    """Yield the files, or the piece of a file, of each task, with their output names."""
    for shard in shards(table):
        pieces = []
        for place, part in enumerate(shard.table.parts, shard.first):
            piece = f"-{part.start // BLOCK_ROWS:06d}" if shard.piece else ""
            name = f"{place:06d}{piece}-{part.label.partition('.')[0]}.{kind}"
            pieces.append((name, table.with_parts([part], place)))
        yield pieces


def _describe(work: Work, dialect: Dialect, pieces: list[Pieces]) -> dict[str, Any]:
    """Describe a job for comparison: the model, the options and each output's source file.

    An object in a store is known by its address alone.
    """
    files = {}
    for name, table in chain.from_iterable(pieces):
        (part,) = table.parts
        source = f"{part.path and absolute(part.path)}\0{part.state}"
        files[name] = hashlib.sha256(source.encode()).hexdigest()[:16]
    job = {
        "model": work.digest,
        "format": work.kind,
        **work.options,
        "kept": {name: str(dtype) for name, dtype in work.kept.items()},
        "text": asdict(dialect),
        "files": files,
    }
    as_read: dict[str, Any] = json.loads(json.dumps(job))
    return as_read


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Create the folder and lock it: two runs would sweep each other's unfinished files.

    Windows has no flock(2), and some file systems forbid it on a directory: then no lock is taken.
    """
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    with _writable(folder):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = f"another run is writing to {folder}"
            hint = "wait until it ends, or give another folder"
            raise InputError(what, code="busy-folder", hint=hint) from error
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"cannot write to the folder {folder}: {error.strerror or error}"
        raise OutputError(what, code="cannot-write", hint="give another folder") from error


def _claim(folder: Path, job: dict[str, Any]) -> None:
    """Record the job in the folder, after a check that all files there belong to it."""
    with _writable(folder):
        found = {path.name for path in folder.iterdir() if not path.name.startswith(BUILDING)}
        earlier = _earlier(folder / JOB) if JOB in found else {**job, "files": {}}
    if {**earlier, "files": {}} != {**job, "files": {}}:
        what = f"{folder} holds the predictions of another model or of other options"
        raise InputError(what, code="foreign-files", hint="give an empty folder")
    if foreign := sorted(found - set(job["files"] if JOB in found else ()) - {JOB}):
        others = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        what = f"the folder {folder} holds {foreign[0]!r}{others}, which this job did not write"
        hint = "give an empty folder, or the folder of an earlier run of the same job"
        raise InputError(what, code="foreign-files", hint=hint)
    for name in sorted(found - {JOB}):
        if earlier["files"].get(name) != job["files"][name]:
            what = f"the source of {folder / name} is another file now, or has changed"
            hint = "remove the prediction to make it again, or give an empty folder"
            raise InputError(what, code="changed-data", hint=hint)
    if JOB in found:
        _sweep(folder)
    if JOB not in found or earlier != job:
        text = json.dumps(job, indent=1, sort_keys=True).encode() + b"\n"
        write_whole(folder / JOB, lambda file: file.write(text))


def _earlier(path: Path) -> dict[str, Any]:
    """Read an earlier run's job; return {} if the file is not one."""
    with suppress(ValueError):
        job = json.loads(path.read_bytes())
        if isinstance(job, dict) and isinstance(job.get("files"), dict):
            return job
    return {}


def _sweep(folder: Path) -> None:
    """Remove unfinished files of killed writers."""
    for path in folder.glob(f"{BUILDING}*"):
        if not path.is_dir():
            path.unlink(missing_ok=True)


def _rows_of(path: Path, kind: str) -> int:
    """Count the rows of a file that an earlier run wrote."""
    method, options = FORMATS[kind]
    with readable(path):
        if method == "sink_ndjson" and not path.stat().st_size:
            return 0
        if method == "sink_csv":
            separator = options.get("separator", ",")
            frame = pl.scan_csv(path, separator=separator, infer_schema=False, glob=False)
        else:
            frame, *_ = open_file(path, Dialect())
        rows: int = frame.select(pl.len()).collect().item()
    return rows
