"""uvicorn's server, with a limit on accepted connections and an end that loses no request.

The queue of a listening socket holds connections that the kernel has accepted but the server has
not. uvicorn accepts all of them at once and counts each only after its TLS handshake, which may
take a minute. When it ends, it closes the socket, which resets the connections in the queue.
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

ACCEPT_AT_ONCE = 32  # connections, before other work has a turn
MAX_SURPLUS = 1000  # connections at a time that get 503; further ones are closed without an answer
SURPLUS_PER_SECOND = 500  # accepted at most: each costs as much as a few inferences
QUIET_SECONDS = 0.02  # without a new connection before the listening socket is closed
DRAIN_QUEUE_SECONDS = 0.1
NO_DESCRIPTOR_SECONDS = 0.5  # pause if no descriptor is left for a connection


class Server(uvicorn.Server):
    """A server that limits its connections and, when it ends, serves those in the queue."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._opening: set[asyncio.Task[Any]] = set()
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}

    def end(self) -> None:
        """End as soon as the server runs."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup([])
        for listening in sockets or ():
            listening.setblocking(False)
            try:
                self._listen(listening)
            except NotImplementedError:  # Windows' default event loop has no add_reader
                server = await asyncio.get_running_loop().create_server(
                    self._connect, sock=listening, **self._tls
                )
                self.servers.append(server)

    @property
    def _tls(self) -> dict[str, Any]:
        seconds = Connection.head_seconds if self.config.ssl else None
        return {
            "ssl": self.config.ssl,
            "ssl_handshake_timeout": seconds,
            "ssl_shutdown_timeout": seconds,
        }

    def _connect(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _listen(self, listening: socket.socket) -> None:
        self._paused.pop(listening, None)
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _pause(self, listening: socket.socket, seconds: float) -> None:
        """Leave new connections in the queue for a while."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        self._paused[listening] = loop.call_later(seconds, self._listen, listening)

    def _accept(self, listening: socket.socket) -> None:
        surplus = 0
        for _ in range(ACCEPT_AT_ONCE):
            try:
                accepted = listening.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError:
                self._pause(listening, NO_DESCRIPTOR_SECONDS)
                return
            surplus += not self._open(accepted)
        if surplus:
            self._pause(listening, surplus / SURPLUS_PER_SECOND)

    def _open(self, accepted: socket.socket) -> bool:
        """Open an accepted connection; return whether it is within the limit."""
        protocol = self._connect()
        is_surplus = isinstance(protocol, Surplus)
        held: set[Any] = Surplus.held if is_surplus else self.server_state.connections
        if is_surplus and len(held) >= MAX_SURPLUS:
            accepted.close()
            return False
        accepted.setblocking(False)
        with suppress(OSError):  # the client may have left already
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        held.add(protocol)
        opening = asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol, accepted, **self._tls
        )
        task = asyncio.ensure_future(opening)
        self._opening.add(task)
        task.add_done_callback(partial(self._opened, held, protocol))
        return not is_surplus

    def _opened(self, held: set[Any], protocol: asyncio.Protocol, task: asyncio.Task[Any]) -> None:
        """Stop counting a connection whose TLS handshake failed."""
        self._opening.discard(task)
        if task.cancelled() or task.exception():
            held.discard(protocol)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the queue, stop listening, and end each connection after its request."""
        for listening in sockets or ():
            self._drain_queue(listening)
        if self._opening:  # a client may never finish its TLS handshake
            await asyncio.wait(self._opening, timeout=1)
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await super().shutdown(sockets)

    def _drain_queue(self, listening: socket.socket) -> None:
        """Accept every connection in a socket's queue, then close the socket.

        Other workers may listen on the same socket and continue, so its options stay unchanged.
        The kernel resets a connection that arrives between the last accept and the close. To make
        that unlikely, nothing is answered meanwhile: waiting clients do not connect again, so new
        connections soon stop.
        """
        if paused := self._paused.pop(listening, None):
            paused.cancel()
        elif not self.servers:
            asyncio.get_running_loop().remove_reader(listening)
        end = time.monotonic() + DRAIN_QUEUE_SECONDS
        with suppress(OSError):  # no further connection
            for _ in range(self.config.backlog):  # clients of other workers keep connecting
                listening.settimeout(QUIET_SECONDS if time.monotonic() < end else 0)
                self._open(listening.accept()[0])
        for server in self.servers:
            server.close()
        listening.close()
