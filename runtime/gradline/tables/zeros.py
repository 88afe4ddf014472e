"""Find numbers with leading zeros, such as 01067; a file's bytes rule most files out fast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gradline.tables.files import COMPRESSED
from gradline.tables.lazy_polars import pl
from gradline.tables.opening import readable
from gradline.tables.parts import Part

PIECE = 1 << 18  # bytes, few enough for a processor's cache
CONTEXT = 4  # bytes around a zero: three before it, one behind it
FIRST, LAST = ord("."), ord("9")  # the point, the slash and the digits
EXPONENT = tuple(b"eE")
SIGNS = tuple(b"+-")


def have_leading_zeros(parts: Sequence[Part], names: Sequence[str]) -> bool:
    """Check text files for a number such as 01067 in one of the columns."""
    if not names:
        return False
    found = pl.selectors.by_name(names).str.contains(r"^\s*[+-]?0[0-9]").any()
    for part in (part for part in parts if part.text):
        path = part.path if isinstance(part.path, Path) else None
        if path and path.suffix not in COMPRESSED and not may_have_leading_zero(path):
            continue
        with readable(part.path, part.separator):
            if any(part.frame.select(found).collect(engine="streaming").row(0)):
                return True
    return False


def may_have_leading_zero(path: Path) -> bool:
    """Check for a zero that has a digit after it, and neither digit nor point before it.

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
