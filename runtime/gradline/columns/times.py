"""Reading of times: ISO 8601 or a format of strptime, as seconds of the wall clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import DAY, FIRST, LAST
from gradline.errors import InputError

EPOCH = date(1970, 1, 1).toordinal()
OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):?([0-5][0-9])?")
ZONE = r"(?P<z>Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
ISO = re.compile(
    r"(?P<Y>[0-9]{4})(?:-(?P<M>[0-9]{2})|(?P<mark>[-/])(?P<m>[0-9]{2})(?P=mark)(?P<d>[0-9]{2})"
    r"(?:[T ](?P<H>[0-9]{2}):(?P<N>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.[0-9]+)?)?(?: ?"
    + ZONE
    + ")?)?)"
)
MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
#: What each directive of a format reads. Names are English, whatever the computer's language.
DIRECTIVES = {
    "Y": "(?P<Y>[0-9]{4})",
    "y": "(?P<y>[0-9]{2})",
    "m": "(?P<m>[0-9]{1,2})",
    "d": "(?P<d>[0-9]{1,2})",
    "b": f"(?P<b>{'|'.join(month[:3] for month in MONTHS)})",
    "B": f"(?P<b>{'|'.join(MONTHS)})",
    "a": "(?:mon|tue|wed|thu|fri|sat|sun)",
    "A": "(?:mon|tues|wednes|thurs|fri|satur|sun)day",
    "H": "(?P<H>[0-9]{1,2})",
    "I": "(?P<I>[0-9]{1,2})",
    "p": "(?P<p>am|pm)",
    "M": "(?P<N>[0-9]{1,2})",
    "S": "(?P<S>[0-9]{1,2})",
    "f": "[0-9]+",
    "z": ZONE,
    "%": "%",
}


@lru_cache(maxsize=1 << 16)  # a year's days are read in every block of a table
def read_time(text: str, format: str | None = None) -> tuple[int, str | None] | None:
    """Read a time, cleaned, as whole seconds of the wall clock and its offset; None if it is none.

    Without a format it is ISO 8601. The offset is "UTC" or such as "+02:00"; None without one.
    Raises an InputError for a format that is not known.
    """
    match = ISO.fullmatch(text) if format is None else _pattern(format).fullmatch(text)
    if match is None:
        return None
    found = match.groupdict()
    try:
        seconds = _seconds(found)
    except ValueError:  # no such day, or year 0
        return None
    if seconds is None:
        return None
    offset = found.get("z")
    return seconds, None if offset is None else offset_name(offset)


def _seconds(found: Mapping[str, str | None]) -> int | None:
    """Count the seconds since 1970 of the fields of a time; None for an hour such as 25."""
    hour, minute, second = (int(found.get(name) or 0) for name in "HNS")
    if twelve := found.get("I"):
        if not 1 <= int(twelve) <= 12:
            return None
        hour = int(twelve) % 12 + 12 * ((found.get("p") or "am").lower() == "pm")
    if hour > 23 or minute > 59 or second > 59:
        return None
    year = int(found.get("Y") or 0)
    if short := found.get("y"):
        year = int(short) + (1900 if int(short) >= 69 else 2000)  # as POSIX has it
    name = found.get("b")
    month = int(found.get("M") or found.get("m") or 1)
    if name:
        month = next(k for k, m in enumerate(MONTHS, 1) if m.startswith(name.lower()[:3]))
    days = date(year, month, int(found.get("d") or 1)).toordinal() - EPOCH
    return days * DAY + hour * 3600 + minute * 60 + second


@lru_cache(maxsize=64)
def _pattern(format: str) -> re.Pattern[str]:
    """Build the regular expression of a format; raise an InputError for an unknown one."""
    letters = re.findall(r"%(.?)", format.replace("%%", ""))
    unknown = [letter for letter in letters if letter not in DIRECTIVES]
    groups = ["b" if letter == "B" else letter for letter in letters]
    if unknown:
        fault = f"%{unknown[0]} is not known"
    elif len(set(groups)) < len(groups):
        fault = "a directive is there twice"
    elif not {"Y", "y"}.intersection(groups):
        fault = "it has no year"
    else:
        pieces = re.split(r"(%.|\s+)", format)
        return re.compile("".join(map(_piece, pieces)), re.IGNORECASE)
    known = " ".join(f"%{letter}" for letter in DIRECTIVES)
    what = f"the time format {format!r}: {fault}"
    raise InputError(what, code="bad-option", hint=f"use %Y or %y, and any of {known}")


def _piece(piece: str) -> str:
    if piece.startswith("%"):
        return DIRECTIVES[piece[1:]]
    return r"\s+" if piece.isspace() else re.escape(piece)


def check_format(format: str) -> None:
    """Raise an InputError for a time format that `read_time` does not know."""
    _pattern(format)


def offset_name(offset: str) -> str:
    """Write an offset such as "+0200" or "Z" as "+02:00" or "UTC"."""
    minutes = _minutes(offset)
    if not minutes:
        return "UTC"
    return f"{offset[0]}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _minutes(offset: str) -> int:
    match = OFFSET.fullmatch(offset)
    if match is None:  # Z, UTC
        return 0
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return -minutes if match[1] == "-" else minutes


def in_zone(seconds: int, offset: str, zone: str) -> int:
    """Convert the wall clock's seconds at an offset to those of a zone's wall clock."""
    if offset == zone:
        return seconds
    instant = seconds - 60 * _minutes(offset)
    return instant + _offset_at(instant, zone)


def local_seconds(instants: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Convert seconds since 1970 in UTC to those of a zone's wall clock, shape (n,)."""
    if zone == "UTC" or OFFSET.fullmatch(zone):
        return instants + 60 * _minutes(zone)
    return instants + _offsets(instants, zone, DAY)


