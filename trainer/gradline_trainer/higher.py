"""Find functions of the export wing, which the trainer may not import."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from gradline.errors import MissingExtraError, needs_extra


def from_export(name: str) -> Any:
    """Load a function that the export wing declares as an entry point.

    Raises:
        MissingExtraError: If the export wing or what it needs is not installed.
    """
    for found in entry_points(group="gradline", name=name):
        with needs_extra():
            return found.load()
    raise MissingExtraError(
        "this needs the module 'gradline_export', which is not installed",
        code="missing-extra",
        hint='in the folder of gradline\'s sources: pip install ".[train]"',
    )
