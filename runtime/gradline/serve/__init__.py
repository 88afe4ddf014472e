"""gradline.serve: serve models over HTTP by the Open Inference Protocol."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gradline.errors import InputError, needs_extra

if TYPE_CHECKING:
    from gradline.serve.application import Application

__all__ = ["app"]

PACKAGES = "GRADLINE_SERVE"


def app() -> Application:
    """Create the ASGI application for the packages in GRADLINE_SERVE, separated as in PATH.

    For any ASGI server: GRADLINE_SERVE=artifacts uvicorn --factory gradline.serve:app

    Raises:
        InputError: GRADLINE_SERVE names no package.
        PackageError: A package cannot be loaded.
    """
    with needs_extra():
        from gradline.serve.application import Application
        from gradline.serve.limits import Limits
        from gradline.serve.metrics import ServerMetrics
        from gradline.serve.repository import Repository
    packages = os.environ.get(PACKAGES, "")
    if not packages:
        raise InputError(
            f"{PACKAGES} is not set",
            code="no-package",
            hint=f"set it to artifacts, or to packages separated by {os.pathsep!r}",
        )
    metrics = ServerMetrics()
    repository = Repository(list(map(Path, packages.split(os.pathsep))), metrics)
    return Application(repository, metrics, Limits())
