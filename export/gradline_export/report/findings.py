"""What a fit says, in sentences: how well it predicts, and what goes with what.

They claim no cause: a coefficient compares rows that differ in one column and agree in the others.
Intervals are given only where the fit has standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradline.columns.terms import Factor
from gradline.formatting import and_more, count, isolated, number
from gradline_export.report.effects import Effect, Family, Spreads, part_name
from gradline_export.report.figures import round_step, with_ends
from gradline_trainer.result import Fit

LEVEL = 95  # % of intervals
ORDER = ("held_out", "cross_validated", "training")
ON = {
    "held_out": "on rows that were held out",
    "cross_validated": "cross-validated",
    "training": "on the rows that it was trained on",
}
RATHER = {
    "level": "With {column} {level} instead of {baseline}",
    "month": "In {level} instead of {baseline} ({column})",
    "weekday": "On {level} instead of {baseline} ({column})",
    "hour": "At {level} instead of {baseline} ({column})",
}
UNITS = ((180, 365.25, "year"), (15, 30.0, "30 days"), (0, 1.0, "day"))  # from which deviation on


@dataclass(frozen=True)
class Estimate:
    """A coefficient with the ends of its interval, None where it has none."""

    value: float
    lower: float | None = None
    upper: float | None = None

    def times(self, step: float) -> Estimate:
        """Compute it for a step of the term."""
        ends = (None if end is None else end * step for end in (self.lower, self.upper))
        return Estimate(self.value * step, *ends)


def accuracy(metrics: Mapping[str, Any], target: str) -> list[str]:
    """Say how well a target is predicted: on held-out rows, cross-validated, or on training rows.

    `metrics` are the manifest's.
    """
    scored = [(which, (metrics.get(which) or {}).get(target) or {}) for which in ORDER]
    which, found = next(((w, m) for w, m in scored if m.get("r2") is not None), ("", {}))
    sentences = []
    if found:
        sentences.append(_explained(target, found, ON[which]))
    learned, own = next(((w, m) for w, m in scored if m.get("r2_log") is not None), ("", {}))
    if own:
        share = _share(max(own["r2_log"], 0.0))
        sentences.append(f"It explains {share} of those in its logarithm, {ON[learned]}.")
        if not found:
            sentences = [
                f"It explains {share} of the differences in the logarithm of {isolated(target)}, "
                f"{ON[learned]}."
            ]
    return sentences


def accuracy_of_many(metrics: Mapping[str, Any], targets: Sequence[str]) -> list[str]:
    """Say how well many targets are predicted: between which shares, and the worst and the best."""
    which = next((w for w in ORDER if metrics.get(w)), "training")
    shares = {t: (metrics.get(which) or {}).get(t, {}).get("r2") for t in targets}
    known = {t: share for t, share in shares.items() if share is not None}
    if not known:
        return []
    worst, best = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    return [
        f"Of the differences in the {count(len(known), 'target')} it explains from "
        f"{_share(max(known[worst], 0.0))} ({isolated(worst)}) to "
        f"{_share(max(known[best], 0.0))} ({isolated(best)}), {ON[which]}."
    ]


def _explained(target: str, found: Mapping[str, Any], on: str) -> str:
    name, r2, rmse = isolated(target), found["r2"], found["rmse"]
    if r2 <= 0:
        return f"It predicts {name} no better than the mean of {name} would, {on}."
    said = f"It explains {_share(r2)} of the differences in {name}, {on}"
    if not rmse:
        return f"{said}."
    alone = rmse / math.sqrt(1 - r2) if r2 < 1 else None
    without = f", the mean alone by {number(alone)}" if alone else ""
    return f"{said}: a prediction is typically off by {number(rmse)}{without}."


def _share(share: float) -> str:
    """Write a share in percent; nearly all of it is not all of it."""
    percent = 100 * share
    if 0 < percent < 0.5:
        return "less than 1 %"
    if 99.5 <= percent < 100:
        return "more than 99 %"
    return f"{percent:.0f} %"


def strongest(
    fit: Fit,
    target: int,
    effects: Sequence[Effect],
    spreads: Spreads,
    known: Mapping[str, Any],
    most: int = 3,
) -> list[str]:
    """Say what goes with the columns that predictions of a target vary with the most.

    `effects` are sorted, the strongest first; `known` are the target's statistics, if there are
    any; see `Summary.to_dict`.
    """
    return [
        _Sentence(fit, target, effect, spreads, known).written()
        for effect in effects[:most]
        if spreads.spread(target, effect.group.terms) > 0
    ]


@dataclass(frozen=True)
class _Sentence:
    """A sentence about one effect on one target."""

    fit: Fit
    target: int
    effect: Effect
    spreads: Spreads
    known: Mapping[str, Any]

    def written(self) -> str:
        sizes = [self.spreads.spread(self.target, f.terms) for f in self.effect.families]
        family = self.effect.families[int(np.argmax(np.nan_to_num(sizes)))]
        if self._is_shared:
            return self._spread()
        if family.kind in RATHER:
            return self._levels(family)
        if len(family.terms) == 1:
            return self._single(family)
        return self._spread()

    @property
    def _is_shared(self) -> bool:
        """Whether a column of the effect is part of others, which change with it."""
        columns = self.effect.group.columns
        used = [f.column for term in self.fit.columns.plan.terms for f in term if len(term) > 1]
        return len(columns) > 1 or columns[0] in used

    def _estimate(self, term: int) -> Estimate:
        value = float(self.fit.weights[self.target, term])
        ends = (self.known[end][term] if end in self.known else None for end in ("lower", "upper"))
        return Estimate(value, *ends)

    def _levels(self, family: Family) -> str:
        """Compare the level that differs most from the baseline with it."""
        terms = self.fit.columns.plan.terms
        weights = self.fit.weights[self.target].numpy()[list(family.terms)]
        column = isolated(self.effect.group.columns[0])
        names = [isolated(part_name(terms[j])) for j in family.terms]
        if family.baseline is None:
            low, high = int(np.argmin(weights)), int(np.argmax(weights))
            between = Estimate(float(weights[high] - weights[low]))
            start = RATHER[family.kind].format(
                column=column, level=names[high], baseline=names[low]
            )
            return f"{start}, {self._difference(between)}."
        variances = self.spreads.variance[list(family.terms)]
        place = int(np.argmax(np.abs(weights) * np.sqrt(variances)))  # not one that is rare
        estimate = self._estimate(family.terms[place])
        baseline = isolated(family.baseline)
        start = RATHER[family.kind].format(column=column, level=names[place], baseline=baseline)
        if names[place] == "missing":
            start = f"Where {column} is missing, rather than {baseline}"
        return f"{start}, {self._difference(estimate)}."

    def _single(self, family: Family) -> str:
        (place,) = family.terms
        term = self.fit.columns.plan.terms[place]
        name = isolated(self.fit.features[place])
        deviation = float(np.sqrt(self.spreads.variance[place]))
        column, estimate = isolated(term[0].column), self._estimate(place)
        if family.kind == "missing":
            return f"Where {column} is missing, {self._difference(estimate)}."
        if term == (Factor(term[0].column, "time"),):
            _, days, unit = next(unit for unit in UNITS if deviation >= unit[0])
            return f"For each {unit} later in {column}, {self._difference(estimate.times(days))}."
        if term in ((Factor(term[0].column, "log"),), (Factor(term[0].column, "log1p"),)):
            of = column if term[0].function == "log" else f"1 + {column}"
            return f"For 10 % more in {of}, {self._difference(estimate.times(math.log(1.1)))}."
        step_size = round_step(deviation)
        more = f"{step_size:g}" if 1e-3 <= step_size < 1e6 else number(step_size)
        return f"For each {more} more in {name}, {self._difference(estimate.times(step_size))}."

    def _spread(self) -> str:
        terms = self.effect.group.terms
        spread = self.spreads.spread(self.target, terms)
        size = number(spread)
        if self._is_logged:
            size = f"{percent(math.expm1(min(spread, 700.0)))}"
        names = " and ".join(map(isolated, self.effect.group.columns))
        together = f" ({count(len(terms), 'term')} together)" if len(terms) > 1 else ""
        return f"With {names}{together}, predictions of {self._name} vary by ± {size}."

    @property
    def _is_logged(self) -> bool:
        functions = self.fit.target_functions
        return bool(functions) and functions[self.target] is not None

    @property
    def _name(self) -> str:
        function = self.fit.target_functions[self.target] if self._is_logged else None
        name = isolated(self.fit.targets[self.target])
        return f"1 + {name}" if function is not None and function.offset else name

    def _difference(self, estimate: Estimate) -> str:
        """Say how much higher or lower the target is, with an interval."""
        written = _factors if self._is_logged else _units
        return f"{self._name} is {written(estimate)}"


def _units(estimate: Estimate) -> str:
    sign = -1.0 if estimate.value < 0 else 1.0
    word = "lower" if sign < 0 else "higher"
    low, high = estimate.lower, estimate.upper
    if low is None or high is None:
        return f"{number(abs(estimate.value))} {word}"
    value, *ends = with_ends(estimate.value, low, high)
    if low < 0 < high:
        return f"{value} {word} ({LEVEL} % interval: {ends[0]} lower to {ends[1]} higher)"
    return f"{value} {word} ({LEVEL} % interval: {' to '.join(ends[:: int(sign)])})"


def _factors(estimate: Estimate) -> str:
    """Say a difference of logarithms in percent, or as a factor if it is large."""
    limits = [estimate.value, estimate.lower, estimate.upper]
    shares = [None if x is None else math.expm1(min(x, 700.0)) for x in limits]
    known = [share for share in shares if share is not None]
    if max(known) >= 1:
        value, low, high = (None if x is None else f"{number(1 + x)}" for x in shares)
        ends = "" if low is None or high is None else f" ({LEVEL} % interval: {low} to {high})"
        return f"{value} times as high{ends}"
    value, low, high = (None if x is None else percent(abs(x)) for x in shares)
    word = "lower" if estimate.value < 0 else "higher"
    if low is None or high is None or shares[1] is None or shares[2] is None:
        return f"{value} {word}"
    if shares[1] < 0 < shares[2]:
        return f"{value} {word} ({LEVEL} % interval: {low} lower to {high} higher)"
    ends = f"{high} to {low}" if estimate.value < 0 else f"{low} to {high}"
    return f"{value} {word} ({LEVEL} % interval: {ends})"


def percent(share: float) -> str:
    """Write a share of at least 0 in percent."""
    size = 100 * share
    return f"{size:.0f} %" if size >= 10 else f"{size:.2g} %"


def left_out(fit: Fit) -> list[str]:
    """Say which columns are not used and why, and which missing values were filled."""
    found = []
    unused = [decision for decision in fit.columns.decisions if not decision.taken]
    if unused:
        named = [f"{isolated(d.column)} ({d.what.removeprefix('left out: ')})" for d in unused]
        found.append(f"Not used: {and_more(named)}.")
    missing = (
        {s.column.name: s.missing for s in fit.columns.survey.found} if (fit.columns.survey) else {}
    )
    filled = []
    for column in fit.columns.plan.columns:
        if column.fill is not None:
            amount_missing = missing.get(column.name)
            values = f" ({count(amount_missing, 'value')})" if amount_missing else ""
            filled.append(f"{isolated(column.name)}{values}")
    if filled:
        found.append(f"Missing values were filled with the mean: {and_more(filled)}.")
    own = [isolated(column.name) for column in fit.columns.plan.columns if column.missing]
    if own:
        found.append(f"Missing values are a level of their own in {and_more(own)}.")
    return found


def opening(fit: Fit) -> str:
    """Say what is predicted from what."""
    named = and_more(list(map(isolated, fit.targets)))
    columns = [column.name for column in fit.columns.plan.columns]
    source = and_more([isolated(name) for name in columns])
    terms = ""
    if len(fit.features) != len(columns):
        terms = f" ({count(len(fit.features), 'term')})"
    noun = count(len(columns), "column")
    return (
        f"Predicts {named} from {noun}{terms}: {source}. "
        f"Learned from {count(fit.moments.rows, 'row')} by gradient descent."
    )


def how_to_read(undefined: str) -> str:
    """Say what the sentences mean, and why they have no intervals if they have none."""
    meaning = (
        "A difference is between rows that agree in the other columns; it need not be a cause."
    )
    return f"{meaning} No intervals: {undefined}." if undefined else meaning
