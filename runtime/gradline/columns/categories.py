"""Category values of any type, as the text of their level.

The integer 3, the float 3.0 and the texts "3" and "3.0" are all the level "3". A boolean is "true"
or "false". Text loses its surrounding blanks; empty text is missing, like None and NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.carriers import Distinct, Times, carry, distinct_of
from gradline.columns.levels import level_of_format_1
from gradline.columns.matrix import is_missing
from gradline.columns.unreadable import Unreadable, unknown_category
from gradline.errors import InputError

#: Maps a category's text to its place; raises KeyError with the known texts for any other.
PlaceOf = Callable[[str], float]


def texts_of(values: object, name: str) -> list[str | None]:
    """Convert a column's values of any carrier to text, None if missing."""
    carried = carry(values, name)
    if isinstance(carried, Times):
        what = f"the column {name!r} holds dates, expected categories"
        raise InputError(what, code="not-a-category", hint="give text, integers or booleans")
    found = carried if isinstance(carried, Distinct) else distinct_of(carried)
    texts = [*(_text(value, name) for value in found.values), None]
    return [texts[row] for row in found.rows.tolist()]


def _text(value: Any, name: str) -> str | None:
    if isinstance(value, str):
        return level_of_format_1(value.strip()) or None
    if is_missing(value):
        return None
    try:
        return level_of_format_1(value.item() if isinstance(value, np.generic) else value)
    except Unreadable as fault:
        what = f"the column {name!r} holds {type(value).__name__}: {value!r}, expected categories"
        raise InputError(what, code=fault.code, hint=fault.hint) from None


def places_of(
    texts: Sequence[str | None],
    name: str,
    place_of: PlaceOf,
    label: str = "the table",
    start: int = 0,
) -> NDArray[np.float64]:
    """Look up each text's place, NaN for None, shape (n,).

    `place_of` is called once for each distinct text, in the order of the rows, which begin at the
    row `start` of the table. Its KeyError becomes an UnknownCategoryError.
    """
    places: dict[str | None, float] = {}
    for text in dict.fromkeys(texts):
        try:
            places[text] = np.nan if text is None else place_of(text)
        except KeyError as error:
            row, known = start + texts.index(text), error.args[0]
            raise unknown_category(name, str(text), known, row, label) from None
    return np.array([places[text] for text in texts], np.float64)
