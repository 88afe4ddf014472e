"""Isolation from settings of the caller's process that must not change the answer."""

from __future__ import annotations

from functools import partial

import numpy as np

#: Resets NumPy's floating-point error handling; use a call as context manager or decorator.
numpy_defaults = partial(np.errstate, divide="warn", over="warn", under="ignore", invalid="warn")
