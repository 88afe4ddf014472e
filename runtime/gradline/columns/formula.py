"""Parse the terms and targets that people type, such as `log(price):store=B`.

    term    = "*" | factor (":" factor)*
    factor  = name | name "=" level | name " is missing" | name "^" exponent
            | function "(" name ")" | ("category" | part) "(" name ")" "=" level
            | "hinge(" name "," number ")"

A name or level stands in backquotes where it could be misread. `name_of` writes what this reads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from gradline.columns.calendar import PARTS
from gradline.columns.kinds import RARE
from gradline.columns.targets import LogFunction
from gradline.columns.terms import FUNCTIONS, POWERS, SPECIAL, Factor, quoted
from gradline.errors import InputError, in_quotes, nearest, nearest_column

MISSING = " is missing"
WITH_LEVELS = ("category", *PARTS)  # functions whose values have indicators
KNOWN = (*FUNCTIONS, "hinge", *WITH_LEVELS)
MARKS = "`:=(),^*"
BARE = re.compile(rf"[^{re.escape(MARKS)}]*")
QUOTED = re.compile(r"`((?:[^`]|``)*)`")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
EXAMPLES = "terms are such as price, store=B, log(price), month(date) and size:promo"


@dataclass(frozen=True)
class Wanted:
    """What one `-f` asks for: a product of factors, or the default terms.

    A factor is a pattern here: a plain name means the column by its kind, and "category", "month",
    "weekday" or "hour" without a level means all indicators.

    Attributes:
        factors: The factors; none for `*`, the default terms.
        text: The text as typed, for messages.
    """

    factors: tuple[Factor, ...]
    text: str = field(default="", compare=False)

    @property
    def is_default(self) -> bool:
        """Whether the text is `*`."""
        return not self.factors

    @property
    def categories(self) -> list[str]:
        """The columns that `category(NAME)` makes categories, whatever their kind."""
        return [factor.column for factor in self.factors if factor.function == "category"]


def parse_feature(text: str, names: Collection[str], taken: Collection[str] = ()) -> Wanted:
    """Parse what follows `-f`; `names` are the table's columns, no hint suggests those `taken`.

    A column whose very name is the text wins.

    Raises:
        InputError: The text is no term ("bad-term"), or names a column that the table does not
            have ("unknown-column").
    """
    if text in names:
        return Wanted((Factor(text),), text)
    if text.strip() == "*":
        return Wanted((), text)
    if _is_plain(text, names):
        raise _unknown(f"unknown feature {text!r}", text, names, taken)
    try:
        return Wanted(_Parser(text, names).product(), text)
    except InputError as error:
        for repaired in _repairs(text, names):
            raise InputError(
                str(error), code=error.code, hint=f"--feature {in_quotes(repaired)}"
            ) from None
        raise


def parse_target(
    text: str, names: Collection[str], taken: Collection[str] = ()
) -> tuple[str, LogFunction | None]:
    """Parse what follows `-t`: a column, and "log" or "log1p" if the target is its logarithm.

    A column whose very name is the text wins. No hint suggests the names `taken`.

    Raises:
        InputError: The text is neither a column nor one of these functions of a column
            ("bad-target", or "bad-term" if it cannot be read), or names a column that the table
            does not have ("unknown-column").
    """
    if text in names:
        return text, None
    if _is_plain(text, names):
        raise _unknown(f"unknown target {text!r}", text, names, taken)
    factors = _Parser(text, names, "target").product()
    functions: tuple[LogFunction | None, ...] = (None, "log", "log1p")
    for function in functions:
        if factors == (Factor(factors[0].column, function),):
            return factors[0].column, function
    name = quoted(factors[0].column)
    known = [in_quotes(text) for text in (name, f"log({name})", f"log1p({name})")]
    raise InputError(
        f"the target {text!r} is neither a column nor its logarithm",
        code="bad-target",
        hint=f"--target {known[0]}, --target {known[1]} or --target {known[2]}",
    )


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str, names: Collection[str], role: str = "term") -> None:
        self.text = text
        self.names = names
        self.known = set(names)
        self.role = role
        self.at = 0

    def product(self) -> tuple[Factor, ...]:
        """Parse the factors, up to the end of the text."""
        factors = [self.factor()]
        while self.follows(":"):
            factors.append(self.factor())
        if self.at < len(self.text):
            self.fail("':' or the end")
        for place, factor in enumerate(factors):
            if factor in factors[:place]:
                raise InputError(
                    f"the term {self.text!r} names a factor twice", code="bad-term", hint=EXAMPLES
                )
        return tuple(factors)

    def factor(self) -> Factor:
        """Parse one factor."""
        bare = not self.comes("`")
        word = self.word("a column")
        if bare and self.comes("("):
            return self.call(word)
        if self.follows("="):
            return Factor(self.column(word), level=self.level())
        if self.follows("^"):
            return Factor(self.column(word), "power", self.exponent())
        if bare and word.endswith(MISSING):
            return Factor(self.column(word.removesuffix(MISSING).strip()), "missing")
        if not bare and self.follows(MISSING.strip()):
            return Factor(self.column(word), "missing")
        return Factor(self.column(word))

    def call(self, function: str) -> Factor:
        """Parse a function's parentheses, and the level behind them."""
        if function not in KNOWN:
            raise InputError(
                f"the {self.role} {self.text!r} has the unknown function {function!r}",
                code="bad-term",
                hint=nearest(function, KNOWN),
            )
        self.expect("(")
        name, argument = self.column(self.word("a column")), None
        if function == "hinge":
            self.expect(",")
            argument = self.number()
        self.expect(")")
        if function not in WITH_LEVELS or not self.follows("="):
            return Factor(name, function, argument)
        level = self.level() if function == "category" else self.part(function)
        return Factor(name, function, level=level)

    def word(self, expected: str) -> str:
        """Parse a name or level, with or without backquotes."""
        self.skip()
        pattern = QUOTED if self.comes("`") else BARE
        found = pattern.match(self.text, self.at)
        if found is None:
            self.fail("a second backquote", len(self.text))
        word = found[1].replace("``", "`") if pattern is QUOTED else found[0].strip()
        if not word and pattern is BARE:
            self.fail(expected)
        self.at = found.end()
        self.skip()
        return word

    def level(self) -> str:
        """Parse a category's level."""
        return RARE if self.follows(RARE) else self.word("a level")

    def part(self, function: str) -> int:
        """Parse the number of a month, weekday or hour."""
        self.skip()
        start, word = self.at, self.word("a number")
        values = PARTS[function].values
        if not re.fullmatch("[0-9]{1,2}", word) or int(word) not in values:
            first = ", Monday is 0" if function == "weekday" else ""
            self.fail(f"a whole number from {values[0]} to {values[-1]}{first}", start)
        return int(word)

    def exponent(self) -> int:
        """Parse the exponent of a power."""
        self.skip()
        start, word = self.at, self.word("an exponent")
        if word not in map(str, POWERS):
            self.fail(f"a whole exponent from {POWERS[0]} to {POWERS[-1]}", start)
        return int(word)

    def number(self) -> float:
        """Parse the start of a hinge."""
        self.skip()
        start, word = self.at, self.word("a number")
        if not NUMBER.fullmatch(word) or not math.isfinite(float(word)):
            self.fail("a number", start)
        return float(word)

    def column(self, name: str) -> str:
        """Check that the table has a column."""
        if name not in self.known:
            message = f"the {self.role} {self.text!r} names the unknown column {name!r}"
            raise _unknown(message, name, self.names)
        return name

    def comes(self, mark: str) -> bool:
        """Check whether a mark comes next, behind blanks."""
        self.skip()
        return self.text.startswith(mark, self.at)

    def follows(self, mark: str) -> bool:
        """Read a mark if it comes next."""
        found = self.comes(mark)
        if found:
            self.at += len(mark)
            self.skip()
        return found

    def expect(self, mark: str) -> None:
        """Read a mark, or raise."""
        if not self.follows(mark):
            self.fail(repr(mark))

    def skip(self) -> None:
        """Step over blanks."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def fail(self, expected: str, at: int | None = None) -> NoReturn:
        """Raise an error that says what was expected where."""
        place = self.at if at is None else at
        rest = self.text[place : place + 1]
        found = f"{rest!r} at character {place + 1}" if rest else "its end"
        raise InputError(
            f"the {self.role} {self.text!r}: expected {expected}, found {found}",
            code="bad-term",
            hint=EXAMPLES if self.role == "term" else "a target is NAME, log(NAME) or log1p(NAME)",
        )


def _is_plain(text: str, names: Collection[str]) -> bool:
    """Check whether a text can only be a column's name, or several: it has no mark of a term."""
    if not any(mark in text for mark in MARKS):
        return not text.endswith(MISSING)
    return set(names).issuperset(part.strip() for part in text.split(","))


def _unknown(
    message: str, name: str, names: Collection[str], taken: Collection[str] = ()
) -> InputError:
    return InputError(message, code="unknown-column", hint=nearest_column(name, names, taken))


def _repairs(text: str, names: Collection[str]) -> Iterator[str]:
    """Yield texts that were probably meant, and that can be parsed."""
    odd = [name for name in names if name in text and quoted(name) != name]
    candidates = [text.replace(name, quoted(name)) for name in sorted(odd, key=len, reverse=True)]
    before, mark, level = text.partition("=")
    if mark and SPECIAL.search(level):
        candidates.append(f"{before}={quoted(level.strip())}")
    candidates += [text.replace("**", "^"), text.replace("*", ":")]
    for candidate in candidates:
        try:
            _Parser(candidate, names).product()
        except InputError:
            continue
        yield candidate
