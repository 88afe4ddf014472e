"""Start several workers, replace those that die, and end them."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import parent_process

from uvicorn.config import Config
from uvicorn.supervisors import Multiprocess, multiprocess

from gradline.errors import RefusedError
from gradline.serve.draining import Server
from gradline.serve.repository import Repository
from gradline.serve.worker import log_to_stderr

HUNG_SECONDS = 60.0  # without a sign of life: several large bodies may keep a worker busy
NOT_STARTED = 3  # the exit status of a worker that was never ready, as in uvicorn
LONGEST_WAIT = 60.0  # seconds before another try to start a worker

log = logging.getLogger("gradline.serve.supervisor")


class Worker(multiprocess.Process):
    """A process that runs our server in place of uvicorn's."""

    asked: float | None = None  # when it was asked for a sign of life
    ready = False
    retry_at: float | None = None  # when to try again, if it did not start

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the worker's own process."""
        log_to_stderr()
        server = self._server = Server(self.config)
        threading.Thread(target=_end_with_supervisor, args=(server,), daemon=True).start()
        try:
            super().target(sockets)
        except Exception as error:
            if server.started:
                raise
            log.error("a worker did not start: %s", error)
            sys.exit(NOT_STARTED)

    def is_alive(self, timeout: float = HUNG_SECONDS) -> bool:
        """Return whether the process runs and has recently given a sign of life; do not wait."""
        if not self.process.is_alive():
            return False
        now = time.monotonic()
        try:
            if self.asked is None:
                self.parent_conn.send(b"ping")
                self.asked = now
            elif self.parent_conn.poll():
                self.ready = bool(self.parent_conn.recv())
                self.asked = None
        except (OSError, EOFError):
            return False
        return self.asked is None or now - self.asked < HUNG_SECONDS


def _end_with_supervisor(server: Server) -> None:
    """End a worker's server when the supervisor dies; nothing else would end it."""
    supervisor = parent_process()
    assert supervisor is not None  # noqa: S101 - this runs in a worker
    supervisor.join()
    log.error("the supervisor has died: this worker ends")
    server.end()


class Workers(Multiprocess):
    """uvicorn's supervisor, with workers that start with the models the others serve.

    It follows the versions on disk, as its workers do.
    """

    processes: list[Worker]  # type: ignore[assignment]

    def __init__(
        self, config: Config, sockets: list[socket.socket], repository: Repository
    ) -> None:
        super().__init__(config, sockets)
        self._repository = repository
        self._wait = 1.0
        # The workers log changes of versions.
        logging.getLogger("gradline.serve").setLevel(logging.CRITICAL)
        log.setLevel(logging.INFO)

    def keep_subprocess_alive(self) -> None:
        """Replace dead workers; raise an error if none starts."""
        if self.should_exit.is_set():
            return
        with suppress(Exception):
            self._repository.refresh()
        for place, worker in enumerate(self.processes):
            if worker.is_alive():
                continue
            worker.kill()
            worker.join()
            if self._is_time_to_replace(worker):
                if worker.exitcode != NOT_STARTED:  # else the worker has logged why
                    log.warning("worker %d ended with status %s", worker.pid, worker.exitcode)
                self._replace(place)
        if all(worker.ready for worker in self.processes):
            self._wait = 1.0
        if all(worker.exitcode == NOT_STARTED for worker in self.processes):
            raise RefusedError("no worker starts", code="no-worker", hint="see the errors above")

    def _replace(self, place: int) -> None:
        worker = Worker(self.config, self.sockets)
        try:
            worker.start()
        except OSError as error:  # out of memory, descriptors or disk space: perhaps not for long
            log.error("a worker cannot be started now: %s", error)
        else:
            self.processes[place] = worker

    def _is_time_to_replace(self, worker: Worker) -> bool:
        """Return whether to replace a worker; wait longer after each one that did not start."""
        if worker.exitcode != NOT_STARTED:
            return True
        now = time.monotonic()
        if worker.retry_at is None:
            worker.retry_at = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        return now >= worker.retry_at

    def terminate_all(self) -> None:
        """Close the listening sockets first, so that no new client waits in vain."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


multiprocess.Process = Worker  # type: ignore[misc] # uvicorn has no other way to set it
