"""gradline_trainer: learn a linear model, y = x @ W.T + b, from a table by gradient descent."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradline.errors import needs_extra

if TYPE_CHECKING:
    from gradline_trainer.estimator import LinearRegression
    from gradline_trainer.fitting import fit
    from gradline_trainer.result import Fit
    from gradline_trainer.saved.files import load_moments, save_moments

__all__ = ["Fit", "LinearRegression", "fit", "load_moments", "save_moments"]

MODULES = {
    "Fit": "result",
    "LinearRegression": "estimator",
    "fit": "fitting",
    "load_moments": "saved.files",
    "save_moments": "saved.files",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("gradline")
    # PyTorch takes a second to import, so it is imported with the first use of a name.
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra():
        module = import_module(f"gradline_trainer.{MODULES[name]}")
    return getattr(module, name)
