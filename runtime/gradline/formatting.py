"""Numbers, equations and tables as people read them."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.encoding import Column

__all__ = [
    "and_more",
    "categories",
    "chance",
    "chosen_ridge",
    "count",
    "equations",
    "in_doubt",
    "isolated",
    "label",
    "number",
    "reached",
    "scientific",
    "sides",
    "to_error",
]

TERMS = 8  # an equation shows so many and counts the rest
LETTERS = 40  # of a name that are shown
LEAST = 1e-300  # a probability below it is said to be, also where it is no number of float64


def number(value: float | None) -> str:
    """Return a number to three significant digits; a dash for None."""
    if value is None:
        return "–"
    size = abs(value)
    if size == 0 or 1e-3 <= size < 999.5:
        return f"{value:.3g}"
    if 999.5 <= size < 1e6:
        return f"{value:,.0f}"
    mantissa, _, exponent = scientific(value, 2).partition("e")
    return f"{float(mantissa):g}e{exponent}" if exponent else mantissa


def to_error(value: float | None, error: float | None) -> str:
    """Return a number to the second digit of its standard error, and three digits at least.

    An estimate and the ends of its interval are told apart so, however many rows there were.
    """
    if not value or not error or not math.isfinite(error) or not math.isfinite(value):
        return number(value)
    first, last = math.floor(math.log10(abs(value))), math.floor(math.log10(error)) - 1
    digits = min(max(first - last + 1, 3), 17)
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:,.{max(digits - 1 - first, 0)}f}"
    return scientific(value, digits - 1)


def chance(value: float | None) -> str:
    """Return a probability; one that is too small to be told from 0 is said to be so."""
    return number(value) if value is None or value >= LEAST else f"<{LEAST:g}"


def label(name: str) -> str:
    """Return a column's name as it can stand in a line of a terminal: short, and printable."""
    shown = name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
    return "".join(c if c.isprintable() else "�" for c in shown)


def isolated(name: str) -> str:
    """Return a name's label such that one written from right to left turns no text around it.

    Such a name stands between the marks that Unicode has for this (UAX #9, FSI and PDI); a
    program that writes to pages knows them, a terminal seldom does.
    """
    shown = label(name)
    turns = any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in shown)
    return f"\u2068{shown}\u2069" if turns else shown


def count(amount: int, noun: str) -> str:
    """Return an amount with its noun: "1 row", "2,000 rows"."""
    return f"{amount:,} {noun}{'s' * (amount != 1)}"


def and_more(names: Sequence[str]) -> str:
    """List up to eight names, then count the rest."""
    more = f" and {len(names) - TERMS} more" if len(names) > TERMS else ""
    return ", ".join(names[:TERMS]) + more


def in_doubt(supposed: Sequence[str] | None) -> str:
    """Name the features that a claim about an optimum excludes; return "" if there are none.

    Args:
        supposed: The features that a threshold judged to be linearly dependent.
    """
    if not supposed:
        return ""
    return f" of all features but {and_more([label(name) for name in supposed])}"


def categories(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Return a label and a line for each category: its levels, and which is the reference."""
    lines = []
    for column in columns:
        if column.kind == "category":
            shown = ", ".join(label(level) for level in column.levels[:TERMS])
            more = len(column.levels) - TERMS
            shown += f", … ({more} more)" if more > 0 else ""
            reference = column.reference
            said = "no reference" if reference is None else f"reference {label(reference)}"
            lines.append(("one-hot", f"{label(column.name)}: {shown}; {said}"))
    return lines


def chosen_ridge(path: Mapping[str, Any]) -> str:
    """Return the ridge penalty of a training record's `ridge_path`, and where it comes from."""
    return (
        f"{number(path['chosen'])} (chosen by {path['folds']}-fold cross-validation from "
        f"{len(path['penalties'])})"
    )


def scientific(value: float, digits: int = 3) -> str:
    """Return a number as 1.117e-4."""
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def reached(optimality: Mapping[str, Any]) -> str:
    """Describe where training ended, from the manifest's certificate of optimality."""
    if optimality["converged"]:
        return "reached the optimum"
    # A wide table's gap is null too, but has bounds.
    if "gap" in optimality and optimality["gap"] is None and "gap_at_least" not in optimality:
        return "ended where rounding hides the optimum"
    return "stopped before the optimum"


def float32_error(error: float | None, target: str, limit: float, column: str) -> str:
    """Return what float32 adds to a target's error.

    Args:
        error: Estimate of its root mean square; None or infinite beyond float32's range.
        target: Of the most, by its limit.
        limit: That is allowed.
        column: That most of it comes from.
    """
    if error is None or not math.isfinite(error):
        return f"the column {label(column)} is outside the range of float32"
    return (
        f"adds up to {number(error)} to {label(target)} (limit {number(limit)}, most from "
        f"{label(column)})"
    )


def equations(
    weights: NDArray[Any],
    bias: NDArray[Any],
    features: Sequence[str],
    targets: Sequence[str],
    telling: NDArray[Any] | None = None,
    shown: Callable[[str], str] = label,
) -> list[str]:
    """Return one equation for each target in the columns' own names; see `sides`."""
    both = sides(weights, bias, features, targets, telling, shown)
    width = max(len(left) for left, _ in both)
    return [f"{left:<{width}} = {right}" for left, right in both]


def sides(
    weights: NDArray[Any],
    bias: NDArray[Any],
    features: Sequence[str],
    targets: Sequence[str],
    telling: NDArray[Any] | None = None,
    shown: Callable[[str], str] = label,
) -> list[tuple[str, str]]:
    """Return the two sides of each target's equation; of many features it has the most telling.

    Args:
        weights: W, shape (k, d).
        bias: b, shape (k,).
        features: The d input names.
        targets: The k output names.
        telling: How much each weight tells, shape (k, d): the standardized ones; None where that is
            not known, and the first features are taken.
        shown: What a name is written as.
    """
    return [
        (shown(target), _right_side(row, offset, features, chosen, shown))
        for target, row, offset, chosen in zip(
            targets, weights, bias, _terms(weights, telling), strict=True
        )
    ]


def _terms(weights: NDArray[Any], telling: NDArray[Any] | None) -> list[list[int]]:
    """Return for each target the places of the features that its equation has, in order."""
    k, d = weights.shape
    if telling is None or d <= TERMS:
        return [list(range(min(d, TERMS)))] * k
    sizes = np.nan_to_num(np.abs(telling), posinf=0.0)
    order = np.argsort(-sizes, axis=1, kind="stable")
    return [sorted(chosen.tolist()) for chosen in order[:, :TERMS]]


def _right_side(
    weights: NDArray[Any],
    bias: float,
    features: Sequence[str],
    chosen: Sequence[int],
    shown: Callable[[str], str],
) -> str:
    terms = [
        (float(weights[j]), f"{number(abs(float(weights[j])))}·{shown(features[j])}")
        for j in chosen
        if weights[j]
    ]
    if bias or not terms:
        terms.append((float(bias), number(abs(float(bias)))))
    text = "".join(f" {'-' if sign < 0 else '+'} {term}" for sign, term in terms)
    text = text.removeprefix(" + ").replace(" - ", "-", 1) if text[1] == "-" else text[3:]
    more = len(features) - len(chosen)
    return text + (f" + … ({count(more, 'more feature')})" if more else "")