def _offsets(instants: NDArray[np.int64], zone: str, step: int) -> NDArray[np.int64]:
    """Look up a zone's offset for each day, and within a day in which it changes for each hour."""
    spans, rows = np.unique(instants // step, return_inverse=True)
    first = np.array([_offset_at(span * step, zone) for span in spans.tolist()], np.int64)
    if step == 1:
        return first[rows]
    last = np.array([_offset_at((span + 1) * step - 1, zone) for span in spans.tolist()], np.int64)
    found: NDArray[np.int64] = first[rows]
    changing = (first != last)[rows]
    if changing.any():
        found[changing] = _offsets(instants[changing], zone, 3600 if step == DAY else 1)
    return found


def _offset_at(instant: int, zone: str) -> int:
    """Look up the seconds by which a zone's clocks are ahead of UTC."""
    if zone == "UTC" or OFFSET.fullmatch(zone):
        return 60 * _minutes(zone)
    from zoneinfo import ZoneInfo  # imports much, and few tables have zones with a name

    # Two days within the first and last that `datetime` can hold in any zone.
    inside = min(max(instant, FIRST + 2 * DAY), LAST - 2 * DAY)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=inside)
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def seconds_of(times: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Convert NumPy's times to whole seconds, rounded down, shape (n,); NaT is NaN."""
    whole = times.astype("datetime64[s]")
    found: NDArray[np.float64] = whole.astype(np.int64).astype(np.float64)
    found[np.isnat(whole)] = np.nan
    return found


def date_seconds(value: date) -> tuple[int, str | None]:
    """Take a date's or a datetime's seconds: of its own clock, or in UTC if it has a zone."""
    seconds = (value.toordinal() - EPOCH) * DAY
    if not isinstance(value, datetime):
        return seconds, None
    seconds += value.hour * 3600 + value.minute * 60 + value.second
    offset = value.utcoffset()
    if offset is None:
        return seconds, None
    return seconds - int(offset.total_seconds()), "UTC"


def iso_text(seconds: float, zoned: bool) -> str:
    """Write a time, without the hour if it is midnight."""
    text = str(np.datetime64(int(seconds), "s")).removesuffix("T00:00:00")
    return text + "Z" * zoned
