"""What each of several workers runs."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from gradline.serve.application import Application
from gradline.serve.limits import Limits
from gradline.serve.metrics import ServerMetrics
from gradline.serve.repository import Repository


def log_to_stderr() -> None:
    """Log our own messages on stderr, and none of uvicorn's."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


class Replica:
    """Pickles as a function that creates a worker's application from the first process's models.

    So a worker that replaces another one serves the same models, even if their files have changed.
    The models are passed in a file in `folder`, not through a pipe: if a worker is killed while
    it starts, nothing would read the rest of the pipe.
    """

    def __init__(self, application: Application, folder: Path) -> None:
        self._application = application
        self._file = folder / "models"

    def __reduce__(self) -> tuple[Any, ...]:
        held = vars(self._application.repository).copy()
        del held["_metrics"], held["_lock"]  # these belong to one process
        written = self._file.with_suffix(".new")
        written.write_bytes(pickle.dumps(held))
        os.replace(written, self._file)
        return partial, (_restore, self._file, self._application.limits)


def _restore(file: Path, limits: Limits) -> Application:
    metrics = ServerMetrics()
    held = pickle.loads(file.read_bytes())  # noqa: S301 - the first process wrote it
    repository = Repository.__new__(Repository)
    vars(repository).update(held, _metrics=metrics, _lock=threading.Lock())
    for name, entry in repository.models.items():
        metrics.serving(name, entry.current.version)
        metrics.damaged.labels(name).set(entry.damaged)
        if entry.refused:
            metrics.refused.labels(name).inc(len(entry.refused))
    return Application(repository, metrics, limits)
