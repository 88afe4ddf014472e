"""uvicorn's server, which is careful whom it takes in, and ends on nobody in the middle of things.

A socket that listens has a queue of connections that the kernel accepted and the server did not
yet. uvicorn takes all of them at once, lets each be silent for a minute before TLS is agreed on,
and counts it only then; when it ends it closes the socket, and so resets them, whatever they asked.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
import sys
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
NO_ROOM_SECONDS = 0.5  # until the queue is looked at again, where no descriptor is left

SO_ATTACH_FILTER = 26  # Linux', which Python does not name
# Its filter for what comes to a socket: the byte of flags; if SYN is one; drop; else let in.
NO_SYN = [(0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]
HALF_OPEN_SECONDS = 0.02  # for who is about to be in the queue


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
        """Stop listening, take over the queue, and end every connection after its request."""
        queues = [listening.dup() for listening in sockets or ()]
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            self._stop(listening)
        for queue in queues:
            _let_nobody_in(queue)
        await asyncio.sleep(HALF_OPEN_SECONDS)
        for queue in queues:
            for connection in _emptied(queue):
                self._open(connection)
        if self._opening:  # a client may leave TLS unfinished
            await asyncio.wait(self._opening, timeout=1)
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await super().shutdown(sockets)

    def _stop(self, listening: socket.socket) -> None:
        if paused := self._paused.pop(listening, None):
            paused.cancel()
        elif not self.servers:
            asyncio.get_running_loop().remove_reader(listening)
        listening.close()


def _emptied(queue: socket.socket) -> list[socket.socket]:
    """Return what waits in a listening socket's queue, and close it before more can come."""
    accepted = []
    queue.setblocking(False)
    try:
        while True:
            accepted.append(queue.accept()[0])
    except OSError:  # there is no more
        queue.close()
    return accepted


def _let_nobody_in(queue: socket.socket) -> None:
    """Have the kernel pass over whoever begins to connect, where it is Linux.

    Else one may come after the last one was taken, and before the socket is closed. Who is passed
    over asks again, and is told that nobody listens.
    """
    if sys.platform != "linux":
        return
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in NO_SYN))
    program = struct.pack("HP", len(NO_SYN), ctypes.addressof(code))
    with suppress(OSError):
        queue.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
