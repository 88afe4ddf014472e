"""uvicorn's HTTP connections, with deadlines, limits and a stricter parser.

uvicorn waits forever for a request's headers and body. If there are too many connections, it
answers all of them with 503. At SIGTERM it closes connections whose next request may be under way.
Here every wait of a connection has a deadline. Only connections above the limit get 503. At
shutdown, an idle connection stays open for a moment, and its last answer says that it closes.

The application answers a usual request as soon as its body is complete, without an asyncio task:
a task would take longer than the inference.
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
from gradline.serve.surplus import Surplus
from gradline.serve.sweeping import Sweep
from gradline.serve.wire import JoinedTransport, check_head, head_too_long, last_answer

CLOSE = (b"connection", b"close")
MALFORMED = "malformed HTTP/1.1 request"

log = logging.getLogger("gradline.serve")


class Connection(HttpToolsProtocol):
    """One connection. Its limits are the same for all connections of a server."""

    app: Application
    head_bytes: ClassVar[int] = 16 << 10  # for the line and headers, or any other non-body part
    head_seconds: ClassVar[float] = 5.0  # for the headers
    body_seconds: ClassVar[float] = 15.0  # for the body, and for reading the answer
    linger_seconds: ClassVar[float] = 1.0  # to send a request when the server ends, if idle
    sweep: ClassVar[Sweep] = Sweep()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        self.url = b""
        self.half_closed = False  # nothing more is sent or parsed
        self.pending_refusal: tuple[int, str] | None = None  # sent after the earlier answers
        self.in_head = True
        self.between_requests = True  # no byte of the next request has arrived
        self.unparsed = 0  # bytes since the last complete head, body part or request
        self.draining = False
        self.deadline = self.loop.time() + self.head_seconds
        self.unread_since: float | None = None  # when the client stopped reading answers
        self.quick_model: str | None = None  # of a request that is answered without a task
        self.sweep.watch(self.expire, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop checking the deadline."""
        self.sweep.forget(self.expire)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        if self.half_closed or self.pending_refusal:
            return
        if self.between_requests:
            self._begin_request()
        self._unset_keepalive_if_required()
        self.unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self._refuse_for(error.__context__)
        except httptools.HttpParserError:
            self.refuse(400, MALFORMED)
        else:
            if self.unparsed > self.head_bytes:
                self._refuse_for(head_too_long(self.head_bytes))

    def _refuse_for(self, error: BaseException | None) -> None:
        """Refuse a request for an exception raised while it was parsed."""
        if isinstance(error, RequestError):
            self.refuse(error.status, str(error))
        elif isinstance(error, httptools.HttpParserError):  # of its path
            self.refuse(400, MALFORMED)
        else:
            log.error("internal error in a request", exc_info=error)
            self.refuse(500, "internal error; see the server's log")

    def _begin_request(self) -> None:
        self.between_requests = False
        self.url = b""
        if self._is_idle():
            self._await_request()

    def _await_request(self) -> None:
        """Set the deadline of a connection that has nothing to answer."""
        seconds = self.config.timeout_keep_alive if self.between_requests else self.head_seconds
        self.deadline = self.loop.time() + seconds

    def on_message_begin(self) -> None:
        """Handle the start of a request, perhaps directly after another one."""
        super().on_message_begin()
        if self.between_requests:
            self._begin_request()

    def on_headers_complete(self) -> None:
        """Start a request, or refuse it."""
        check_head(self.parser, self.url, self.headers, self.head_bytes)
        if self.parser.should_upgrade():
            return
        self.in_head = False
        self.unparsed = 0
        self.deadline = self.loop.time() + self.body_seconds
        self.quick_model = self._find_quick_model()
        if self.quick_model is not None:
            self.body = b""
            return
        super().on_headers_complete()
        self.headers = []  # the request keeps its own; trailers after the body are not headers
        if self.scope["method"] != "HEAD":
            self.cycle.transport = JoinedTransport(self.transport, self.end)  # type: ignore[assignment]
        if self.draining:
            self.cycle.keep_alive = False

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Parse a request again without its Upgrade header.

        Java's client asks for HTTP/2 in each first request, and after that the parser leaves the
        body unread. Any server may ignore the header (RFC 9110, 7.8).
        """
        lines = [b"%b %b HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        lines += [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"".join([*lines, b"\r\n", rest]))

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self.unparsed = 0
        if self.quick_model is not None:
            self.body += body
        elif self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Finish reading a request; the next head may follow."""
        if self.parser.should_upgrade():
            return
        self.in_head = self.between_requests = True
        self.unparsed = 0
        self.deadline = math.inf
        if self.quick_model is not None:
            self._answer_quickly()
            self.quick_model = None
        elif self.cycle is not None:
            super().on_message_complete()
        if self._is_idle():  # the answer was sent before the request's end, or just now
            self._await_request()

    def _find_quick_model(self) -> str | None:
        """Return the model of a request that can be answered without a task."""
        if (
            self.parser.get_method() != b"POST"
            or self.expect_100_continue
            or self.pipeline
            or not self._is_idle()
            or self.flow.write_paused
            or self.parser.get_http_version() != "1.1"
        ):
            return None
        return self.app.at_once(self.url, self.headers)

    def _answer_quickly(self) -> None:
        status, headers, body = self.app.answer_at_once(self.url, self.headers, self.body)
        keep = self.parser.should_keep_alive() and not self.draining and CLOSE not in headers
        if not keep and CLOSE not in headers:
            headers = [*headers, CLOSE]
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        lines.append(body)
        self.transport.write(b"".join(lines))
        self.server_state.total_requests += 1
        if not keep:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self._is_idle() and self.in_head:
            self._await_request()
        if self._is_idle() and self.pending_refusal:
            self.refuse(*self.pending_refusal)

    def shutdown(self) -> None:
        """Close after the current request, or after a moment if there is none."""
        self.draining = True
        if self._is_idle():
            self._unset_keepalive_if_required()
            self.loop.call_later(self.linger_seconds, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def refuse(self, status: int, message: str) -> None:
        """Send an error after the earlier answers, then close; ignore the rest of the request."""
        if self.in_head and not self._is_idle():
            self.pending_refusal = status, message
        elif not self.half_closed and not self.transport.is_closing():
            self.transport.write(last_answer(status, message))
            self._note_refusal(status)
            self.end()

    def _note_refusal(self, status: int) -> None:
        if not self.in_head and not self._is_idle():  # the application notes its own request
            self.cycle.scope["gradline.refused"] = status  # type: ignore[typeddict-unknown-key]
        else:
            method = self.parser.get_method() if self.url else b""
            self.app.note_refusal(self.quick_model or "", method, self.url, status)

    def end(self) -> None:
        """Close; if more of a request may come, first give the client time to read the answer.

        Closing a socket with unread bytes resets it and drops what was sent last (RFC 9112, 9.6).
        """
        if self.between_requests or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.half_closed:
            self.half_closed = True
            self.transport.write_eof()
            self.deadline = self.loop.time() + self.linger_seconds

    def expire(self, now: float, late: float) -> None:
        """Close the connection after its deadline, or if the client does not read its answer."""
        self.deadline += late
        unread = self.transport.get_write_buffer_size()
        self.unread_since = (self.unread_since or now) + late if unread else None
        if self.unread_since is not None and now - self.unread_since > self.body_seconds:
            self.transport.abort()
        elif now > self.deadline:
            self.deadline = math.inf
            answered = not self.in_head and self.quick_model is None and self._is_idle()
            if self.half_closed or self.between_requests or answered:
                self.transport.close()  # no request is waiting for an answer
            else:
                self.refuse(408, "the request did not arrive in time")
                if self.cycle is not None and not self.cycle.response_complete:
                    self.cycle.disconnected = True
                    self.cycle.message_event.set()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle() and self.between_requests and not self.transport.is_closing():
            self.transport.close()


def connect(
    most: int,
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
) -> asyncio.Protocol:
    """Create the protocol of a new connection: a `Surplus` if there are `most` already."""
    if len(server_state.connections) >= most:
        return Surplus(config.loaded_app, Connection.sweep, Connection.head_seconds)
    return Connection(config, server_state, app_state, _loop)
