"""Several workers, and the process that replaces and ends them."""

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

__all__ = ["Workers"]

HUNG = 60.0  # seconds without a sign of life: one large body after another may keep a worker busy
NOT_STARTED = 3  # the exit status of a worker that never was ready, as uvicorn has it
LONGEST_WAIT = 60.0  # seconds until one that did not start is tried again

log = logging.getLogger("gradline.serve.supervisor")


class Worker(multiprocess.Process):
    """A process that runs our server, where uvicorn's would run its own."""

    asked: float | None = None  # since when it owes a sign of life
    ready = False
    retry_at: float | None = None  # where it did not start

    @property
    def server(self) -> Server:
        """Return the server, made in the worker's own process."""
        if self._server is None:
            self._server = Server(self.config)
        assert isinstance(self._server, Server)  # noqa: S101 - made above
        return self._server

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the worker's own process."""
        log_to_stderr()
        threading.Thread(target=_end_with_supervisor, args=(self.server,), daemon=True).start()
        try:
            super().target(sockets)
        except Exception as error:
            if self.server.started:
                raise
            log.error("a worker does not start: %s", error)
            sys.exit(NOT_STARTED)

    def is_alive(self, timeout: float = HUNG) -> bool:
        """Return whether it runs and gave a sign of life of late, which is not waited for."""
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
        return self.asked is None or now - self.asked < HUNG


def _end_with_supervisor(server: Server) -> None:
    """End a worker's server when the supervisor dies; nothing else would end it."""
    supervisor = parent_process()
    assert supervisor is not None  # noqa: S101 - this runs in a worker
    supervisor.join()
    log.error("the supervisor is gone: this worker ends")
    server.end()


class Workers(Multiprocess):
    """uvicorn's supervisor, which no longer listens itself once its workers are to end.

    It follows the versions, as its workers do, so that a new worker starts with what the others
    serve.

    Args:
        config: Of uvicorn.
        sockets: That listen.
        repository: The models that new workers start with.
    """

    def __init__(
        self, config: Config, sockets: list[socket.socket], repository: Repository
    ) -> None:
        super().__init__(config, sockets)
        self._repository = repository
        self._wait = 1.0
        # The workers tell what becomes of the versions.
        logging.getLogger("gradline.serve").setLevel(logging.CRITICAL)
        log.setLevel(logging.INFO)

    def keep_subprocess_alive(self) -> None:
        """Replace whoever died; end where none of them starts.

        Raises:
            RefusedError: Where none starts.
        """
        if self.should_exit.is_set():
            return
        with suppress(Exception):
            self._repository.refresh()
        for place, worker in enumerate(self.processes):
            if worker.is_alive():
                continue
            worker.kill()
            worker.join()
            if self._is_to_be_replaced(worker):
                if worker.exitcode != NOT_STARTED:  # else the worker has reported it
                    log.warning("worker %d ended with status %s", worker.pid, worker.exitcode)
                self._replace(place)
        if all(worker.ready for worker in self._workers):
            self._wait = 1.0
        if all(worker.exitcode == NOT_STARTED for worker in self._workers):
            raise RefusedError("no worker starts", code="no-worker", hint="what they said is above")

    def _replace(self, place: int) -> None:
        worker = Worker(self.config, self.sockets)
        try:
            worker.start()
        except OSError as error:  # no memory, descriptor or room for the models: perhaps soon
            log.error("a worker can't be started now: %s", error)
        else:
            self.processes[place] = worker

    @property
    def _workers(self) -> list[Worker]:
        return [worker for worker in self.processes if isinstance(worker, Worker)]

    def _is_to_be_replaced(self, worker: multiprocess.Process) -> bool:
        """Return whether it is time: what does not start is tried less and less often."""
        assert isinstance(worker, Worker)  # noqa: S101 - there are no others
        if worker.exitcode != NOT_STARTED:
            return True
        now = time.monotonic()
        if worker.retry_at is None:
            worker.retry_at = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        return now >= worker.retry_at

    def terminate_all(self) -> None:
        """Close what listens: nobody would answer who still came; then end the workers."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


multiprocess.Process = Worker  # type: ignore[misc] # there is no other way to say so
