"""What surrounds a call in the caller's process and must not change the answer."""

from __future__ import annotations

import numpy as np

__all__ = ["numpy_defaults"]


def numpy_defaults() -> np.errstate:
    """Set how NumPy treats floating-point errors to its own defaults, as context or decorator."""
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
