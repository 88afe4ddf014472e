"""Reading of one text as a number or as a category's level."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from gradline.columns.kinds import BOOLEANS

#: How booleans are written, and the level that each is.
BOOLEAN_TEXTS = {
    spelling: level for level in BOOLEANS for spelling in (level, level.title(), level.upper())
}
#: A whole number with a fraction of zeros, as pandas writes integers in a column with gaps.
WHOLE = re.compile(r"^(-?(?:0|[1-9][0-9]*))\.0+$")
MINUS = "\u2212"
_SIGN = f"[+{MINUS}-]"
_DIGITS = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_EXPONENT = f"(?:[eE]{_SIGN}?[0-9]+)?"
PLAIN = re.compile(f"{_SIGN}?{_DIGITS}{_EXPONENT}")
#: The letters for currencies, as in a class of a regular expression.
CURRENCY = "$¢£¤¥֏؋৲৳৻૱௹฿៛\u20a0-\u20cf﷼﹩＄￠￡￥￦"
_BLANK = "[ \u00a0]?"
#: A number with a currency sign, a percent sign, brackets or thousands marks.
MARKED = re.compile(
    rf"(?P<open>\()?{_BLANK}(?P<sign>{_SIGN})?{_BLANK}(?P<before>[{CURRENCY}])?{_BLANK}"
    rf"(?P<inner>{_SIGN})?"
    rf"(?P<digits>[1-9][0-9]{{0,2}}(?P<mark>[, '\u00a0])[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*"
    rf"(?:\.[0-9]*)?|{_DIGITS}{_EXPONENT})"
    rf"{_BLANK}(?P<percent>%)?{_BLANK}(?P<after>[{CURRENCY}])?{_BLANK}(?P<close>\))?"
)


def clean(text: str) -> str:
    """Strip white space, and compose Unicode's letters (NFC)."""
    text = text.strip()
    return text if text.isascii() else normalize("NFC", text)


def with_points(text: str) -> str:
    """Write a number's decimal comma as a point; a point, which it can't have, as "_"."""
    return text.replace(".", "_").replace(",", ".")


def read_number(text: str, parse: Mapping[str, Any]) -> float | None:
    """Read a number, cleaned, that is plain or written by a column's rule; None if it is none.

    "5%" is 5. A number beyond the range of float64 is infinite.
    """
    if PLAIN.fullmatch(text):
        return float(text.replace(MINUS, "-"))
    if not parse or (found := _marked(text)) is None:
        return None
    marks, value = found
    return value if all(parse.get(key) == mark for key, mark in marks.items()) else None


def marks_of(text: str) -> dict[str, Any] | None:
    """List the marks of a number, cleaned, as the rule to parse it; None if it is no number."""
    if PLAIN.fullmatch(text):
        return {}
    found = _marked(text)
    return None if found is None else found[0]


def _marked(text: str) -> tuple[dict[str, Any], float] | None:
    """Read a number with marks: the marks, and its value."""
    match = MARKED.fullmatch(text)
    if match is None:
        return None
    sign, before, after = match["sign"] or match["inner"], match["before"], match["after"]
    brackets = match["open"] is not None
    twice = (match["sign"] and match["inner"]) or (before and after) or (brackets and sign)
    if twice or brackets != (match["close"] is not None):
        return None
    marks = {
        "brackets": brackets or None,
        "currency": before or after,
        "percent": True if match["percent"] else None,
        "thousands": match["mark"],
    }
    digits = match["digits"].replace(match["mark"] or ",", "").replace(MINUS, "-")
    value = float(digits)
    negative = brackets or (sign is not None and sign != "+")
    return {k: v for k, v in marks.items() if v is not None}, -value if negative else value


def read_level(text: str, is_boolean: bool = False) -> str:
    """Read a category's level, cleaned: 3.0 is 3, and in a boolean column True is true."""
    if is_boolean and text in BOOLEAN_TEXTS:
        return BOOLEAN_TEXTS[text]
    match = WHOLE.match(text)
    if match is None:
        return text
    return "0" if match[1] == "-0" else match[1]
