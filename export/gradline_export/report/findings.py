"""Describe a fit in sentences: how well it predicts, and how targets differ with the columns.

The sentences claim no cause: a coefficient compares rows that differ in one column and agree in the
others. They give intervals only if the fit has standard errors.
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
from gradline_export.report.figures import Estimate, in_percent, in_units, percent, round_step
from gradline_trainer.result import Fit

ORDER = ("held_out", "cross_validated", "training")
ON = {
    "held_out": "on rows that were held out",
    "cross_validated": "cross-validated",
    "training": "on the rows that it was trained on",
}
COMPARED = {
    "level": "With {column} {level} instead of {baseline}",
    "month": "In {level} instead of {baseline} ({column})",
    "weekday": "On {level} instead of {baseline} ({column})",
    "hour": "At {level} instead of {baseline} ({column})",
}
#: Units of a slope in time: the least deviation in days, the unit's days, and its name.
UNITS = ((180, 365.25, "year"), (15, 30.0, "30 days"), (0, 1.0, "day"))


def accuracy(metrics: Mapping[str, Any], target: str) -> list[str]:
    """Say how well a target is predicted: on held-out rows, cross-validated, or on training rows.

    `metrics` are the manifest's.
    """
    scored = [(which, (metrics.get(which) or {}).get(target) or {}) for which in ORDER]
    which, found = next(((w, m) for w, m in scored if m.get("r2") is not None), ("", {}))
    sentences = (
        [_explained(isolated(target), found["r2"], found["rmse"], ON[which])] if found else []
    )
    learned, own = next(((w, m) for w, m in scored if m.get("r2_log") is not None), ("", {}))
    if own:
        named = f"the logarithm of {isolated(target)}"
        sentences.append(_explained(named, own["r2_log"], None, ON[learned]))
    return sentences


def accuracy_of_many(metrics: Mapping[str, Any], targets: Sequence[str]) -> list[str]:
    """Say how well many targets are predicted: the worst and the best."""
    which = next((w for w in ORDER if metrics.get(w)), "training")
    scores = {t: (metrics.get(which) or {}).get(t, {}) for t in targets}
    shares = {
        t: m.get("r2") if m.get("r2") is not None else m.get("r2_log") for t, m in scores.items()
    }
    known = {t: share for t, share in shares.items() if share is not None}
    if not known:
        return []
    worst, best = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    return [
        f"It explains from {_share(max(known[worst], 0.0))} ({isolated(worst)}) to "
        f"{_share(max(known[best], 0.0))} ({isolated(best)}) of the differences in the "
        f"{count(len(known), 'target')}, {ON[which]}."
    ]


def _explained(name: str, r2: float, rmse: float | None, on: str) -> str:
    if r2 <= 0:
        return f"It predicts {name} no better than the mean would, {on}."
    said = f"It explains {_share(r2)} of the differences in {name}, {on}"
    if not rmse:
        return f"{said}."
    alone = rmse / math.sqrt(1 - r2) if r2 < 1 else None
    without = f", the mean alone by {number(alone)}" if alone else ""
    return f"{said}: a prediction is typically off by {number(rmse)}{without}."


def _share(share: float) -> str:
    """Write a share in percent, without rounding to 0 or 100 %."""
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
    """Describe the strongest effects on a target, a sentence each.

    `effects` are sorted, the strongest first. `known` are the target's statistics, empty if there
    are none; see `Summary.to_dict`.
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
        if family.kind in COMPARED:
            return self._levels(family)
        if len(family.terms) == 1:
            return self._single(family)
        return self._spread()

    @property
    def _is_shared(self) -> bool:
        """Whether another effect has a column of this one, so that both change together."""
        columns = self.effect.group.columns
        used = [f.column for term in self.fit.columns.plan.terms for f in term if len(term) > 1]
        return len(columns) > 1 or columns[0] in used

    def _estimate(self, term: int) -> Estimate:
        value = float(self.fit.weights[self.target, term])
        ends = (self.known[end][term] if end in self.known else None for end in ("lower", "upper"))
        return Estimate(value, *ends)

    def _is_undetermined(self, term: int) -> bool:
        """Whether the rows determine other coefficients, but not this one."""
        errors = self.known.get("standard_error", [])
        return bool(errors) and errors[term] is None and any(error is not None for error in errors)

    def _unknown(self) -> str:
        column = isolated(self.effect.name)
        return f"No difference is given for {column}, because other columns determine it."

    def _levels(self, family: Family) -> str:
        """Compare the baseline with the level that predictions vary with most."""
        terms = self.fit.columns.plan.terms
        weights = self.fit.weights[self.target].numpy()[list(family.terms)]
        column = isolated(self.effect.group.columns[0])
        names = [isolated(part_name(terms[j])) for j in family.terms]
        if family.baseline is None:
            low, high = int(np.argmin(weights)), int(np.argmax(weights))
            between = Estimate(float(weights[high] - weights[low]))
            start = COMPARED[family.kind].format(
                column=column, level=names[high], baseline=names[low]
            )
            return f"{start}, {self._difference(between)}."
        sizes = np.abs(weights) * np.sqrt(self.spreads.variance[list(family.terms)])
        sizes[[self._is_undetermined(j) for j in family.terms]] = -1
        place = int(np.argmax(sizes))  # a rare level has a small variance
        estimate = self._estimate(family.terms[place])
        if sizes[place] < 0:
            return self._unknown()
        baseline = isolated(family.baseline)
        start = COMPARED[family.kind].format(column=column, level=names[place], baseline=baseline)
        if terms[family.terms[place]][0].function == "missing":
            start = f"If {column} is missing instead of {baseline}"
        return f"{start}, {self._difference(estimate)}."

    def _single(self, family: Family) -> str:
        (place,) = family.terms
        term = self.fit.columns.plan.terms[place]
        name = isolated(self.fit.features[place])
        deviation = float(np.sqrt(self.spreads.variance[place]))
        column, estimate = isolated(term[0].column), self._estimate(place)
        if self._is_undetermined(place):
            return self._unknown()
        if family.kind == "missing":
            return f"If {column} is missing, {self._difference(estimate)}."
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
        written = in_percent if self._is_logged else in_units
        return f"{self._name} is {written(estimate)}"


def left_out(fit: Fit) -> list[str]:
    """Say which columns are not used and why, and which missing values were filled."""
    found = []
    unused = [decision for decision in fit.columns.decisions if not decision.taken]
    if unused:
        reasons = [f"{isolated(d.column)} ({d.what.removeprefix('left out: ')})" for d in unused]
        found.append(f"Not used: {and_more(reasons)}.")
    filled = [column.name for column in fit.columns.plan.columns if column.fill is not None]
    if (survey := fit.columns.survey) is None and filled:
        named = and_more(list(map(isolated, filled)))
        found.append(f"A missing value is filled with the mean: {named}.")
    elif survey is not None:
        counts = {seen.column.name: seen.missing for seen in survey.found}
        values = [f"{isolated(n)} ({count(counts[n], 'value')})" for n in filled if counts.get(n)]
        if values:
            found.append(f"Missing values were filled with the mean: {and_more(values)}.")
    own = [isolated(column.name) for column in fit.columns.plan.columns if column.missing]
    if own:
        found.append(f"Missing values are a level of their own in {and_more(own)}.")
    return found


def opening(fit: Fit) -> str:
    """Say which targets are predicted from which columns."""
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
