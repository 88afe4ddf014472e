"""What each of several workers runs."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

from gradline.serve.application import Application
from gradline.serve.metrics import ServerMetrics
from gradline.serve.repository import Repository


def log_to_stderr() -> None:
    """Log our own messages on stderr, and none of uvicorn's."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


class Replica:
    """Creates a worker's application from the models that the first process holds.

    So a worker that replaces another one serves the same models, even if their files have changed.
    The models travel in a file of `folder`: if a worker is killed while it starts, nothing reads
    the rest of a pipe.
    """

    def __init__(self, application: Application, folder: Path) -> None:
        self._application = application
        self._limits = application.limits
        self._file = folder / "models"

    def __getstate__(self) -> dict[str, Any]:
        held = vars(self._application.repository).copy()
        del held["_metrics"], held["_lock"]  # these belong to one process
        written = self._file.with_suffix(".new")
        written.write_bytes(pickle.dumps(held))
        os.replace(written, self._file)
        return {"_file": self._file, "_limits": self._limits}

    def __call__(self) -> Application:
        """Create the application in the worker's process."""
        metrics = ServerMetrics()
        held = pickle.loads(self._file.read_bytes())  # noqa: S301 - the first process wrote it
        return Application(RestoredRepository(held, metrics), metrics, self._limits)


class RestoredRepository(Repository):
    """A repository with the state of another process's."""

    def __init__(self, held: dict[str, Any], metrics: ServerMetrics) -> None:
        vars(self).update(held, _metrics=metrics, _lock=threading.Lock())
        for name, entry in self.models.items():
            metrics.serving(name, entry.current.version)
            metrics.damaged.labels(name).set(entry.damaged)
            if entry.refused:
                metrics.refused.labels(name).inc(len(entry.refused))
