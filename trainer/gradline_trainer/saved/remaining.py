"""Describe what is left of a table after some of its rows are subtracted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import PARTS
from gradline.columns.terms import Factor
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.surveyed import Surveyed, fill_of
from gradline_trainer.saved.combining import K, weight_with, with_found, with_reference
from gradline_trainer.saved.differences import found_of

MOST = 2.0**-26  # the largest relative rounding of a difference: half of float64's digits


def remaining(whole: SavedMoments, part: SavedMoments) -> Columns:
    """Describe what is left of the whole's columns; levels that no row has any more go.

    Raises:
        ValueError: If the part has more rows of something than the whole.
    """
    columns, ours, theirs = whole.columns, found_of(whole.columns), found_of(part.columns)
    survey = columns.survey
    assert survey is not None  # noqa: S101 - see `with_terms`
    weights = {name: [weight_with(one, name) for one in (whole, part)] for name in ours}
    found = tuple(_rest(ours[name], theirs[name], *weights[name]) for name in ours)
    return with_found(columns, replace(survey, found=found), columns.plan)


def _rest(whole: Surveyed, part: Surveyed, weight: float, removed: float) -> Surveyed:
    name = whole.column.name
    counts = _subtracted(whole.counts, part.counts, f"{name}=")
    if part.missing > whole.missing:
        raise ValueError(f"it has more rows without {name!r}")
    missing = whole.missing - part.missing
    column = whole.column
    if column.kind == "category":
        levels = tuple(sorted(counts)) or column.levels[:1]
        column = with_reference(replace(column, levels=levels), counts)
        column = replace(column, missing=column.missing and missing > 0)
    left = weight - removed
    mean = (weight * whole.mean - removed * part.mean) / left if left > 0 else math.nan
    return replace(
        whole,
        column=column,
        rows=whole.rows - part.rows,
        missing=missing,
        counts=counts,
        parts={
            name: _subtracted(known, part.parts.get(name, {}), f"{name}({column.name})=")
            for name, known in whole.parts.items()
        },
        minimum=whole.minimum if column.kind == "time" else math.nan,
        maximum=whole.maximum if column.kind == "time" else math.nan,
        mean=mean,
    )


def _subtracted(whole: Mapping[K, int], part: Mapping[K, int], prefix: str) -> dict[K, int]:
    """Subtract counts; what has none left goes."""
    more = next((key for key, count in part.items() if count > whole.get(key, 0)), None)
    if more is not None:
        raise ValueError(f"it has more rows of {prefix}{more}")
    left = {key: count - part.get(key, 0) for key, count in whole.items()}
    return {key: count for key, count in left.items() if count}


def still_known(saved: SavedMoments) -> list[str]:
    """Say what a subtraction cannot forget."""
    survey = saved.columns.survey
    if survey is None or not np.isnan(saved.moments.minimum).any():
        return []
    return [
        f"the days of {found.column.name!r}, and its first and last time, are those of the whole"
        for found in survey.found
        if found.column.kind == "time"
    ]


def refilled(columns: Columns) -> Columns:
    """Fill missing values with the mean of what is left, unless the model's terms are fixed."""
    survey = columns.survey
    assert survey is not None  # noqa: S101 - see `with_terms`
    if survey.fixed is not None:
        return columns
    found = tuple(_refilled(one) for one in survey.found)
    return with_found(columns, replace(survey, found=found), columns.plan)


def _refilled(found: Surveyed) -> Surveyed:
    column = found.column
    if column.fill is None:
        return found
    fill = fill_of(column, found.mean) if found.missing else None
    return replace(found, column=replace(column, fill=fill))


@dataclass(frozen=True)
class Indicators:
    """Which of p columns are 0 or 1, and which are 0 because an indicator is.

    Attributes:
        binary: Products of indicators, shape (p,).
        absent: Products with an indicator that no row has any more, shape (p,).
        within: For other products the place of their indicators' product, or −1, shape (p,).
    """

    binary: NDArray[np.bool_]
    absent: NDArray[np.bool_]
    within: NDArray[np.intp]

    @classmethod
    def of(cls, columns: Columns) -> Indicators:
        """Find the indicators among the terms; targets have none."""
        survey, terms = columns.survey, columns.plan.terms
        assert survey is not None  # noqa: S101 - it has terms
        found = {one.column.name: one for one in survey.found}
        places = {frozenset(term): place for place, term in enumerate(terms)}
        inner = [frozenset(factor for factor in term if factor.is_indicator) for term in terms]
        p = len(terms) + len(columns.targets)
        none = cls.nowhere(p)
        for j, (term, own) in enumerate(zip(terms, inner, strict=True)):
            none.binary[j] = len(own) == len(set(term))
            none.absent[j] = any(_is_absent(factor, found[factor.column]) for factor in own)
            none.within[j] = -1 if none.binary[j] else places.get(own, -1)
        return none

    @classmethod
    def nowhere(cls, p: int) -> Indicators:
        """Suppose that no column is an indicator, as in format 1."""
        return cls(np.zeros(p, np.bool_), np.zeros(p, np.bool_), np.full(p, -1, np.intp))

    def constant(self, left: Moments, whole: Moments) -> tuple[NDArray[np.bool_], ...]:
        """Find the columns that are 0 in all rows that are left, and those that are 1."""
        none = self.absent | (self.binary & (left.mean <= MOST * whole.mean))
        none |= (self.within >= 0) & none[self.within]
        every = self.binary & ~none & (1 - left.mean <= MOST * (1 - whole.mean))
        return none, every


def _is_absent(factor: Factor, found: Surveyed) -> bool:
    if factor.function in PARTS:
        return factor.level not in found.parts[factor.function]
    return factor.function == "missing" and not found.missing
