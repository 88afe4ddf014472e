"""Format numbers, names and equations for people."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the commands' help needs no NumPy
    from numpy.typing import NDArray

    from gradline.columns.kinds import Column

TERMS = 8  # of a list that are shown; the rest are counted
EQUATION_TERMS = 20  # of an equation
PLAIN = "number"  # what is decided about a column of plain numbers
LETTERS = 40  # of a name that are shown
LEAST = 1e-300  # smaller probabilities, and those that float64 rounds to 0, are only called smaller


def number(value: float | None) -> str:
    """Write a number to three significant digits; a dash for None."""
    if value is None:
        return "–"
    size = abs(value)
    if size == 0 or 1e-3 <= size < 999.5:
        return f"{value:.3g}"
    if 999.5 <= size < 1e6:
        return f"{value:,.0f}"
    mantissa, _, exponent = scientific(value, 2).partition("e")
    return f"{float(mantissa):g}e{exponent}" if exponent else mantissa


def precise(value: float, tolerance: float) -> str:
    """Write a number to three digits, or as many as bring it within the tolerance."""
    if not math.isfinite(value) or abs(float(number(value).replace(",", "")) - value) <= tolerance:
        return number(value)
    for digits in range(3, 17):
        rounded = float(f"{value:.{digits}g}")
        if abs(rounded - value) <= tolerance:
            break
    if 1e-3 <= abs(value) < 1e6:
        decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
        return f"{rounded:,.{decimals}f}"
    return scientific(rounded, digits - 1)


def to_error(value: float | None, error: float | None) -> str:
    """Write a number to the second digit of its standard error, and at least three digits."""
    if not value or not error or not math.isfinite(error) or not math.isfinite(value):
        return number(value)
    first, last = math.floor(math.log10(abs(value))), math.floor(math.log10(error)) - 1
    digits = min(max(first - last + 1, 3), 17)
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:,.{max(digits - 1 - first, 0)}f}"
    return scientific(value, digits - 1)


def chance(value: float | None) -> str:
    """Write a probability; one too small to tell from 0 becomes "<1e-300"."""
    return number(value) if value is None or value >= LEAST else f"<{LEAST:g}"


def label(name: str) -> str:
    """Shorten a column's name and replace what is not printable."""
    name = name or "(no name)"
    shown = name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
    return "".join(c if c.isprintable() else "�" for c in shown)


def isolated(name: str) -> str:
    """Write a label between Unicode's isolates (UAX #9) if it is a right-to-left text.

    Otherwise it would reorder the text around it. Browsers respect isolates, most terminals do not.
    """
    shown = label(name)
    turns = any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in shown)
    return f"\u2068{shown}\u2069" if turns else shown


def count(amount: int, noun: str) -> str:
    """Write an amount with its noun: "1 row", "2,000 rows"."""
    return f"{amount:,} {noun}{'s' * (amount != 1)}"


def and_more(names: Sequence[str]) -> str:
    """List up to eight names, then count the rest."""
    more = f" and {len(names) - TERMS} more" if len(names) > TERMS else ""
    return ", ".join(names[:TERMS]) + more


def in_doubt(supposed: Sequence[str] | None) -> str:
    """Name the features, judged dependent by a threshold, that a claim of an optimum excludes."""
    if not supposed:
        return ""
    return f" of all features but {and_more([label(name) for name in supposed])}"


def categories(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Describe each category: a label, and a line with its levels and its reference."""
    lines = []
    for column in columns:
        if column.kind == "category":
            levels = ", ".join(label(level) for level in column.levels[:TERMS])
            more = len(column.levels) - TERMS
            levels += f", … ({more} more)" if more > 0 else ""
            reference = "no reference"
            if column.reference is not None:
                reference = f"reference {label(column.reference)}"
            lines.append(("one-hot", f"{label(column.name)}: {levels}; {reference}"))
    return lines


def chosen_ridge(path: Mapping[str, Any]) -> str:
    """Write the ridge penalty of a training record's `ridge_path`, and how it was chosen."""
    by = f"chosen by {path['folds']}-fold cross-validation from {len(path['penalties'])}"
    return f"{number(path['chosen'])} ({by})"


def scientific(value: float, digits: int = 3) -> str:
    """Write a number as 1.117e-4."""
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
    """Describe the error (RMS) that float32 adds to the target that it affects most."""
    if error is None or not math.isfinite(error):
        return f"the column {label(column)} is outside the range of float32"
    reason = f"limit {number(limit)}, most from {label(column)}"
    return f"adds up to {number(error)} to {label(target)} ({reason})"


def equation_sides(
    weights: NDArray[Any],
    bias: NDArray[Any],
    features: Sequence[str],
    targets: Sequence[str],
    importance: NDArray[Any] | None = None,
    written: Callable[[str], str] = label,
    tolerances: NDArray[Any] | None = None,
    most: int = EQUATION_TERMS,
) -> list[tuple[str, str]]:
    """Write both sides of each target's equation from W (k, d) and b (k,).

    Of more than `most` features, those with the largest `importance` (k, d) are shown, or the
    first. A number has three digits, or as many as its tolerance asks for; `tolerances` (k, d + 1)
    ends with the biases'.
    """
    import numpy as np

    if tolerances is None:
        tolerances = np.full((len(weights), len(features) + 1), np.inf)
    rows = zip(targets, weights, bias, _terms(weights, importance, most), tolerances, strict=True)
    return [
        (written(target), _right_side([*row, offset], features, chosen, written, limits))
        for target, row, offset, chosen, limits in rows
    ]


def free_name(name: str, taken: Collection[str]) -> str:
    """Append underscores to a name until it is not taken."""
    while name in taken:
        name += "_"
    return name


def equation_lines(sides: Sequence[tuple[str, str]]) -> list[str]:
    """Write the sides of equations as lines, their equals signs below each other."""
    width = max((len(left) for left, _ in sides), default=0)
    return [f"{left:<{width}} = {right}" for left, right in sides]


def _terms(weights: NDArray[Any], importance: NDArray[Any] | None, most: int) -> list[list[int]]:
    """Choose for each target the indices of the features in its equation, in order."""
    import numpy as np

    k, d = weights.shape
    if importance is None or d <= most:
        return [list(range(min(d, most)))] * k
    sizes = np.nan_to_num(np.abs(importance), posinf=0.0)
    order = np.argsort(-sizes, axis=1, kind="stable")
    return [sorted(chosen.tolist()) for chosen in order[:, :most]]


def _right_side(
    coefficients: Sequence[float],
    features: Sequence[str],
    chosen: Sequence[int],
    written: Callable[[str], str],
    tolerances: Sequence[float],
) -> str:
    """Write the terms of one target; the last coefficient and tolerance are the bias's."""
    *weights, bias = map(float, coefficients)
    terms = [
        (weights[j], f"{precise(abs(weights[j]), tolerances[j])}·{written(features[j])}")
        for j in chosen
        if weights[j]
    ]
    if bias or not terms:
        terms.append((bias, precise(abs(bias), tolerances[-1])))
    text = "".join(f" {'-' if sign < 0 else '+'} {term}" for sign, term in terms)
    text = text.removeprefix(" + ").replace(" - ", "-", 1) if text[1] == "-" else text[3:]
    more = len(features) - len(chosen)
    return text + (f" + … ({count(more, 'more feature')})" if more else "")
