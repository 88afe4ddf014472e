"""What each of several workers runs."""

from __future__ import annotations

import logging
import sys

from gradline.serve import app as make
from gradline.serve.application import Application

__all__ = ["app"]


def app() -> Application:
    """Return a worker's application, its logs on stderr as the first process has them."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    return make()
