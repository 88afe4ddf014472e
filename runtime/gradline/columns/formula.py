"""Targets as people type them: a column, or the logarithm of one."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

FUNCTION = re.compile(r"\s*(log|log1p)\(\s*(.+?)\s*\)\s*", re.DOTALL)
QUOTED = re.compile(r"`((?:[^`]|``)*)`")
LogFunction = Literal["log", "log1p"]


def parse_target(text: str, names: Collection[str]) -> tuple[str, LogFunction | None]:
    """Split `log(NAME)` or `log1p(NAME)` into column and function; the column `text` wins."""
    found = FUNCTION.fullmatch(text)
    if text in names or found is None:
        return text, None
    function: LogFunction = "log" if found[1] == "log" else "log1p"
    quoted = QUOTED.fullmatch(found[2])
    if quoted is None or found[2] in names:
        return found[2], function
    return quoted[1].replace("``", "`"), function
