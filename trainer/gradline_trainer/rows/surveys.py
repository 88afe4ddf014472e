"""Count what a column of text holds, block by block, in bounded memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradline.columns.kinds import NUMBER_NULLS
from gradline.columns.levels import level_of
from gradline.columns.texts import clean, marks_of, with_points
from gradline.columns.times import check_format, read_time
from gradline.tables.lazy_polars import pl

MOST = 1000  # levels of a category, by default
KEPT = 20_000  # different texts of each sort that are counted one by one, at least
LEADING_ZERO = r"^[+\-\u2212]?0[0-9]"
_ZERO = re.compile(LEADING_ZERO)
#: Days before months or months before days, with an hour or without.
DAYS = re.compile(r"[0-9]{1,2}([/.-])[0-9]{1,2}\1[0-9]{4}(?: [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?")
Marks = tuple[tuple[str, Any], ...]  # of a number, as the rule to parse it


class Texts:
    """Counts of different texts, one by one until they are too many."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.counts: Counter[str] | None = Counter()
        self.rows = 0

    def add(self, counts: Mapping[str, int], rows: int) -> None:
        """Add the rows of each text."""
        self.rows += rows
        if self.counts is not None:
            self.counts.update(counts)
            if len(self.counts) > self.most:
                self.counts = None

    def merge(self, other: Texts) -> None:
        """Add another's counts."""
        self.add(other.counts or {}, other.rows)
        if other.counts is None:
            self.counts = None


class Counted:
    """Counts of the values of one column; surveys of different rows can be merged.

    Args:
        nulls: Text that also means a missing value (`--null`).
        separator: Of the text file; None for any other table. Only where it is a comma can a
            comma be a thousands mark.
        decimal_comma: Whether 1,5 means one and a half.
        time_format: How times are written (`--time-format`), in the letters of strptime.
        most: How many levels a category may have by default.
    """

    def __init__(
        self,
        nulls: Sequence[str] = (),
        *,
        separator: str | None = None,
        decimal_comma: bool = False,
        time_format: str | None = None,
        most: int = MOST,
    ) -> None:
        if time_format is not None:
            check_format(time_format)
        self.nulls = tuple(dict.fromkeys(clean(text) for text in nulls if clean(text)))
        self.separator, self.decimal_comma, self.time_format = separator, decimal_comma, time_format
        self.most = most
        self.is_typed = False  # a category by its type
        self.tokens: Counter[str] = Counter()  # missing values, and what may be one
        kept = max(KEPT, 4 * most)
        self.plain, self.marked, self.other = Texts(kept), Texts(kept), Texts(kept)
        self.zeros = 0  # rows whose text has a leading zero
        self.commas = 0  # rows with a decimal comma
        self.rules: Counter[Marks] = Counter()  # rows of numbers by their marks
        self.times: Counter[str | None] = Counter()  # rows of times by their offset
        self.formats: Counter[str] = Counter()  # rows that a format with days and months reads

    def add(self, values: pl.Series | Sequence[str | None]) -> None:
        """Count the values of more training rows."""
        series = values if isinstance(values, pl.Series) else pl.Series(values=values)
        self.tokens[""] += series.null_count()
        series = series.drop_nulls()
        if series.dtype in (pl.Categorical, pl.Enum):
            self.is_typed = True
            series = series.cast(pl.String)
        distinct = series.alias("text").value_counts(name="count")
        if series.dtype != pl.String:
            self._add_typed(distinct)
            return
        texts, counts = distinct["text"], distinct["count"]
        plain = self._is_plain(texts)
        self.zeros += int(counts.filter(plain & texts.str.contains(LEADING_ZERO)).sum())
        self._count(self.plain, texts.filter(plain), counts.filter(plain))
        rest = distinct.filter(~plain)
        for text, count in zip(rest["text"].to_list(), rest["count"].to_list(), strict=True):
            self._add_text(clean(text), count)

    def _is_plain(self, texts: pl.Series) -> pl.Series:
        """Find the plain numbers that Polars can read, which takes a tenth of the time."""
        if self.decimal_comma:
            return pl.Series(values=[False] * len(texts), dtype=pl.Boolean)
        numbers = texts.cast(pl.Float64, strict=False)
        return numbers.is_finite().fill_null(False) & ~texts.is_in(list(self.nulls))

    def _count(self, group: Texts, texts: pl.Series, counts: pl.Series) -> None:
        each = {} if group.counts is None else dict(zip(texts, counts, strict=True))
        group.add(each, int(counts.sum()))

    def _add_typed(self, distinct: pl.DataFrame) -> None:
        """Count the levels of a column that is a category by its type or by request."""
        self.is_typed = True
        for value, count in distinct.rows():
            if value != value:  # NaN
                self.tokens[""] += count
            else:
                self.other.add({level_of(value): count}, count)

    def _add_text(self, text: str, count: int) -> None:
        if not text or text in NUMBER_NULLS or text in self.nulls:
            self.tokens[text] += count
            return
        self.zeros += count * bool(_ZERO.match(text))
        marks = marks_of(with_points(text) if self.decimal_comma else text)
        if self.separator and not self.decimal_comma and marks_of(with_points(text)) == {}:
            self.commas += count
        if marks is not None:
            self.rules[tuple(sorted(marks.items()))] += count
        elif time := read_time(text, self.time_format):
            self.times[time[1]] += count
        else:
            for form in _day_formats(text):
                self.formats[form] += count * (read_time(text, form) is not None)
        group = self.plain if marks == {} else self.other if marks is None else self.marked
        group.add({text: count}, count)

    def merge(self, other: Counted) -> None:
        """Add the counts of other training rows."""
        self.is_typed |= other.is_typed
        self.zeros += other.zeros
        self.commas += other.commas
        for mine, further in zip(self._counters, other._counters, strict=True):
            mine.update(further)
        for texts, more in zip(self._groups, other._groups, strict=True):
            texts.merge(more)

    @property
    def _counters(self) -> tuple[Counter[Any], ...]:
        return self.tokens, self.rules, self.times, self.formats

    @property
    def _groups(self) -> tuple[Texts, ...]:
        return self.plain, self.marked, self.other


def _day_formats(text: str) -> Iterator[str]:
    """List the formats, days first and months first, that may read a text."""
    match = DAYS.fullmatch(text)
    if match is None:
        return
    hours = " %H:%M" * (" " in text) + ":%S" * (match[2] is not None)
    for first, second in ("dm", "md"):
        yield f"%{first}{match[1]}%{second}{match[1]}%Y{hours}"
