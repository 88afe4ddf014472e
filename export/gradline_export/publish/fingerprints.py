"""SHA-256 of the input files, computed in the background while PyTorch is imported."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import Future
from pathlib import Path

from gradline.errors import GradlineError
from gradline.tables.files import table_files
from gradline.tables.objects import is_remote

State = tuple[Path, int, int]
_begun: dict[State, Future[str]] = {}


def begin(data: str) -> None:
    """Start to hash the files of `data` in the background; skip unreadable ones."""
    try:
        if is_remote(data):
            return
        files = {_state(path): path for path in table_files(data) if isinstance(path, Path)}
    except (GradlineError, OSError):
        return  # training reads them and raises the error
    _begun.update({state: Future() for state in files})
    threading.Thread(target=_hash_all, args=[files], daemon=True).start()


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file's present content."""
    known = _begun.get(_state(path))
    return known.result() if known else _hash(path)


def _state(path: Path) -> State:
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


def _hash_all(files: dict[State, Path]) -> None:
    for state, path in files.items():
        try:
            _begun[state].set_result(_hash(path))
        except OSError as error:
            _begun[state].set_exception(error)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
