"""A table's predictions as many files in a folder, one for each file or piece of a large one.

Each appears whole under its final name, which its place in the table gives, so that work done
twice loses and doubles nothing, and what is there already need not be done again.
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
from gradline.model import Model
from gradline.package.files import Package
from gradline.scoring.engine import Engine
from gradline.scoring.rows import Scoring
from gradline.tables import BLOCK_ROWS, Dialect, FrameTable
from gradline.tables.opening import open_file, readable
from gradline.tables.shards import shares
from gradline.tables.writing import FORMATS, write_table

__all__ = ["Scored", "score_files"]

Pieces = list[tuple[str, FrameTable]]
OPTIONS = ("keep", "unknown_category", "explain", "check")
JOB = "gradline-job.json"  # what a folder's files are the predictions of


@dataclass
class Scored:
    """What came of it.

    Attributes:
        rows: Of all the files, those that were there before among them.
        files: How many there are.
        before: How many of them were there before.
        missing, infinite, outside: Of the rows that were predicted now; see `Scoring`.
    """

    rows: int = 0
    files: int = 0
    before: int = 0
    missing: int = 0
    infinite: int = 0
    outside: int = 0

    def add(self, later: Scored) -> None:
        """Count what came of further files."""
        for name, value in vars(later).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Work:
    """How files are predicted, wherever that is done.

    Attributes:
        package: The model's own bytes: no other machine reads them again.
        digest: Of these.
        folder: To write to, which every machine reaches by this path.
        kind: One of `writing.FORMATS`.
        options: Of `Scoring`.
        kept: The types of kept columns, one for all the files.
    """

    package: Package
    digest: str
    folder: Path
    kind: str
    options: dict[str, Any]
    kept: dict[str, Any]

    def __call__(self, pieces: Pieces) -> Scored:
        """Predict files one by one, each by its name, and return what came of them.

        Raises:
            GradlineError: At the end, for the first that can't be predicted.
        """
        found = Scored()
        errors: list[GradlineError] = []
        for name, table in pieces:
            try:
                found.add(self._one(self.folder / name, table))
            except GradlineError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return found

    def _one(self, path: Path, table: FrameTable) -> Scored:
        if path.exists():
            return Scored(_rows_of(path, self.kind), 1, 1)
        scoring = Scoring(self._model(), table, **self.options, kept=self.kept)
        write_table(scoring.frames(), scoring.schema(), path, self.kind)
        return Scored(scoring.rows, 1, 0, scoring.missing, scoring.infinite, scoring.outside)

    def _model(self) -> Model:
        """Return the model, which a process opens once."""
        if self.digest not in _opened:
            _opened.clear()
            _opened[self.digest] = Model(self.package)
        return _opened[self.digest]


_opened: dict[str, Model] = {}


def score_files(
    scoring: Scoring, folder: Path, kind: str, engine: Engine, report: Callable[[str, int], None]
) -> Scored:
    """Predict a table's files into a folder and return what came of it.

    Args:
        scoring: The model, the table and the options.
        folder: To write to; it is made where it isn't there.
        kind: One of `writing.FORMATS`.
        engine: That does the work.
        report: Called with ("rows", how many there are so far).

    Raises:
        InputError: For a folder that holds anything else than this job's own files, naming it, or
            the answers of a file that has changed, or that another run writes to; and for a file
            of the table that can't be predicted, when the others are done.
        OutputError: Where the folder can't be written to.
    """
    package = scoring.model.package
    told = json.dumps(package.manifest, sort_keys=True).encode()
    digest = hashlib.sha256(package.onnx + told).hexdigest()
    options = {name: getattr(scoring, name) for name in OPTIONS}
    work = Work(package, digest, folder.absolute(), kind, options, scoring.kept or {})
    pieces = list(_pieces(scoring.table, kind))
    found = Scored()
    with _alone_in(folder):
        _claim(folder, _describe(work, scoring.table.dialect, pieces))
        try:
            for scored in engine(work, pieces):
                found.add(scored)
                report("rows", found.rows)
        finally:
            _sweep(folder)
    return found


def _pieces(table: FrameTable, kind: str) -> Iterator[Pieces]:
    """Yield what is predicted together: files, or a piece of one, and the names of the answers."""
    for share in shares(table):
        found = []
        for place, part in enumerate(share.table.parts, share.first):
            piece = f"-{part.start // BLOCK_ROWS:06d}" if share.piece else ""
            name = f"{place:06d}{piece}-{part.label.partition('.')[0]}.{kind}"
            found.append((name, table.with_parts([part], place)))
        yield found


def _describe(work: Work, dialect: Dialect, pieces: list[Pieces]) -> dict[str, Any]:
    """Return what tells one job from another, and of which file of the table each answer is.

    Of an object in a store its address alone is known.
    """
    files = {}
    for name, table in chain.from_iterable(pieces):
        (part,) = table.parts
        path = part.path.absolute() if isinstance(part.path, Path) else part.path
        files[name] = hashlib.sha256(f"{path}\0{part.state}".encode()).hexdigest()[:16]
    job = {
        "model": work.digest,
        "format": work.kind,
        **work.options,
        "kept": {name: str(dtype) for name, dtype in work.kept.items()},
        "text": asdict(dialect),
        "files": files,
    }
    read: dict[str, Any] = json.loads(json.dumps(job))  # as it will be read again
    return read


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Make the folder and hold flock(2) on it: two runs would sweep each other's unfinished files.

    If the system has no such locks (Windows), or a file system forbids them on a directory, the
    function takes none.
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
            raise InputError(
                f"another run is writing to {folder}",
                code="busy-folder",
                hint="wait until it ends, or give another folder",
            ) from error
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
        raise OutputError(
            f"cannot write to the folder {folder}: {error.strerror or error}",
            code="cannot-write",
            hint="give another folder",
        ) from error


def _claim(folder: Path, job: dict[str, Any]) -> None:
    """Make the folder this job's, or raise for what else is there, or is no longer right."""
    with _writable(folder):
        found = {path.name for path in folder.iterdir() if not path.name.startswith(BUILDING)}
        earlier = _earlier(folder / JOB) if JOB in found else {**job, "files": {}}
    if {**earlier, "files": {}} != {**job, "files": {}}:
        raise InputError(
            f"{folder} holds the predictions of another model or of other options",
            code="foreign-files",
            hint="give an empty folder",
        )
    if foreign := sorted(found - set(job["files"] if JOB in found else ()) - {JOB}):
        others = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise InputError(
            f"the folder {folder} holds {foreign[0]!r}{others}, which this job did not write",
            code="foreign-files",
            hint="give an empty folder, or that of the same job to go on with it",
        )
    for name in sorted(found - {JOB}):
        if earlier["files"].get(name) != job["files"][name]:
            raise InputError(
                f"what {folder / name} was predicted from is another file now, or has changed",
                code="changed-data",
                hint="remove it to have it predicted anew, or give an empty folder",
            )
    if JOB in found:
        _sweep(folder)
    if JOB not in found or earlier != job:
        told = json.dumps(job, indent=1, sort_keys=True).encode() + b"\n"
        write_whole(folder / JOB, lambda file: file.write(told))


def _earlier(path: Path) -> dict[str, Any]:
    """Return what an earlier run's file says of its job."""
    with suppress(ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict) and isinstance(found.get("files"), dict):
            return found
    return {}


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed have left."""
    for path in folder.glob(f"{BUILDING}*"):
        if not path.is_dir():
            path.unlink(missing_ok=True)


def _rows_of(path: Path, kind: str) -> int:
    """Return how many rows a table has that was written before."""
    import polars as pl

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
