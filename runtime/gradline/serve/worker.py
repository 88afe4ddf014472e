"""What each of several workers runs."""

from __future__ import annotations

import copyreg
import logging
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

from gradline.serve.application import Application
from gradline.serve.metrics import Metrics
from gradline.serve.protocol.inference import Served
from gradline.serve.repository import Repository

__all__ = ["Replica", "log_to_stderr"]

copyreg.pickle(Served, lambda served: (Served, (served.model,)))


def log_to_stderr() -> None:
    """Write what is worth a line on stderr, and nothing of uvicorn's."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


class Replica:
    """Makes a worker's application, of what the first process holds when the worker is started.

    So a worker that replaces another one serves the same, whatever became of the files. The models
    travel in a file of the `folder`: where a process is killed as it starts, nobody would read on
    in the pipe that it gets the rest by.
    """

    def __init__(self, application: Application, folder: Path) -> None:
        self._application = application
        self._limits = application.limits
        self._file = folder / "models"

    def __getstate__(self) -> dict[str, Any]:
        written = self._file.with_suffix(".new")
        written.write_bytes(pickle.dumps(_held(self._application.repository)))
        os.replace(written, self._file)
        return {"_file": self._file, "_limits": self._limits}

    def __call__(self) -> Application:
        """Return the application, in the worker's process."""
        metrics = Metrics()
        held = pickle.loads(self._file.read_bytes())  # noqa: S301 - the first process wrote it
        return Application(Taken(held, metrics), metrics, self._limits)


class Taken(Repository):
    """A repository that goes on with what another process held."""

    def __init__(self, held: dict[str, Any], metrics: Metrics) -> None:
        vars(self).update(held, _metrics=metrics, _loading=threading.Lock())
        for name, entry in self.models.items():
            metrics.serving(name, entry.current.version)
            metrics.damaged(name, entry.damaged)
            for _ in entry.refused:
                metrics.refused(name)


def _held(repository: Repository) -> dict[str, Any]:
    """Return what a repository holds, but what belongs to one process."""
    return {
        name: value
        for name, value in vars(repository).items()
        if name not in ("_metrics", "_loading")
    }
