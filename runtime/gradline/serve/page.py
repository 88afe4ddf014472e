"""The page at `/`: one file for trying the models, with the same panel as in reports."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from functools import cache
from importlib.resources import files

INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


@cache
def page() -> tuple[bytes, bytes]:
    """Return the page and its Content-Security-Policy.

    The policy allows nothing from other hosts. It names each inline script and style by its hash,
    so no other one runs (https://www.w3.org/TR/CSP3/).
    """
    runtime = files("gradline")
    panel = runtime.joinpath("presentation", "panel.html").read_bytes()
    whole = runtime.joinpath("serve", "page.html").read_bytes().replace(b"<!--panel-->", panel)
    hashes: dict[bytes, list[bytes]] = {b"script": [], b"style": []}
    for kind, text in INLINE.findall(whole):
        hashes[kind].append(b"'sha256-%b'" % b64encode(hashlib.sha256(text).digest()))
    policy = [
        b"default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'",
        b"frame-ancestors 'none'",
        *(b"%b-src %b" % (kind, b" ".join(found)) for kind, found in hashes.items()),
    ]
    return whole, b"; ".join(policy)
