"""gradline: predict from a linear model package that proves itself where it is loaded."""

from gradline.errors import (
    GradlineError,
    InputError,
    MissingExtraError,
    OutputError,
    PackageError,
    RefusedError,
)
from gradline.model import Model, load

__all__ = [
    "GradlineError",
    "InputError",
    "MissingExtraError",
    "Model",
    "OutputError",
    "PackageError",
    "RefusedError",
    "load",
]
