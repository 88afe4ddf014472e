"""uvicorn's HTTP connections, with an end to whoever is slow, too many, or not HTTP.

uvicorn waits for a request's headers and body for ever, answers 503 to everybody where there are
too many connections, and at SIGTERM closes connections whose next request is on its way. Here each
connection has a deadline for what it waits for, only those beyond the cap are turned away, and an
idle one lingers for a moment at the end, its last answer saying that it closes.

A request that needs to wait for nothing but its own body is answered as soon as that is there, by
the same application, without a task of its own: that would take longer than the inference.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, ClassVar

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gradline.serve.application import Application
from gradline.serve.protocol.errors import RequestError
from gradline.serve.surplus import Surplus, last_answer
from gradline.serve.sweeping import Sweep

__all__ = ["Connection", "connect"]

CONTINUE = b"HTTP/1.1 100 "
CLOSE = (b"connection", b"close")

log = logging.getLogger("gradline.serve")


class Connection(HttpToolsProtocol):
    """One connection. The limits are the server's, set before it starts.

    Attributes:
        head_bytes: Of a request's line and headers, and of whatever else is not its body.
        head_seconds: For a request's headers.
        body_seconds: For its body, and for whoever reads an answer.
        linger_seconds: That an idle connection may still send a request, once the server ends.
    """

    head_bytes: ClassVar[int] = 16 << 10
    head_seconds: ClassVar[float] = 5.0
    body_seconds: ClassVar[float] = 15.0
    linger_seconds: ClassVar[float] = 1.0
    sweep: ClassVar[Sweep] = Sweep()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note a connection."""
        super().connection_made(transport)
        self.url = b""
        self.parted = False
        self.refusal: tuple[int, str] | None = None  # that waits for earlier answers
        self.in_head = True
        self.fresh = True  # no byte of a request came since the last one
        self.unparsed = 0  # bytes since a request's head, body or end was last seen
        self.draining = False
        self.deadline = self.loop.time() + self.head_seconds
        self.stuck_since: float | None = None
        self.model: str | None = None
        self.sweep.watch(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self.sweep.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self.parted or self.refusal:
            return
        if self.fresh:
            self._begin()
        self._unset_keepalive_if_required()
        self.unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self._refuse_for(error.__context__)
        except httptools.HttpParserError:
            self.refuse(400, "this is not HTTP/1.1")
        else:
            if self.unparsed > self.head_bytes:
                self.refuse(431, self._too_long())

    def _refuse_for(self, error: BaseException | None) -> None:
        """Refuse a request for what was raised as it was read."""
        if isinstance(error, RequestError):
            self.refuse(error.status, str(error))
        elif isinstance(error, httptools.HttpParserError):  # of its path
            self.refuse(400, "this is not HTTP/1.1")
        else:
            log.error("a request failed that should not have", exc_info=error)
            self.refuse(500, "the server failed; its log says how")

    def _begin(self) -> None:
        """Note that a request begins."""
        self.fresh = False
        self.url = b""
        if self._idle():
            self._await_request()

    def _await_request(self) -> None:
        """Set the deadline of a connection that has nothing to answer."""
        seconds = self.config.timeout_keep_alive if self.fresh else self.head_seconds
        self.deadline = self.loop.time() + seconds

    def on_message_begin(self) -> None:
        """Note that a request begins, perhaps right behind another one."""
        super().on_message_begin()
        if self.fresh:
            self._begin()

    def on_headers_complete(self) -> None:
        """Start a request, or refuse it."""
        self._check_head()
        if self.parser.should_upgrade():
            return
        self.in_head = False
        self.unparsed = 0
        self.deadline = self.loop.time() + self.body_seconds
        self.model = self._asked_at_once()
        if self.model is not None:
            self.body = b""
            return
        super().on_headers_complete()
        self.headers = []  # the request has its own; what comes behind a body is no header of it
        if self.scope["method"] != "HEAD":
            self.cycle.transport = _Joined(self)  # type: ignore[assignment]
        if self.draining:
            self.cycle.keep_alive = False

    def _check_head(self) -> None:
        """Raise where a head is too long, or can be read in more than one way."""
        hosts = lengths = codings = 0
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value)
            hosts += name == b"host"
            lengths += name == b"content-length"
            codings += name == b"transfer-encoding"
        if self.parser.get_method() == b"CONNECT":
            raise RequestError(400, "this is no proxy")
        if size > self.head_bytes:
            raise RequestError(431, self._too_long())
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise RequestError(400, "no Host header, or several")
        if lengths > 1 or (lengths and codings):
            raise RequestError(400, "two lengths of one body")
        if codings and dict(self.headers)[b"transfer-encoding"].lower() != b"chunked":
            raise RequestError(400, "a Transfer-Encoding other than chunked")

    def _too_long(self) -> str:
        return f"the request's headers are longer than {self.head_bytes} bytes"

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Read a request again as one that asks for no other protocol.

        Java's client asks for HTTP/2 with each first request, and its parser here then leaves the
        body unread. To ignore the wish is every server's right (RFC 9110, 7.8).
        """
        lines = [b"%b %b HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        lines += [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"".join([*lines, b"\r\n", rest]))

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self.unparsed = 0
        if self.model is not None:
            self.body += body
        elif self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is whole; the next head may follow."""
        if self.parser.should_upgrade():
            return
        self.in_head = self.fresh = True
        self.unparsed = 0
        self.deadline = math.inf
        if self.model is not None:
            self._answer(self.model)
            self.model = None
        elif self.cycle is not None:
            super().on_message_complete()
        if self._idle():  # it was answered before its end, or right now
            self._await_request()

    def _asked_at_once(self) -> str | None:
        """Return the model that is asked, where no more than the body is waited for."""
        if (
            self.parser.get_method() != b"POST"
            or self.expect_100_continue
            or self.pipeline
            or not self._idle()
            or self.flow.write_paused
            or not isinstance(self.app, Application)
            or self.parser.get_http_version() != "1.1"
        ):
            return None
        return self.app.at_once(self.url, self.headers)

    def _answer(self, model: str) -> None:
        """Send the application's answer."""
        assert isinstance(self.app, Application)  # noqa: S101 - as `_asked_at_once` found
        status, headers, body = self.app.answer_at_once(model, self.headers, self.body)
        keep = self.parser.should_keep_alive() and not self.draining
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        if CLOSE in headers:
            keep = False
        elif not keep:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        lines.append(body)
        self.transport.write(b"".join(lines))
        self.server_state.total_requests += 1
        if not keep:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self._idle() and self.in_head:
            self._await_request()
        if self._idle() and self.refusal:
            self.refuse(*self.refusal)

    def shutdown(self) -> None:
        """Close after the request at hand, or after a moment where there is none."""
        self.draining = True
        if self._idle():
            self._unset_keepalive_if_required()
            self.loop.call_later(self.linger_seconds, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def refuse(self, status: int, message: str) -> None:
        """Answer, after what was asked before, and part, whatever the request goes on with."""
        if self.in_head and not self._idle():
            self.refusal = status, message
        elif not self.parted and not self.transport.is_closing():
            self.transport.write(last_answer(status, message))
            self._tell_of(status)
            self.part()

    def _tell_of(self, status: int) -> None:
        """Have a refusal counted and logged, as answers are."""
        if not isinstance(self.app, Application):
            return
        if not self.in_head and not self._idle():  # the application does so when it gives up
            self.cycle.scope["gradline.refused"] = status  # type: ignore[typeddict-unknown-key]
        else:
            method = self.parser.get_method() if self.url else b""
            self.app.refused(self.model or "", method, self.url, status)

    def part(self) -> None:
        """Close; where more of a request is on its way, once the client had time to read.

        A socket that is closed with bytes unread takes back what was sent last (RFC 9112, 9.6).
        """
        if self.fresh or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.parted:
            self.parted = True
            self.transport.write_eof()
            self.deadline = self.loop.time() + self.linger_seconds

    def send_400_response(self, msg: str) -> None:
        """Answer as every other error is answered."""
        self.refuse(400, msg)

    def expire(self, now: float, late: float) -> None:
        """Close the connection where its deadline is over, or nobody reads its answer."""
        self.deadline += late
        unread = self.transport.get_write_buffer_size()
        self.stuck_since = (self.stuck_since or now) + late if unread else None
        if self.stuck_since is not None and now - self.stuck_since > self.body_seconds:
            self.transport.abort()
        elif now > self.deadline:
            self.deadline = math.inf
            answered = not self.in_head and self.model is None and self._idle()
            if self.parted or self.fresh or answered:
                self.transport.close()  # nothing was ever asked, or no more will be said
            else:
                self.refuse(408, "the request did not arrive in time")
                if self.cycle is not None and not self.cycle.response_complete:
                    self.cycle.disconnected = True
                    self.cycle.message_event.set()

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._idle() and self.fresh and not self.transport.is_closing():
            self.transport.close()


class _Joined:
    """A transport that sends an answer's head with its body: a system call takes a while."""

    def __init__(self, connection: Connection) -> None:
        self.is_closing = connection.transport.is_closing
        self._connection = connection
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif not data.startswith(CONTINUE):
            self._head = data
            return
        self._connection.transport.write(data)

    def close(self) -> None:
        self._connection.part()


def connect(
    most: int,
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
) -> asyncio.Protocol:
    """Return what handles a new connection: one beyond `most` at a time is a `Surplus`."""
    if len(server_state.connections) >= most:
        return Surplus(config.loaded_app, Connection.sweep, Connection.head_seconds)
    return Connection(config, server_state, app_state, _loop)
