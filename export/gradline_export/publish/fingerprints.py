"""SHA-256 of the files that were read, begun while there is nothing else to do.

Importing PyTorch keeps one core busy for a second: meanwhile another can hash.
"""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import Future
from pathlib import Path

from gradline.errors import GradlineError
from gradline.tables.files import table_files
from gradline.tables.objects import is_remote

__all__ = ["begin", "sha256"]

State = tuple[Path, int, int]
_begun: dict[State, Future[str]] = {}


def begin(data: str) -> None:
    """Start to hash the files that `data` means, in the background; what can't be read is left."""
    try:
        if is_remote(data):
            return
        files = {_state(path): path for path in table_files(data) if isinstance(path, Path)}
    except (GradlineError, OSError):
        return  # whoever reads them says why
    _begun.update({state: Future() for state in files})
    threading.Thread(target=_hash_all, args=[files], daemon=True).start()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as it now is.

    Raises:
        OSError: Where it can't be read.
    """
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
