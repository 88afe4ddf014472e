"""gradline: predict from a linear model package that proves itself where it is loaded."""

from __future__ import annotations

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
    from gradline.model import Model, load

__all__ = [
    "GradlineError",
    "GradlineWarning",
    "InputError",
    "MissingExtraError",
    "Model",
    "OutputError",
    "PackageError",
    "RefusedError",
    "load",
]


def __getattr__(name: str) -> Any:
    # NumPy takes a tenth of a second to import, so it waits until a model is asked for.
    if name not in ("Model", "load"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gradline import model

    return getattr(model, name)
