"""Count what a column of text holds, block by block, in bounded memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gradline.columns.kinds import NUMBER_NULLS
from gradline.columns.levels import level_of
from gradline.columns.texts import CURRENCY, PLAIN, clean, marks_of, with_points
from gradline.columns.times import check_format, offset_name, read_time
from gradline.tables.lazy_polars import pl
from gradline.tables.values import ISO_OFFSET, iso_days

MOST = 1000  # levels of a category, by default
KEPT = 20_000  # different texts of each sort that are counted one by one, at least
_SIGNS = r"[(+\-\u2212 \u00a0]*"
LEADING_ZERO = f"^{_SIGNS}[{CURRENCY}]?{_SIGNS}0[0-9]"
_ZERO = re.compile(LEADING_ZERO)
#: Days before months or months before days, with an hour or without.
DAYS = re.compile(r"[0-9]{1,2}([/.-])[0-9]{1,2}\1[0-9]{4}(?: [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?")
#: Letters that neither a plain number nor a time of ISO 8601 has.
WORDS = "[A-DF-SU-Ya-df-z]"
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

    def add_many(self, rows: int) -> None:
        """Add the rows of more different texts than are counted one by one."""
        self.rows += rows
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
        separator: Of the text file; None for any other table. In a file with another separator
            than the comma, a comma is no thousands mark, since it may be the decimal sign.
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
        self.is_text = True  # its levels are text
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
        series = series.alias("").drop_nulls()  # an expression takes ^b$ for a pattern
        if series.is_empty():  # its type may be Null
            return
        if series.dtype in (pl.Categorical, pl.Enum):
            self.is_typed = True
            series = series.cast(pl.String)
        if series.dtype == pl.String and self.plain.counts is None:
            series = self._without_plain(series)
        distinct = series.alias("text").value_counts(name="count")
        if series.dtype != pl.String:
            self._add_typed(distinct)
            return
        distinct = self._take(distinct, self._is_plain(distinct["text"]), self._add_plain)
        if distinct.is_empty():  # the usual case: each further look takes a millisecond
            return
        if not self._has_odd_tokens:
            distinct = self._take(distinct, self._is_word(distinct["text"]), self._add_words)
            distinct = self._take(distinct, iso_days(distinct["text"]).is_not_null(), self._add_iso)
            distinct = self._add_marked(distinct)
        for text, count in distinct.rows():
            self._add_text(clean(text), count)

    def _take(
        self, distinct: pl.DataFrame, chosen: pl.Series, add: Callable[[pl.DataFrame], None]
    ) -> pl.DataFrame:
        """Count some of the texts together; return the others."""
        if not chosen.any():
            return distinct
        add(distinct.filter(chosen))
        return distinct.filter(~chosen)

    def _without_plain(self, texts: pl.Series) -> pl.Series:
        """Count plain numbers whose texts are not counted one by one; return the other texts."""
        plain = self._is_plain(texts)
        numbers = texts.filter(plain)
        self.zeros += int(numbers.str.contains(LEADING_ZERO).sum())
        self.plain.add_many(len(numbers))
        return texts.filter(~plain)

    @property
    def _has_odd_tokens(self) -> bool:
        """Whether a number or a time stands for a missing value, or times have another format."""
        return self.time_format is not None or any(map(re.compile("[0-9]").search, self.nulls))

    def _is_plain(self, texts: pl.Series) -> pl.Series:
        """Find the plain numbers that Polars can read, which takes a tenth of the time."""
        if self.decimal_comma:
            return pl.Series(values=[False] * len(texts), dtype=pl.Boolean)
        numbers = texts.cast(pl.Float64, strict=False)
        return numbers.is_finite().fill_null(False) & ~texts.is_in(list(self.nulls))

    def _is_word(self, texts: pl.Series) -> pl.Series:
        """Find texts without digits, or with letters that no number and no time has."""
        words = texts.str.contains(WORDS) | ~texts.str.contains("[0-9]")
        return words & ~texts.str.strip_chars().is_in(["", *NUMBER_NULLS, *self.nulls])

    def _add_plain(self, distinct: pl.DataFrame) -> None:
        zeros = distinct["text"].str.contains(LEADING_ZERO)
        self.zeros += int(distinct["count"].filter(zeros).sum())
        self._add_to(self.plain, distinct)

    def _add_words(self, distinct: pl.DataFrame) -> None:
        """Count texts that are neither numbers nor times."""
        zeros = distinct["text"].str.contains(LEADING_ZERO)
        self.zeros += int(distinct["count"].filter(zeros).sum())
        self._add_to(self.other, distinct)

    def _add_iso(self, distinct: pl.DataFrame) -> None:
        """Count times in the usual form of ISO 8601, by their offset."""
        zones = distinct["text"].str.extract(ISO_OFFSET, 1).alias("zone")
        zeros = distinct["text"].str.starts_with("0")
        self.zeros += int(distinct["count"].filter(zeros).sum())
        for zone, count in distinct.group_by(zones).agg(pl.col("count").sum()).rows():
            self.times[zone and offset_name(zone)] += count
        self._add_to(self.other, distinct)

    def _add_marked(self, distinct: pl.DataFrame) -> pl.DataFrame:
        """Count numbers with marks, by what they look like; return the other texts.

        Which rule reads a number depends on its digits only in whether the first is 0.
        """
        texts = distinct["text"]
        shapes = texts.str.replace_all("[0-9]", "9")
        zero = texts.str.contains("^[^0-9]*0")
        shapes = shapes.zip_with(~zero, shapes.str.replace("9", "0", literal=True))
        known = [s for s in shapes.unique().to_list() if self._marks(clean(s)) is not None]
        numbers = shapes.is_in(known)
        for (shape,), like in distinct.filter(numbers).group_by(shapes.filter(numbers)):
            text = clean(str(shape))
            self._add_number(text, int(like["count"].sum()))
            self._add_to(self.marked if self._marks(text) else self.plain, like)
        return distinct.filter(~numbers)

    def _add_to(self, group: Texts, distinct: pl.DataFrame) -> None:
        texts = distinct["text"]
        if len(texts) > group.most and texts.str.strip_chars().n_unique() > group.most:
            group.add_many(int(distinct["count"].sum()))
            return
        cleaned = () if group.counts is None else map(clean, texts.to_list())
        counts: Counter[str] = Counter()
        for text, count in zip(cleaned, distinct["count"].to_list(), strict=False):
            counts[text] += count
        group.add(counts, int(distinct["count"].sum()))

    def _add_typed(self, distinct: pl.DataFrame) -> None:
        """Count the levels of a column that is a category by its type or by request."""
        self.is_typed = True
        self.is_text = False
        for value, count in distinct.rows():
            if value != value:  # NaN
                self.tokens[""] += count
            else:
                self.other.add({level_of(value): count}, count)

    def _marks(self, text: str) -> dict[str, Any] | None:
        return marks_of(with_points(text) if self.decimal_comma else text)

    def _add_number(self, text: str, count: int) -> None:
        """Count the rows of a number by its marks; `text` may have other digits."""
        marks = self._marks(text)
        self.zeros += count * bool(_ZERO.match(text))
        if marks:
            self.rules[tuple(sorted(marks.items()))] += count
        self._add_comma(text, count)

    def _add_comma(self, text: str, count: int) -> None:
        if self.separator and not self.decimal_comma and "," in text:
            self.commas += count * bool(PLAIN.fullmatch(with_points(text)))

    def _add_text(self, text: str, count: int) -> None:
        if not text or text in NUMBER_NULLS or text in self.nulls:
            self.tokens[text] += count
            return
        if (marks := self._marks(text)) is not None:
            self._add_number(text, count)
            (self.marked if marks else self.plain).add({text: count}, count)
            return
        self.zeros += count * bool(_ZERO.match(text))
        self._add_comma(text, count)
        if time := read_time(text, self.time_format):
            self.times[time[1]] += count
        for form in _day_formats(text):
            self.formats[form] += count
        self.other.add({text: count}, count)

    def merge(self, other: Counted) -> None:
        """Add the counts of other training rows."""
        self.is_typed |= other.is_typed
        self.is_text &= other.is_text
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


@lru_cache(maxsize=1 << 16)
def _day_formats(text: str) -> tuple[str, ...]:
    """List the formats, days first and months first, that read a text."""
    match = DAYS.fullmatch(text)
    if match is None:
        return ()
    hours = " %H:%M" * (" " in text) + ":%S" * (match[2] is not None)
    forms = [f"%{a}{match[1]}%{b}{match[1]}%Y{hours}" for a, b in ("dm", "md")]
    return tuple(form for form in forms if read_time(text, form) is not None)
