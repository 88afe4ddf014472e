"""Group a column's terms by kind, and measure how much predictions vary with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import PARTS
from gradline.columns.kinds import Column
from gradline.columns.terms import Factor, Term, name_of
from gradline.explain.groups import Group, groups_of
from gradline_trainer.moments.moments import Moments
from gradline_trainer.result import Fit
from gradline_trainer.terms.blocks import part_block

Array = NDArray[np.float64]
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MISSING = "missing"


@dataclass(frozen=True)
class Family:
    """Terms of one kind in a group.

    Attributes:
        kind: "level", "month", "weekday" or "hour" for indicators that exclude each other;
            "missing" for the indicator of a missing number or time; "number" for functions of one
            column; "product" for products.
        terms: The places of the terms among the graph's inputs.
        baseline: The level without an indicator; None if there is none or it is unknown.
    """

    kind: str
    terms: tuple[int, ...]
    baseline: str | None = None


@dataclass(frozen=True)
class Effect:
    """A group of terms, divided into families."""

    group: Group
    families: tuple[Family, ...]

    @property
    def name(self) -> str:
        """The name of the group: its column's, or its columns' joined by ":"."""
        return self.group.name

    @property
    def is_single(self) -> bool:
        """Whether it is a single term, and no indicator."""
        return len(self.group.terms) == 1 and self.families[0].kind in ("number", "product")

    def shown_name(self, fit: Fit) -> str:
        """Name the effect in a table: a single term by itself, such as "log(price)"."""
        return fit.features[self.group.terms[0]] if self.is_single else self.name


def effects_of(fit: Fit) -> list[Effect]:
    """Divide a fit's terms by column, in the table's order; products of columns come last."""
    terms = fit.columns.plan.terms
    known = {column.name: column for column in fit.columns.plan.columns}
    found = []
    for group in groups_of(fit.columns.plan):
        families: dict[str, list[int]] = {}
        for place in group.terms:
            families.setdefault(_kind(terms[place], known), []).append(place)
        column = known[group.columns[0]]
        found.append(
            Effect(
                group,
                tuple(
                    Family(kind, tuple(places), _baseline(fit, kind, places, column))
                    for kind, places in families.items()
                ),
            )
        )
    return found


def part_name(term: Term) -> str:
    """Name a term below its column: a level by itself, a month as people say it."""
    first = term[0]
    if len(term) > 1 or not first.is_indicator:
        return name_of(term)
    return MISSING if first.function == "missing" else _level_name(first)


def _level_name(factor: Factor) -> str:
    if factor.function in PARTS:
        place = int(factor.level or 0)
        return {
            "month": lambda: MONTHS[place - 1],
            "weekday": lambda: WEEKDAYS[place],
            "hour": lambda: f"{place}:00",
        }[factor.function]()
    return str(factor.level)


def _kind(term: Term, known: dict[str, Column]) -> str:
    first = term[0]
    if len(term) > 1:
        return "product"
    if first.function in PARTS:
        return str(first.function)
    if known[first.column].kind == "category":
        return "level"
    return "missing" if first.function == "missing" else "number"


def _baseline(fit: Fit, kind: str, places: Sequence[int], column: Column) -> str | None:
    """Find the level that the others are compared with."""
    if kind == "level":
        return column.reference
    if kind not in PARTS or fit.options.ridge or not fit.options.bias:
        return None
    terms = fit.columns.plan.terms
    absent = set(PARTS[kind].values) - {terms[place][0].level for place in places}
    if len(absent) > 1:
        survey = fit.columns.survey
        found = [s for s in survey.found if s.column.name == column.name] if survey else []
        counted = bool(found) and kind in found[0].parts
        reference = part_block(found[0], kind).reference if counted else None
        absent &= {reference.level} if reference is not None else set()
    return _level_name(Factor(column.name, kind, level=absent.pop())) if len(absent) == 1 else None


@dataclass(frozen=True)
class Spreads:
    """How much predictions vary with terms: the deviation of their contributions.

    It is taken over the training rows, in units of the target or of its logarithm.

    Attributes:
        weights: W, shape (k, d).
        variance: Of each term, shape (d,).
        covariance: Of all terms, shape (d, d); None for a wide table.
        of_targets: The deviations of the targets, shape (k,).
    """

    weights: Array
    variance: Array
    covariance: Array | None
    of_targets: Array

    @classmethod
    def of(cls, fit: Fit) -> Spreads:
        """Take the variances from a fit's moments."""
        moments, d = fit.moments, len(fit.features)
        squares = moments.squares / moments.weight
        covariance = moments.comoment if isinstance(moments, Moments) else None
        return cls(
            fit.weights.numpy(),
            squares[:d],
            None if covariance is None else covariance[:d, :d] / moments.weight,
            np.sqrt(squares[d:]),
        )

    def spread(self, target: int, terms: Sequence[int]) -> float:
        """Compute the deviation of what some terms contribute; NaN for several of a wide table."""
        places = list(terms)
        weights = self.weights[target, places]
        with np.errstate(all="ignore"):
            if len(places) == 1:
                return float(np.abs(weights[0]) * np.sqrt(self.variance[places[0]]))
            if self.covariance is None:
                return math.nan
            squared = float(weights @ self.covariance[np.ix_(places, places)] @ weights)
            return math.sqrt(squared) if squared > 0 else 0.0

    def share(self, target: int, terms: Sequence[int]) -> float:
        """Compute the spread as a share of the target's deviation; 0 if it is unknown."""
        deviation = self.of_targets[target]
        with np.errstate(all="ignore"):
            found = self.spread(target, terms) / deviation if deviation else 0.0
        return float(found) if np.isfinite(found) else 0.0

    def strongest(self, target: int, effects: Sequence[Effect]) -> list[Effect]:
        """Sort effects by how much a target's predictions vary with them, the strongest first."""
        with np.errstate(all="ignore"):
            alone = np.abs(self.weights[target]) * np.sqrt(self.variance)
        sizes = np.zeros(len(effects))
        for i, effect in enumerate(effects):
            terms = effect.group.terms
            sizes[i] = alone[terms[0]] if len(terms) == 1 else self.spread(target, terms)
        order: list[int] = np.argsort(-np.nan_to_num(sizes, posinf=0.0), kind="stable").tolist()
        return [effects[i] for i in order]
