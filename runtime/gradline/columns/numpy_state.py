"""Isolation from settings of the caller's process that must not change the answer."""

from __future__ import annotations

import numpy as np

__all__ = ["numpy_defaults"]


def numpy_defaults() -> np.errstate:
    """Reset NumPy's floating-point error handling; use it as context manager or decorator."""
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
