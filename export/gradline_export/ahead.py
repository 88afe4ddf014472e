"""Imports that are done while rows are read, in which Python itself has little to do.

Beside PyTorch's own import they would only slow that down: all of it is Python's work.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

__all__ = ["DISTRIBUTIONS", "PLOTS", "import_ahead"]

DISTRIBUTIONS = ("scipy.special",)
PLOTS = ("jinja2", "matplotlib.figure", "matplotlib.backends.backend_svg")


def import_ahead(modules: Sequence[str]) -> None:
    """Start to import modules in the background."""
    threading.Thread(target=_import_all, args=[modules]).start()


def _import_all(modules: Sequence[str]) -> None:
    with suppress(Exception):  # whoever needs them says what is wrong
        for module in modules:
            import_module(module)
