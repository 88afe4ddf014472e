"""Make untrusted text safe for a terminal or a page: nothing moves a cursor or hides a word.

Names and values come from tables and packages and may contain anything: escape codes, C1 controls,
marks that change the direction of text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

REPLACED = "�"
#: In UTF-8: C0 except tab and line feed, DEL, C1, direction marks and overrides.
CONTROLS = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xaa-\xae]"
    rb"|\xe2\x81[\xa6-\xa9]"
)
#: Characters that XML forbids or that reorder the rest of a line; isolates end with their element.
NOT_IN_PAGES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """Replace characters that could move a cursor or color a screen."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else REPLACED for c in text)


def printable_lines(text: str) -> str:
    """Apply `printable` to each line."""
    return "\n".join(map(printable, text.split("\n")))


def for_terminal(data: bytes) -> bytes:
    """Replace what could move a cursor or reorder a line in a table's UTF-8 text."""
    return CONTROLS.sub(REPLACED.encode(), data)


def for_page(value: Any) -> Any:
    """Replace what HTML and SVG forbid in a text; return other values unchanged."""
    return NOT_IN_PAGES.sub(REPLACED, value) if type(value) is str else value


def as_json(record: Mapping[str, Any], **options: Any) -> str:
    """Write JSON with unprintable characters as escapes; the decoded text is the same."""
    text = json.dumps(record, ensure_ascii=False, **options)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
