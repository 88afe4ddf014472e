"""gradline.serve: models over HTTP, by the Open Inference Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradline.errors import needs_extra

if TYPE_CHECKING:
    from gradline.serve.application import Application

__all__ = ["app"]


def app() -> Application:
    """Return the ASGI application, set by environment variables: see `gradline.serve.settings`.

    For any ASGI server: GRADLINE_SERVE=artifacts uvicorn --factory gradline.serve:app

    Raises:
        InputError: Where GRADLINE_SERVE names no package.
        PackageError: Where one can't be loaded.
    """
    with needs_extra():
        from gradline.serve.application import Application
        from gradline.serve.metrics import Metrics
        from gradline.serve.repository import Repository
    from gradline.serve.settings import Settings

    settings = Settings.from_environment()
    metrics = Metrics()
    repository = Repository(settings.paths, metrics, settings.public_key, settings.name)
    return Application(repository, metrics, settings.limits())
