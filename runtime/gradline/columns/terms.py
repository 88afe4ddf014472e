"""Terms: what one input of the graph is made of, and how it is named."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import DAY, PARTS
from gradline.columns.kinds import RARE, Column

Array = NDArray[np.float64]
POWERS = range(2, 7)
SPECIAL = re.compile(r"[`:=(),^*]|^\s|\s$")


@dataclass(frozen=True)
class Factor:
    """One factor of a term.

    Attributes:
        column: The column's name.
        function: "log", "log1p", "sqrt", "power", "hinge", "time", "month", "weekday", "hour",
            "missing" or "category"; None for a number itself, or for a level.
        argument: Of "power" a whole number, of "hinge" a number.
        level: A category's level as text, or the number of a month, weekday or hour.
    """

    column: str
    function: str | None = None
    argument: float | int | None = None
    level: str | int | None = None

    @property
    def is_indicator(self) -> bool:
        """Whether the factor is 0 or 1: a level, a part of a time, or a missing value."""
        return self.level is not None or self.function == "missing"

    def place(self, column: Column) -> int:
        """Look up the place of the factor's level among a category's."""
        if self.function == "missing":
            return column.missing_place
        if self.level == RARE and column.rare:
            return column.missing_place + 1
        return column.places[str(self.level)]

    def apply(self, values: Array) -> Array:
        """Apply the function to a number's or a time's values, shape (n,)."""
        if self.function is None:
            return values
        return function_of(self)(values)

    def check(self, column: Column) -> None:
        """Raise ValueError unless the factor fits the column's kind."""
        wrong = {"category": _fault_of_category, "time": _fault_of_time, "number": _fault_of_number}
        if found := wrong[column.kind](self, column):
            raise ValueError(f"{found} of the {column.kind} {self.column!r}")
        _check_argument(self)


def _fault_of_category(factor: Factor, column: Column) -> str | None:
    if factor.function == "missing":
        return None if column.missing and factor.level is None else "no missing value"
    if factor.function not in (None, "category"):
        return factor.function
    if factor.level == RARE and column.rare:
        return None
    level, end = factor.level, column.missing_place  # rare levels have a place behind it
    single = isinstance(level, str) and column.places.get(level, end) < end
    return None if single else f"no level {level!r}"


def _fault_of_time(factor: Factor, _: Column) -> str | None:
    if factor.function in PARTS:
        known = factor.level in PARTS[factor.function].values
        return None if known else f"no {factor.function} {factor.level!r}"
    plain = factor.function in ("time", "missing") and factor.level is None
    return None if plain else f"{factor.function or 'no function'}"


def _fault_of_number(factor: Factor, _: Column) -> str | None:
    if factor.level is not None:
        return "a level"
    return factor.function if factor.function in ("time", "category", *PARTS) else None


Term = tuple[Factor, ...]


def _check_argument(factor: Factor) -> None:
    argument = factor.argument
    if factor.function == "power":
        fits = type(argument) is int and argument in POWERS
    elif factor.function == "hinge":
        fits = isinstance(argument, int | float) and math.isfinite(argument)
    else:
        fits = argument is None
    if not fits:
        raise ValueError(f"{factor.function} of {factor.column!r} with the argument {argument!r}")


def function_of(factor: Factor) -> Callable[[Array], Array]:
    """Look up the function of a factor that is no indicator; outside its domain it gives NaN."""
    if factor.function == "power":
        return partial(_power, exponent=int(factor.argument or 0))
    if factor.function == "hinge":
        return partial(_hinge, start=float(factor.argument or 0))
    return FUNCTIONS[str(factor.function)]


def _log(x: Array) -> Array:
    found: Array = np.log(np.where(x > 0, x, np.nan))
    return found


def _log1p(x: Array) -> Array:
    """Compute log(1 + x), the sum rounded first, as the graph does."""
    return _log(1.0 + x)


def _sqrt(x: Array) -> Array:
    found: Array = np.sqrt(x)
    return found


def _power(x: Array, exponent: int) -> Array:
    found = x
    for _ in range(exponent - 1):
        found = found * x
    return found


def _hinge(x: Array, start: float) -> Array:
    found: Array = np.maximum(x - start, 0.0)
    return found


def _days(seconds: Array) -> Array:
    found: Array = seconds / DAY
    return found


#: Functions of a number or a time, without an argument.
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "log": _log,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "time": _days,
}


def quoted(name: str) -> str:
    """Write a column's or a level's name; one that could be misread stands in backquotes."""
    if SPECIAL.search(name) or name.endswith(" is missing") or not name:
        return "`" + name.replace("`", "``") + "`"
    return name


def name_of(term: Term) -> str:
    """Name a term as people type it; a column's name, verbatim, stands for the column itself."""
    if len(term) == 1 and term[0] == Factor(term[0].column):
        return term[0].column
    return ":".join(map(_named, term))


def _named(factor: Factor) -> str:
    name, function = quoted(factor.column), factor.function
    if function is None:
        return name if factor.level is None else f"{name}={_level(factor.level)}"
    if function == "missing":
        return f"{name} is missing"
    if function == "power":
        return f"{name}^{factor.argument}"
    if function == "hinge":
        return f"hinge({name}, {_shown(factor.argument)})"
    if factor.level is None:
        return f"{function}({name})"
    return f"{function}({name})={_level(factor.level)}"


def _level(level: str | int) -> str:
    if isinstance(level, int) or level == RARE:
        return str(level)
    return quoted(level)


def _shown(argument: float | int | None) -> str:
    number = float(argument or 0)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def dump_term(term: Term) -> list[dict[str, Any]]:
    """Build the JSON list of a term's factors."""
    return [
        {key: value for key, value in vars(factor).items() if value is not None} for factor in term
    ]


def load_term(entry: Any) -> Term:
    """Parse what `dump_term` built; raise ValueError for anything else."""
    if not isinstance(entry, list) or not entry:
        raise ValueError("a term is not a list of factors")
    return tuple(map(_load_factor, entry))


def _load_factor(entry: Any) -> Factor:
    if not isinstance(entry, dict) or not isinstance(entry.get("column"), str):
        raise ValueError("a factor has no column")
    function, level = entry.get("function"), entry.get("level")
    if not {"column", "function", "argument", "level"}.issuperset(entry):
        raise ValueError("a factor has unknown members")
    known = (*FUNCTIONS, *PARTS, "power", "hinge", "missing", "category", None)
    if function not in known:
        raise ValueError(f"the function {function!r} is not known")
    if not (level is None or isinstance(level, str) or type(level) is int):
        raise ValueError(f"the level {level!r} is neither text nor a whole number")
    factor = Factor(entry["column"], function, entry.get("argument"), level)
    _check_argument(factor)
    return factor
