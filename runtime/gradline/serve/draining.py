"""uvicorn's server, which is careful whom it takes in, and ends on nobody in the middle of things.

A socket that listens has a queue of connections that the kernel accepted and the server did not
yet. uvicorn takes all of them at once, lets each be silent for a minute before TLS is agreed on,
and counts it only then; when it ends it closes the socket, and so resets them, whatever they asked.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn

from gradline.serve.connections import Connection
from gradline.serve.surplus import Surplus

__all__ = ["SURPLUS", "Server"]

AT_ONCE = 32  # taken from the queue before anybody else has a turn
SURPLUS = 1000  # at a time that are told that they are too many; further ones are closed untold
SURPLUS_A_SECOND = 500  # that are taken from the queue: each costs as much as a few inferences
QUIET_SECONDS = 0.02  # without a new connection, after which the socket is closed
TAKING_OVER_SECONDS = 0.1
NO_ROOM_SECONDS = 0.5  # until the queue is looked at again, where no descriptor is left


class Server(uvicorn.Server):
    """A server that takes in whom it has room for, and at its end answers who is in the queue."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._opening: set[asyncio.Task[Any]] = set()
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}

    def end(self) -> None:
        """End as soon as it runs, or runs on."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup([])
        for listening in sockets or ():
            listening.setblocking(False)
            try:
                self._listen(listening)
            except NotImplementedError:  # by the loop that Windows has for one process
                self.servers.append(await self._listen_as_it_can(listening))

    async def _listen_as_it_can(self, listening: socket.socket) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            self._connect,
            sock=listening,
            ssl=self.config.ssl,
            ssl_handshake_timeout=self._tls_seconds,
            ssl_shutdown_timeout=self._tls_seconds,
        )

    @property
    def _tls_seconds(self) -> float | None:
        return Connection.head_seconds if self.config.ssl else None

    def _connect(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _listen(self, listening: socket.socket) -> None:
        self._paused.pop(listening, None)
        asyncio.get_running_loop().add_reader(listening, self._take, listening)

    def _pause(self, listening: socket.socket, seconds: float) -> None:
        """Let who comes wait in the queue for a while."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        self._paused[listening] = loop.call_later(seconds, self._listen, listening)

    def _take(self, listening: socket.socket) -> None:
        """Take some connections from the queue."""
        surplus = 0
        for _ in range(AT_ONCE):
            try:
                accepted = listening.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError:
                self._pause(listening, NO_ROOM_SECONDS)
                return
            surplus += not self._open(accepted)
        if surplus:
            self._pause(listening, surplus / SURPLUS_A_SECOND)

    def _open(self, accepted: socket.socket) -> bool:
        """Go on with a connection, and return whether there is room for it."""
        protocol = self._connect()
        if isinstance(protocol, Surplus) and len(Surplus.held) >= SURPLUS:
            accepted.close()
            return False
        accepted.setblocking(False)
        with suppress(OSError):  # whoever left already
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        held = self._held(protocol)
        held.add(protocol)
        opening = asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol,
            accepted,
            ssl=self.config.ssl,
            ssl_handshake_timeout=self._tls_seconds,
            ssl_shutdown_timeout=self._tls_seconds,
        )
        task = asyncio.ensure_future(opening)
        self._opening.add(task)
        task.add_done_callback(partial(self._opened, protocol))
        return held is not Surplus.held

    def _opened(self, protocol: asyncio.Protocol, task: asyncio.Task[Any]) -> None:
        """Forget a connection that ended before it was one: it agreed on no TLS."""
        self._opening.discard(task)
        if task.cancelled() or task.exception():
            self._held(protocol).discard(protocol)

    def _held(self, protocol: asyncio.Protocol) -> set[Any]:
        return Surplus.held if isinstance(protocol, Surplus) else self.server_state.connections

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take over the queue, stop listening, and end every connection after its request."""
        for listening in sockets or ():
            self._take_over(listening)
        if self._opening:  # a client may leave TLS unfinished
            await asyncio.wait(self._opening, timeout=1)
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await super().shutdown(sockets)

    def _take_over(self, listening: socket.socket) -> None:
        """Accept every connection in a socket's queue, then close the socket.

        Other workers may listen on the same socket and serve on, so no option of it is changed. The
        kernel resets a connection that arrives between the last accept and the close. To make that
        unlikely nothing is answered meanwhile: clients that wait for an answer don't connect again,
        and soon nobody does.
        """
        if paused := self._paused.pop(listening, None):
            paused.cancel()
        elif not self.servers:
            asyncio.get_running_loop().remove_reader(listening)
        end = time.monotonic() + TAKING_OVER_SECONDS
        with suppress(OSError):  # nobody came
            for _ in range(self.config.backlog):  # clients of other workers keep connecting
                listening.settimeout(QUIET_SECONDS if time.monotonic() < end else 0)
                self._open(listening.accept()[0])
        for server in self.servers:
            server.close()
        listening.close()
