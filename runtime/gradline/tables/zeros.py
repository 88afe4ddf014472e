"""A fast look for numbers with leading zeros, such as 01067, in the bytes of a text file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PIECE = 1 << 18  # bytes, few enough for a processor's cache
CONTEXT = 4  # bytes around a zero: three before it, one behind it
FIRST, LAST = ord("."), ord("9")  # the point, the slash and the digits
EXPONENT = tuple(b"eE")
SIGNS = tuple(b"+-")


def may_have_leading_zero(path: Path) -> bool:
    """Check whether some digit follows a zero that follows no digit and no point.

    Exponents such as 1e-05 do not count. If the answer is no, no field has a leading zero.
    """
    with path.open("rb") as file:
        before = b"\n" * CONTEXT
        while piece := file.read(PIECE):
            if _has_zero(np.frombuffer(before + piece, np.uint8)):
                return True
            before = (before + piece)[-CONTEXT:]
    return False


def _has_zero(found: NDArray[np.uint8]) -> bool:
    odd = found[3:-1] == ord("0")
    odd &= (found[4:] - np.uint8(ord("0"))) < 10
    odd &= (found[2:-2] - np.uint8(FIRST)) > LAST - FIRST
    if not odd.any():
        return False
    places = np.flatnonzero(odd) + 3
    signs = np.isin(found[places - 1], SIGNS) & np.isin(found[places - 2], EXPONENT)
    bare = np.isin(found[places - 1], EXPONENT)
    return not (signs | bare).all()
