"""The ASGI application: the Open Inference Protocol (KServe V2) over HTTP, and rows by name (V1).

https://github.com/kserve/open-inference-protocol, with Triton's binary tensor extension. Every
error is {"error": "…"}. A path's names are looked up among the served models and never become
file paths.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from gradline.serve.limits import CHALLENGE, Limits, check_access
from gradline.serve.metrics import ServerMetrics
from gradline.serve.protocol.bodies import CONTENT_TYPES, Message, Receive, decompress, read_body
from gradline.serve.protocol.errors import Headers, RequestError
from gradline.serve.protocol.inference import LARGE, infer
from gradline.serve.protocol.instances import predict_instances
from gradline.serve.protocol.messages import IndexEntry
from gradline.serve.protocol.metadata import model_metadata, model_status, server_metadata
from gradline.serve.protocol.openapi import document
from gradline.serve.protocol.outputs import JSON, Answer
from gradline.serve.protocol.served_model import ServedModel
from gradline.serve.replies import PROMETHEUS, Reply, error_reply, json_reply, page_reply
from gradline.serve.report import report_reply
from gradline.serve.repository import Repository

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer|report))?/?")
MODEL_V1 = re.compile(r"/v1/models/([^/:]+)(?:/versions/([^/:]+))?(?::(predict))?/?")
AnswerTo = Callable[[ServedModel, bytes, int | None], Answer]  # a body, and its JSON's length
ANSWERS: dict[str | None, AnswerTo] = {
    "infer": infer,
    "predict": lambda served, body, _: predict_instances(served, body),
}
REFRESH_EVERY = 1.0  # seconds
SLOW_HEADERS = (b"content-encoding", b"transfer-encoding", b"inference-header-content-length")
MAX_LENGTH_DIGITS = 5  # of the Content-Length of a request that is answered at once

log = logging.getLogger("gradline.serve")


class Application:
    """Answers requests about the models of a repository."""

    def __init__(self, repository: Repository, metrics: ServerMetrics, limits: Limits) -> None:
        self.repository = repository
        self.metrics = metrics
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or handle the server's start and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    def at_once(self, url: bytes, headers: Headers) -> str | None:
        """Return the model of a POST that `answer_at_once` can answer; None for other requests.

        Usual requests are such: a small, uncompressed JSON body for the current version.
        """
        name, _ = _usual(url)
        if name not in self.repository.models:
            return None
        for key, value in headers:
            if key in SLOW_HEADERS or (key == b"content-type" and value not in CONTENT_TYPES):
                return None
            if key == b"content-length" and (
                len(value) > MAX_LENGTH_DIGITS or int(value) > self.limits.body
            ):
                return None
        return name

    def answer_at_once(self, url: bytes, headers: Headers, body: bytes) -> Reply:
        """Answer a request for which `at_once` returned a model."""
        started = time.perf_counter()
        name, verb = _usual(url)
        try:
            check_access(self.limits, "", dict(headers))
            served = self.repository.models[name].current
            answer = ANSWERS[verb](served, body, None)
            self.metrics.predicted(served, answer)
            reply: Reply = 200, answer.headers, answer.body
        except Exception as error:
            reply = error_reply(error)
        self._note(name, "POST", _text(url), reply[0], started)
        return reply

    def note_refusal(self, model: str, method: bytes, path: bytes, status: int) -> None:
        """Count and log a request that was not read completely; unknown parts of it are empty."""
        self.metrics.turned_away(model, status)
        self._log(method.decode("latin-1"), path.decode("latin-1"), status)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        refreshing = asyncio.create_task(self._refresh())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing
        await send({"type": "lifespan.shutdown.complete"})

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_EVERY)
            self.metrics.flush()
            try:
                await asyncio.to_thread(self.repository.refresh)
            except Exception:
                log.exception("the versions on disk could not be read")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        scope["gradline.model"] = ""
        try:
            check_access(self.limits, scope["path"], headers)
            status, found, body = await self._route(scope, headers, receive)
        except Exception as error:
            status, found, body = error_reply(error)
            wants_page = scope["path"] == "/" and b"text/html" in headers.get(b"accept", b"")
            if status == 401 and wants_page:
                _, found, body = page_reply()  # it asks for the token
                found = [*found, CHALLENGE]
        found = [*found, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": found})
        await send({"type": "http.response.body", "body": body})
        status = scope.get("gradline.refused", status)  # set by the connection in the meantime
        self._note(scope["gradline.model"], scope["method"], scope["path"], status, started)

    def _note(self, model: str, method: str, path: str, status: int, started: float) -> None:
        elapsed = time.perf_counter() - started
        self.metrics.answered(model, status, elapsed)
        self._log(method, path, status, elapsed)

    def _log(self, method: str, path: str, status: int, elapsed: float | None = None) -> None:
        if self.limits.access_log:
            ms = None if elapsed is None else round(elapsed * 1e3, 3)
            line = {"method": method, "path": path, "status": status, "ms": ms}
            with suppress(OSError, ValueError):  # stderr may be closed
                print(json.dumps(line), file=sys.stderr, flush=True)

    async def _route(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Reply:
        path, method = scope["path"], scope["method"]
        if found := MODEL.fullmatch(path) or MODEL_V1.fullmatch(path):
            return await self._answer_about_model(found, scope, headers, receive)
        if path == "/v2/repository/index":
            _allow(method, "POST")
            await read_body(headers, receive, self.limits.body)
            return json_reply(self._index())
        documents: dict[str, Callable[[], Reply]] = {
            "/v2": lambda: json_reply(server_metadata()),
            "/v1/models": lambda: json_reply({"models": sorted(self.repository.models)}),
            "/v2/health/live": lambda: (200, JSON, b'{"live":true}'),
            "/v2/health/ready": lambda: (200, JSON, b'{"ready":true}'),
            "/metrics": lambda: (200, PROMETHEUS, self.metrics.text()),
            "/openapi.json": self._openapi,
            "/": page_reply,
        }
        answer = documents.get(path.rstrip("/") or "/")
        if answer is None:
            places = "/v1/models/NAME:predict and /v2/models/NAME/infer"
            raise RequestError(
                f"nothing at {path}; /v1/models lists the models, which answer at {places}", 404
            )
        _allow(method, "GET", "HEAD")
        if answer == self._openapi:  # it looks for versions on disk
            return await asyncio.to_thread(answer)
        return answer()

    async def _answer_about_model(
        self, path: re.Match[str], scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> Reply:
        name, version, verb = path.groups()
        entry = self.repository.models.get(name)
        if entry is None:
            known = ", ".join(sorted(self.repository.models)[:8])
            raise RequestError(f"no model {name!r}; served: {known}", 404)
        served: ServedModel | None = entry.current
        if version is not None and version != entry.current.version:
            served = await asyncio.to_thread(self.repository.find, name, version)
        if served is None:
            raise RequestError(f"no version {version!r} of the model {name!r}", 404)
        scope["gradline.model"] = name
        if verb in ANSWERS:
            _allow(scope["method"], "POST")
            return await self._predict(served, ANSWERS[verb], headers, receive)
        _allow(scope["method"], "GET", "HEAD")
        if path.re is MODEL_V1:
            return json_reply(model_status(served))
        if verb == "ready":
            return json_reply({"name": name, "ready": True})
        if verb == "report":
            return await asyncio.to_thread(report_reply, served.model.package)
        versions = await asyncio.to_thread(self.repository.versions, name)
        return json_reply(model_metadata(served, versions))

    async def _predict(
        self,
        served: ServedModel,
        answer_to: AnswerTo,
        headers: dict[bytes, bytes],
        receive: Receive,
    ) -> Reply:
        json_length = _json_length(headers)
        body = await read_body(headers, receive, self.limits.body)
        coding = headers.get(b"content-encoding", b"identity")

        def answer() -> Answer:
            return answer_to(served, decompress(body, coding, self.limits.body), json_length)

        is_quick = len(body) < LARGE and b"content-encoding" not in headers
        if is_quick:
            found = answer()
        else:
            found = await asyncio.to_thread(lambda: answer().compared(served))
        self.metrics.predicted(served, found)
        return 200, found.headers, found.body

    def _openapi(self) -> Reply:
        models = {
            name: (entry.current, self.repository.versions(name))
            for name, entry in sorted(self.repository.models.items())
        }
        return json_reply(document(models, protected=self.limits.token is not None))

    def _index(self) -> list[IndexEntry]:
        return [
            {"name": name, "version": entry.current.version, "state": "READY", "reason": ""}
            for name, entry in sorted(self.repository.models.items())
        ]


@lru_cache(maxsize=64)
def _usual(url: bytes) -> tuple[str, str]:
    """Parse a URL that asks a model's current version for predictions.

    Returns the model and the verb; both are empty for other URLs.
    """
    path = _text(url)
    found = MODEL.fullmatch(path) or MODEL_V1.fullmatch(path)
    usual = found is not None and found[2] is None and found[3] in ANSWERS
    return (found[1], found[3]) if found and usual else ("", "")


@lru_cache(maxsize=64)
def _text(url: bytes) -> str:
    return url.decode("latin-1")


def _allow(method: str, *methods: str) -> None:
    if method not in methods:
        allowed = ", ".join(methods)
        message = f"{method} is not allowed here; use {allowed}"
        raise RequestError(message, 405, [(b"allow", allowed.encode())])


def _json_length(headers: dict[bytes, bytes]) -> int | None:
    text = headers.get(b"inference-header-content-length")
    if text is None:
        return None
    if not re.fullmatch(rb"\d{1,12}", text):
        raise RequestError("Inference-Header-Content-Length is not a number of bytes")
    return int(text)
