"""Several workers, and the process that replaces and ends them."""

from __future__ import annotations

from uvicorn.supervisors import Multiprocess, multiprocess

from gradline.serve.draining import Server

__all__ = ["Workers"]


class Worker(multiprocess.Process):
    """A process that runs our server, where uvicorn's would run its own."""

    @property
    def server(self) -> Server:
        """Return the server, made in the worker's own process."""
        if self._server is None:
            self._server = Server(self.config)
        assert isinstance(self._server, Server)  # noqa: S101 - made above
        return self._server


class Workers(Multiprocess):
    """uvicorn's supervisor, which no longer listens itself once its workers are to end."""

    def terminate_all(self) -> None:
        """Close what listens: nobody would answer who still came; then end the workers."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


multiprocess.Process = Worker  # type: ignore[misc] # there is no other way to say so
