"""uvicorn's server, whose end is for nobody in the middle of things.

A socket that listens has a queue of connections that the kernel accepted and the server did not
yet. uvicorn closes the socket, and so resets them, whatever they asked.
"""

from __future__ import annotations

import asyncio
import socket

import uvicorn

__all__ = ["Server"]


class Server(uvicorn.Server):
    """A server that answers who is in the queue when it ends."""

    def end(self) -> None:
        """End as soon as it runs, or runs on."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, take over the queue, and end every connection after its request."""
        queues = [listening.dup() for listening in sockets or ()]
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            listening.close()
        accepted = [connection for queue in queues for connection in _emptied(queue)]
        loop = asyncio.get_running_loop()
        taken = [
            asyncio.ensure_future(
                loop.connect_accepted_socket(self._connect, connection, ssl=self.config.ssl)
            )
            for connection in accepted
        ]
        if taken:  # a client may leave TLS unfinished
            await asyncio.wait(taken, timeout=1)
        await super().shutdown(sockets)

    def _connect(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _emptied(queue: socket.socket) -> list[socket.socket]:
    """Return what waits in a listening socket's queue, and close it before more can come."""
    accepted = []
    queue.setblocking(False)
    try:
        while True:
            accepted.append(queue.accept()[0])
    except OSError:  # there is no more
        queue.close()
    for connection in accepted:
        connection.setblocking(False)
    return accepted
