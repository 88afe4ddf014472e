"""Decide what a column of text is: numbers, times or categories, from all its training rows.

The decision depends on the values and their counts alone, not on the order of the rows or on how
they are divided into blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from gradline.columns.kinds import NULLS, NUMBER_NULLS, Column
from gradline.columns.texts import BOOLEAN_TEXTS, marks_of, read_level, with_points
from gradline.columns.times import read_time
from gradline.errors import InputError, in_quotes
from gradline.tables.lazy_polars import pl
from gradline_trainer.terms.surveys import Counted

TypedKind = Literal["number", "time", "category", "text", "nested"]
SHOWN = 3  # odd values
#: How dates are often written with a month's name, tried if a column is no number and no time.
NAMED_MONTHS = (
    *("%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y"),
    *("%B %d %Y", "%B %d, %Y", "%d %B %Y"),
)


def typed_kind(dtype: Any) -> TypedKind:
    """Decide the kind of a Polars type; "text" needs a `TextSurvey`, "nested" is none."""
    if dtype.is_numeric() or dtype == pl.Null:
        return "number"
    if dtype == pl.Date or isinstance(dtype, pl.Datetime) or dtype == pl.Datetime:
        return "time"
    if dtype == pl.String:
        return "text"
    if dtype in (pl.Boolean, pl.Categorical, pl.Enum):
        return "category"
    return "nested"


@dataclass(frozen=True)
class Found:
    """What a column's training rows hold.

    Attributes:
        column: Its kind and how to read it; a category has its levels and its reference.
        counts: The training rows of each level of a category.
        missing: How many training rows have no value, odd ones included.
        present: How many have one.
        odd: Up to three of the values that are no numbers and count as missing.
        odd_count: How many training rows have such a value.
        reason: Why the column is left out by default, although rows have a value; else None.
    """

    column: Column
    counts: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0
    present: int = 0
    odd: Sequence[str] = ()
    odd_count: int = 0
    reason: str | None = None


class TextSurvey(Counted):
    """Counts of one column's training rows, and the decision what it is; see `Counted`."""

    def decide(self, name: str, *, as_category: bool = False) -> Found:
        """Decide what the column `name` is; `as_category` if it was asked for as a category.

        Raises:
            InputError: If the format of times that was given does not read every value.
        """
        if self.is_typed or as_category:
            return self._category(name, None)
        found = self._times(name) or self._numbers(name)
        return found or self._category(name, self._option(name))

    @property
    def present(self) -> int:
        """The rows with a value, unless it is one that is missing among numbers or times."""
        return sum(texts.rows for texts in self._groups)

    def _missing(self, tokens: Sequence[str]) -> tuple[tuple[str, ...], int]:
        """List the texts for missing values; count the training rows that have one."""
        nulls = tuple(dict.fromkeys((*tokens, *self.nulls)))
        return nulls, sum(self.tokens[text] for text in ("", *nulls))

    # Numbers

    def _numbers(self, name: str) -> Found | None:
        """Describe the column if at least 90 % of its values are numbers, by one rule."""
        if not self.present or self.zeros:
            return None
        rule = self._rule()
        numbers = self._reads(rule)
        if 10 * numbers < 9 * self.present:
            return None
        odd = self._odd(rule) if numbers < self.present else {}
        if odd is None:  # too many to record
            return None
        nulls, missing = self._missing(NUMBER_NULLS)
        column = Column(name, null=(*nulls, *sorted(odd)), parse=rule)
        odd_count = self.present - numbers
        shown = sorted(odd, key=lambda text: (-odd[text], text))[:SHOWN]
        return Found(column, {}, missing + odd_count, numbers, shown, odd_count)

    def _rule(self) -> dict[str, Any]:
        """Choose the rule that reads the most rows, of those that the numbers' marks allow."""
        marks = [dict(each) for each in self.rules]
        signs = sorted({m["currency"] for m in marks if "currency" in m})
        thousands = sorted({m["thousands"] for m in marks if "thousands" in m})
        if self.separator not in (",", None):
            thousands = [mark for mark in thousands if mark != ","]
        rules: Iterable[dict[str, Any]] = (
            {"currency": sign, "thousands": mark, "percent": True, "brackets": True}
            for sign, mark in product(signs or [None], thousands or [None])
        )
        best = max(rules, key=self._reads)
        used: dict[str, Any] = {}
        for each in marks:
            if _fits(each, best):
                used |= each
        return dict(sorted(used.items()))

    def _reads(self, rule: Mapping[str, Any]) -> int:
        """Count the rows whose number a rule reads."""
        marked = (rows for marks, rows in self.rules.items() if _fits(dict(marks), rule))
        return self.plain.rows + sum(marked)

    def _odd(self, rule: Mapping[str, Any]) -> dict[str, int] | None:
        """Count the rows of each text that a rule does not read; None if they are too many."""
        odd: dict[str, int] = {}
        if any(not _fits(dict(marks), rule) for marks in self.rules):
            if self.marked.counts is None:
                return None
            odd = {t: n for t, n in self.marked.counts.items() if not self._is_read(t, rule)}
        if self.other.rows:
            if self.other.counts is None:
                return None
            odd |= self.other.counts
        return odd

    def _is_read(self, text: str, rule: Mapping[str, Any]) -> bool:
        marks = marks_of(with_points(text) if self.decimal_comma else text)
        return marks is not None and _fits(marks, rule)

    # Times

    def _times(self, name: str) -> Found | None:
        """Describe the column if all of its values are times, and all or none have a zone."""
        form = self.time_format
        if self.present and form is not None and self._count_times() < self.present:
            raise self._unread(name, form)
        if not self.present:
            return None
        if form is None and self._count_times() < self.present:
            whole = [f for f in self._whole_formats() if "%H" not in f]
            if len(whole) != 1:
                return None
            form, zone = whole[0], None
        elif self._mixes_zones:
            return None
        else:
            offsets = list(self.times)
            zone = offsets[0] if len(offsets) == 1 else "UTC"
        nulls, missing = self._missing(NUMBER_NULLS)
        column = Column(name, "time", null=nulls, format=form, zone=zone)
        return Found(column, {}, missing, self.present)

    def _count_times(self) -> int:
        return sum(self.times.values())

    @property
    def _mixes_zones(self) -> bool:
        return None in self.times and len(self.times) > 1

    def _whole_formats(self) -> list[str]:
        """List the formats with days and months that read every value, days first."""
        return sorted(form for form, rows in self.formats.items() if rows == self.present)

    def _named_months(self) -> list[str]:
        """Find the format with a month's name that reads every value, if there is one."""
        texts = self.other.counts
        if not texts or self.other.rows < self.present:
            return []
        return [f for f in NAMED_MONTHS if all(read_time(text, f) for text in texts)][:1]

    def _unread(self, name: str, form: str) -> InputError:
        texts = [text for group in self._groups for text in group.counts or ()]
        odd = [repr(text) for text in sorted(texts) if read_time(text, form) is None][:SHOWN]
        rows = self.present - self._count_times()
        what = f"{rows} of {self.present} values of the column {name!r} are no times written as "
        what += f"{form}" + (f", such as {', '.join(odd)}" if odd else "")
        option = f"--time-format {in_quotes(f'{name}=FORMAT')}"
        hint = f"give the format that the column has with {option}, or the "
        hint += "texts that mean missing with --null TOKEN"
        return InputError(what, code="not-a-time", hint=hint)

    # Categories

    def _option(self, name: str) -> str | None:
        """Tell why the text would be numbers or times, and by which option; None if by none."""
        if not self.present:
            return None
        if 10 * (self.plain.rows + self.commas) >= 9 * self.present and self.commas:
            return "would be numbers with --decimal-comma"
        if whole := self._whole_formats() or self._named_months():
            options = (f"--time-format {in_quotes(f'{name}={form}')}" for form in whole)
            return f"would be dates with {' or '.join(options)}"
        if self._mixes_zones and self._count_times() == self.present:
            return "times with and without a zone"
        return None

    def _category(self, name: str, reason: str | None) -> Found:
        """Describe the column as a category."""
        nulls, missing = self._missing(NULLS)
        column = Column(name, "category", missing=missing > 0, null=nulls)
        counts = self._levels(nulls)
        present = self.present + sum(self.tokens.values()) - missing
        too_many = f"more than {self.most} levels"
        if counts is None:
            return Found(column, {}, missing, present, reason=reason or too_many)
        if not counts:
            return Found(column, {}, missing)
        reference = min(counts, key=lambda level: (-counts[level], level))
        column = Column(name, "category", tuple(counts), reference, missing=missing > 0, null=nulls)
        if reason is None and self.is_text and len(counts) == present > 1:
            reason = "text that is all different"
        if reason is None and len(counts) + column.missing > self.most:
            reason = too_many
        return Found(column, counts, missing, present, reason=reason)

    def _levels(self, nulls: Sequence[str]) -> dict[str, int] | None:
        """Count the rows of each level, sorted; None if there are too many to count."""
        texts = Counter({t: n for t, n in self.tokens.items() if n and t and t not in nulls})
        for group in self._groups:
            if group.counts is None:
                return None
            texts.update(group.counts)
        is_boolean = set(texts) <= set(BOOLEAN_TEXTS)
        levels: Counter[str] = Counter()
        for text, count in texts.items():
            levels[read_level(text, is_boolean)] += count
        return dict(sorted(levels.items()))


def _fits(marks: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    """Check whether a rule reads numbers with these marks."""
    return all(rule.get(key) == mark for key, mark in marks.items())
