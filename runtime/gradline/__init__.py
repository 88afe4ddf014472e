"""gradline: load a linear model package, check it on this machine, and predict."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradline.errors import (
    GradlineError,
    GradlineWarning,
    InputError,
    MissingExtraError,
    OutputError,
    PackageError,
    RefusedError,
)

if TYPE_CHECKING:
    from gradline.explain.intervals import Prediction
    from gradline.model import Model, load
    from gradline.scoring.scores import evaluate
    from gradline.serve import app

__all__ = [
    "GradlineError",
    "GradlineWarning",
    "InputError",
    "MissingExtraError",
    "Model",
    "OutputError",
    "PackageError",
    "Prediction",
    "RefusedError",
    "app",
    "evaluate",
    "load",
]

MODULES = {
    "Model": "model",
    "Prediction": "explain.intervals",
    "app": "serve",
    "evaluate": "scoring.scores",
    "load": "model",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("gradline")
    # NumPy takes a tenth of a second to import, so it is imported with the first use of a model.
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"gradline.{MODULES[name]}"), name)
