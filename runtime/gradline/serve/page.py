"""The page at /: one file that tries the models, from `panel.html`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["CSP", "page"]

#: Nothing from elsewhere, and no script or style but the page's own.
CSP = (
    b"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def page() -> bytes:
    """Return the page's bytes."""
    return files("gradline.serve").joinpath("panel.html").read_bytes()
