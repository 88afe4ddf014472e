"""The ASGI application: the Open Inference Protocol (KServe V2) over HTTP.

https://github.com/kserve/open-inference-protocol, and Triton's binary tensor extension. Every error
is {"error": "…"}. What a path names is looked up among the served models; it never becomes a path
of the file system.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gradline.serve.metrics import Metrics
from gradline.serve.page import page
from gradline.serve.protocol.bodies import READ, inflated, read_body
from gradline.serve.protocol.errors import RequestError
from gradline.serve.protocol.inference import Served, infer
from gradline.serve.protocol.metadata import model_metadata, server_metadata
from gradline.serve.protocol.openapi import document
from gradline.serve.repository import Repository

__all__ = ["Application", "Limits"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Reply = tuple[int, Headers, bytes]

JSON = [(b"content-type", b"application/json")]
TEXT = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
HTML = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?/?")
CHALLENGE = (b"www-authenticate", b"Bearer")
OPEN = ("/v2/health/live", "/v2/health/ready")  # to whoever asks, without a token
FOLLOW_EVERY = 1.0  # seconds
WAITED_FOR = (b"content-encoding", b"transfer-encoding", b"inference-header-content-length")
SMALL_DIGITS = 5  # of the length of a body that is answered at once
LARGE = 1 << 18  # bytes of a body from which on others would wait: it gets a thread

log = logging.getLogger("gradline.serve")


@dataclass(frozen=True)
class Limits:
    """What a client may ask of the server.

    Attributes:
        body: Bytes of a request's body, inflated.
        token: That requests bear; None for none.
        hosts: Names that the Host header may have; None for any.
        access_log: Whether each request is a line of JSON on stderr.
    """

    body: int = 16 << 20
    token: bytes | None = None
    hosts: frozenset[str] | None = None
    access_log: bool = False


class Application:
    """Answers requests about the models of a repository."""

    def __init__(self, repository: Repository, metrics: Metrics, limits: Limits) -> None:
        self.repository = repository
        self.metrics = metrics
        self.limits = limits
        self._following: asyncio.Task[None] | None = None
        self._asked: dict[bytes, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    def at_once(self, url: bytes, headers: Headers) -> str | None:
        """Return the model that a POST asks, where no more than its body is waited for; else None.

        That is every usual request: small, not compressed, for the version that is served.
        """
        name = self._asked.get(url)
        if name is None:
            found = MODEL.fullmatch(url.decode("latin-1"))
            if found is None or found[2] or found[3] != "infer" or "%" in found[1]:
                return None
            name = found[1]
            if name in self.repository.models:
                self._asked[url] = name
        for key, value in headers:
            if key in WAITED_FOR or (key == b"content-type" and value not in READ):
                return None
            if key == b"content-length" and (
                len(value) > SMALL_DIGITS or int(value) > self.limits.body
            ):
                return None
        return name if name in self.repository.models else None

    def answer_at_once(self, name: str, headers: Headers, body: bytes) -> Reply:
        """Return the answer to a request that `at_once` knows."""
        started = time.perf_counter()
        status, found = 200, JSON
        try:
            self._admit("", dict(headers))
            served = self.repository.models[name].current
            answer = infer(served, body, None)
            self.metrics.predicted(name, served.version, answer.rows)
            body = answer.body
            if answer.json_length is not None:
                found = _binary(answer.json_length)
        except Exception as error:
            status, found, body = _failure(error)
        self._note(name, "POST", f"/v2/models/{name}/infer", status, started)
        return status, found, body

    def refused(self, model: str, method: bytes, path: bytes, status: int) -> None:
        """Note a request that was not read to its end; of some neither path nor method is known."""
        self.metrics.turned_away(model, status)
        self._log(method.decode("latin-1"), path.decode("latin-1"), status)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._following = asyncio.create_task(self._follow())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._following.cancel()
        with suppress(asyncio.CancelledError):
            await self._following
        await send({"type": "lifespan.shutdown.complete"})

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_EVERY)
            self.metrics.settle()
            try:
                await asyncio.to_thread(self.repository.refresh)
            except Exception:
                log.exception("the versions on disk could not be followed")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        scope["gradline.model"] = ""
        try:
            self._admit(scope["path"], headers)
            status, found, body = await self._route(scope, headers, receive)
        except Exception as error:
            status, found, body = _failure(error)
            if status == 401 and _is_browser_at_the_page(scope["path"], headers):
                _, found, body = _page()  # which asks the person for the token
                found = [*found, CHALLENGE]
        found = [*found, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": found})
        await send({"type": "http.response.body", "body": body})
        status = scope.get("gradline.refused", status)  # by the connection, in the meantime
        self._note(scope["gradline.model"], scope["method"], scope["path"], status, started)

    def _note(self, model: str, method: str, path: str, status: int, started: float) -> None:
        elapsed = time.perf_counter() - started
        self.metrics.answered(model, status, elapsed)
        self._log(method, path, status, elapsed)

    def _log(self, method: str, path: str, status: int, elapsed: float | None = None) -> None:
        if self.limits.access_log:
            ms = None if elapsed is None else round(elapsed * 1e3, 3)
            line = {"method": method, "path": path, "status": status, "ms": ms}
            with suppress(OSError, ValueError):  # nobody reads it any more
                print(json.dumps(line), file=sys.stderr, flush=True)

    def _admit(self, path: str, headers: dict[bytes, bytes]) -> None:
        """Raise where the Host header or the token is not what it has to be."""
        if self.limits.hosts is not None and not _is_one_of(
            self.limits.hosts, host := headers.get(b"host", b"")
        ):
            shown = host.decode("latin-1")
            raise RequestError(400, f"the Host header names {shown!r}, which this server is not")
        if self.limits.token is None or path in OPEN:
            return
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self.limits.token):
            raise RequestError(
                401,
                "a token is needed: Authorization: Bearer …",
                [CHALLENGE],
            )

    async def _route(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Reply:
        path, method = scope["path"], scope["method"]
        if found := MODEL.fullmatch(path):
            return await self._model(found, scope, headers, receive)
        if path == "/v2/repository/index":
            _allow(method, "POST")
            await read_body(headers, receive, self.limits.body)
            return 200, JSON, _json(self._index())
        if path.rstrip("/") == "/openapi.json":
            _allow(method, "GET", "HEAD")
            return 200, JSON, await asyncio.to_thread(self._document)
        documents: dict[str, Callable[[], Reply]] = {
            "/v2": lambda: (200, JSON, _json(server_metadata())),
            "/v2/health/live": lambda: (200, JSON, b'{"live":true}'),
            "/v2/health/ready": lambda: (200, JSON, b'{"ready":true}'),
            "/metrics": lambda: (200, TEXT, self.metrics.text()),
            "/": _page,
        }
        answer = documents.get(path.rstrip("/") or "/")
        if answer is None:
            raise RequestError(404, f"nothing at {path}; the models are at /v2/models/NAME")
        _allow(method, "GET", "HEAD")
        return answer()

    async def _model(
        self,
        path: re.Match[str],
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
    ) -> Reply:
        name, version, verb = path.groups()
        entry = self.repository.models.get(name)
        served = None
        if entry is not None:
            served = entry.current
            if version is not None and version != served.version:
                served = await asyncio.to_thread(self.repository.find, name, version)
        if entry is None:
            known = ", ".join(sorted(self.repository.models)[:8])
            raise RequestError(404, f"no model {name!r}; there is {known}")
        if served is None:
            raise RequestError(404, f"no version {version!r} of the model {name!r}")
        scope["gradline.model"] = name
        if verb == "infer":
            _allow(scope["method"], "POST")
            return await self._infer(served, headers, receive)
        _allow(scope["method"], "GET", "HEAD")
        if verb == "ready":
            return 200, JSON, _json({"name": name, "ready": True})
        versions = await asyncio.to_thread(self.repository.versions, name)
        return 200, JSON, _json(model_metadata(served, versions))

    async def _infer(self, served: Served, headers: dict[bytes, bytes], receive: Receive) -> Reply:
        json_length = _json_length(headers)
        body = await read_body(headers, receive, self.limits.body)
        coding = headers.get(b"content-encoding")
        limit = self.limits.body

        def answer() -> Any:
            plain = body if coding is None else inflated(body, coding, limit)
            return infer(served, plain, json_length)

        found = (
            answer() if len(body) < LARGE and coding is None else await asyncio.to_thread(answer)
        )
        self.metrics.predicted(served.model.name, served.version, found.rows)
        if found.json_length is None:
            return 200, JSON, found.body
        return 200, _binary(found.json_length), found.body

    def _document(self) -> bytes:
        """Return the OpenAPI document; the versions are looked for on disk."""
        models = {
            name: (entry.current, self.repository.versions(name))
            for name, entry in sorted(self.repository.models.items())
        }
        return _json(document(models, protected=self.limits.token is not None))

    def _index(self) -> list[dict[str, str]]:
        return [
            {"name": name, "version": entry.current.version, "state": "READY", "reason": ""}
            for name, entry in sorted(self.repository.models.items())
        ]


@lru_cache(maxsize=64)
def _is_one_of(hosts: frozenset[str], host: bytes) -> bool:
    """Return whether a Host header names one of the hosts, at any port."""
    text = host.decode("latin-1").lower()
    return re.sub(r":\d*$", "", text) in hosts


def _failure(error: Exception) -> Reply:
    """Return the answer to what can't be answered, by the client's fault or by ours."""
    if not isinstance(error, RequestError):
        log.error("a request failed that should not have", exc_info=error)
        error = RequestError(500, "the server failed; its log says how", close=True)
    close = [(b"connection", b"close")] if error.close else []
    body = json.dumps({"error": str(error)}).encode()
    return error.status, [*JSON, *error.headers, *close], body


def _binary(json_length: int) -> Headers:
    kind = (b"content-type", b"application/octet-stream")
    return [kind, (b"inference-header-content-length", b"%d" % json_length)]


def _is_browser_at_the_page(path: str, headers: dict[bytes, bytes]) -> bool:
    return path == "/" and b"text/html" in headers.get(b"accept", b"")


def _page() -> Reply:
    body, policy = page()
    return 200, [*HTML, (b"content-security-policy", policy)], body


def _allow(method: str, *methods: str) -> None:
    if method not in methods:
        allowed = ", ".join(methods)
        raise RequestError(
            405, f"{method} is not answered here, {allowed} is", [(b"allow", allowed.encode())]
        )


def _json_length(headers: dict[bytes, bytes]) -> int | None:
    text = headers.get(b"inference-header-content-length")
    if text is None:
        return None
    if not re.fullmatch(rb"\d{1,12}", text):
        raise RequestError(400, "Inference-Header-Content-Length is not a number of bytes")
    return int(text)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
