"""Build HTTP replies: JSON, binary tensors, errors, the page for trying the models."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from base64 import b64encode
from functools import cache
from importlib.resources import files

from gradline.presentation.component import component
from gradline.serve.protocol.errors import Headers, RequestError
from gradline.serve.protocol.outputs import JSON

Reply = tuple[int, Headers, bytes]

PROMETHEUS = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
HTML = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]

log = logging.getLogger("gradline.serve")


def json_reply(value: object) -> Reply:
    """Encode a value as JSON."""
    return 200, JSON, json.dumps(value, ensure_ascii=False).encode()


@cache
def page_reply() -> Reply:
    """Send the page: one file, with the same panel as in reports.

    Its Content-Security-Policy allows nothing from other hosts. It names each inline script and
    style by its hash, so no other one runs (https://www.w3.org/TR/CSP3/).
    """
    folder = files("gradline.serve")
    page, rows = (folder.joinpath(name).read_bytes() for name in ("page.html", "rows.js"))
    page = page.replace(b"<!--panel-->", component().encode())
    page = page.replace(b"<!--rows-->", b"<script>\n%b</script>" % rows)
    policy = [
        b"default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'",
        b"frame-ancestors 'none'",
    ]
    for kind in (b"script", b"style"):
        texts = re.findall(b"<%b>(.*?)</%b>" % (kind, kind), page, re.DOTALL)
        hashes = [b"'sha256-%b'" % b64encode(hashlib.sha256(text).digest()) for text in texts]
        policy.append(b" ".join([kind + b"-src", *hashes]))
    return 200, [*HTML, (b"content-security-policy", b"; ".join(policy))], page


def error_reply(error: Exception) -> Reply:
    """Send a request's error; log any other exception and send 500."""
    if not isinstance(error, RequestError):
        log.error("internal error in a request", exc_info=error)
        error = RequestError("internal error; see the server's log", 500, close=True)
    close = [(b"connection", b"close")] if error.close else []
    body = json.dumps({"error": str(error)}).encode()
    return error.status, [*JSON, *error.headers, *close], body
