"""The columns whose values a report plots residuals against: those with the strongest effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import DAY
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.rows.rows import Rows

Array = NDArray[np.float64]
MOST = 8
#: From a term of a column alone to the column's values.
BACK: dict[str | None, Callable[[Array], Array]] = {
    None: lambda x: x,
    "log": np.exp,
    "log1p": np.expm1,
    "sqrt": np.square,
    "time": lambda days: days * DAY,
}


@dataclass(frozen=True)
class ShownColumns:
    """Some of a plan's columns.

    Attributes:
        plan: The plan.
        places: Their places among its columns, the strongest effect first.
    """

    plan: Plan
    places: tuple[int, ...]

    @classmethod
    def of(cls, plan: Plan, moments: Moments | ColumnMoments, weights: Array) -> ShownColumns:
        """Choose the columns whose terms have the strongest effects, for W (k, d)."""
        d = weights.shape[1]
        deviations = np.sqrt(moments.squares)
        with np.errstate(all="ignore"):
            effects = np.square(weights * deviations[:d] / deviations[d:, None])
        of_terms = np.nan_to_num(effects, posinf=0.0).max(axis=0)
        places = {column.name: place for place, column in enumerate(plan.columns)}
        used, terms = [], []
        for j, term in enumerate(plan.terms):
            for factor in term:
                used.append(places[factor.column])
                terms.append(j)
        found = np.bincount(used, of_terms[terms], len(places))
        return cls(plan, tuple(np.argsort(-found, kind="stable")[:MOST].tolist()))

    def values(self, rows: Rows, part: slice) -> Array:
        """Take the columns' values of some rows, as `Plan.compute` takes them; (rows, columns)."""
        places = list(self.places)
        if rows.plan is not None:
            return rows.pieces[0][part][:, places].astype(np.float64)
        features = rows.features[part]
        if self.plan.is_plain:
            return features[:, places].astype(np.float64)
        found = [self._recovered(self.plan.columns[place], features) for place in places]
        return np.stack(found, axis=1)

    def _recovered(self, column: Column, features: Array) -> Array:
        """Recover a column's values from its terms; NaN if none tells them."""
        found = np.full(len(features), np.nan)
        if column.reference is not None:
            found[:] = column.places[column.reference]
        for j, (factor, *others) in enumerate(self.plan.terms):
            if others or factor.column != column.name:
                continue
            if column.kind == "category":
                found[features[:, j] == 1] = factor.place(column)
            elif factor.level is None and factor.function in BACK:
                return BACK[factor.function](features[:, j])
        return found
