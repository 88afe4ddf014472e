"""Lay out effects and coefficients by column, with the levels and parts of each below it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.formatting import number
from gradline_export.report.effects import Effect, Family, Spreads, part_name
from gradline_export.report.figures import percent, with_ends
from gradline_trainer.result import Fit

Array = NDArray[np.float64]
MOST_COLUMNS = 30  # in a table; those with the strongest effects
MOST_PARTS = 10  # of a column in the main table; more are folded
MOST_FOLDED = 1_500  # coefficients in folded tables, over all targets
IN_PICTURE = 12  # columns in the picture of effects
PARTS_IN_PICTURE = 6  # of each
BY_TERM = ("standard_error", "t", "p", "lower", "upper")
OF_A_ROW = {"head": False, "part": False, "baseline": False, "folded": False}


@dataclass(frozen=True)
class Target:
    """One target of a fit, with the statistics of its coefficients.

    Attributes:
        fit: The fit.
        place: The target's place, k.
        effects: The effects of all columns, the strongest first.
        spreads: How much predictions vary with terms.
        standardized: Each term's weight in deviations, shape (d,).
        known: Its statistics by term; see `Summary.to_dict`.
        vif: Each term's variance inflation factor; None if not known.
    """

    fit: Fit
    place: int
    effects: Sequence[Effect]
    spreads: Spreads
    standardized: Array
    known: Mapping[str, Any]
    vif: Sequence[float | None] | None

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Lay out the table of coefficients, and a folded table of each column with many parts."""
        found, folded = [], list[dict[str, Any]]()
        room = MOST_FOLDED
        for effect in self.effects[:MOST_COLUMNS]:
            if effect.is_single:
                found.append(self._row(effect.group.terms[0], effect.shown_name(self.fit)))
                continue
            parts = self._parts(effect)
            found.append(self._head(effect, len(effect.group.terms) > MOST_PARTS))
            if len(parts) <= MOST_PARTS + 1:
                found += parts
            elif len(parts) <= room:
                room -= len(parts)
                folded.append({"name": effect.name, "rows": parts})
        if self.fit.options.bias:
            row = OF_A_ROW | {"name": "bias", "weight": float(self.fit.bias[self.place])}
            row |= {"scaled": None}
            row |= {key: self.known[key][-1] for key in BY_TERM if key in self.known}
            found.append(row | {"vif": None})
        return found, folded

    def _head(self, effect: Effect, folded: bool) -> dict[str, Any]:
        """Make the row of a column with parts: the effect of all of them together."""
        together = self.spreads.share(self.place, effect.group.terms)
        return OF_A_ROW | {
            "name": effect.name,
            "head": True,
            "parts": len(effect.group.terms),
            "folded": folded,
            "scaled": together or None,
        }

    def _parts(self, effect: Effect) -> list[dict[str, Any]]:
        found = []
        for family in effect.families:
            if family.baseline is not None:
                named = {"name": family.baseline, "part": True, "baseline": True}
                found.append(OF_A_ROW | named)
            found += [
                self._row(j, part_name(self.fit.columns.plan.terms[j])) | {"part": True}
                for j in self._in_order(family)
            ]
        return found

    def _in_order(self, family: Family) -> list[int]:
        """Sort levels and products by weight, the largest first; times keep their order."""
        terms = list(family.terms)
        if family.kind not in ("level", "product"):
            return terms
        sizes = -self.fit.weights[self.place].numpy()[terms]
        return [terms[i] for i in np.argsort(sizes, kind="stable").tolist()]

    def _row(self, j: int, name: str) -> dict[str, Any]:
        row = OF_A_ROW | {"name": name, "weight": float(self.fit.weights[self.place, j])}
        row |= {key: self.known[key][j] for key in BY_TERM if key in self.known}
        row |= {"scaled": float(self.standardized[j]), "vif": self.vif[j] if self.vif else None}
        return row

    def picture(self) -> list[dict[str, Any]]:
        """Lay out the picture of effects: a bar for each column, and a point for each part.

        A row has a name, and a difference with its interval or, for a column with parts, how much
        predictions vary with it. `zero`, `bar`, `point` and `interval` are places in percent of the
        picture's width.
        """
        rows = []
        for effect in self.effects[:IN_PICTURE]:
            spread = self.spreads.spread(self.place, effect.group.terms)
            if not math.isfinite(spread):
                continue
            row: dict[str, Any] = {"name": effect.shown_name(self.fit), "spread": spread}
            if effect.is_single:
                j = effect.group.terms[0]
                row |= self._estimate(j, float(np.sqrt(self.spreads.variance[j])))
                rows.append(row)
                continue
            rows.append(row | self._parts_below(effect))
            for family in effect.families:
                rows += self._points(family)
        return self._placed(rows)

    def _parts_below(self, effect: Effect) -> dict[str, Any]:
        shown = sum(min(len(family.terms), PARTS_IN_PICTURE) for family in effect.families)
        baselines = [family.baseline for family in effect.families if family.baseline is not None]
        return {"more": len(effect.group.terms) - shown, "baselines": baselines}

    def _points(self, family: Family) -> list[dict[str, Any]]:
        """Make the rows of the parts with the strongest effects, in the table's order."""
        weights = np.abs(self.fit.weights[self.place].numpy()[list(family.terms)])
        chosen = np.argsort(-weights, kind="stable")[:PARTS_IN_PICTURE].tolist()
        strongest = {family.terms[i] for i in chosen}
        rows = []
        for j in self._in_order(family):
            if j in strongest:
                name = part_name(self.fit.columns.plan.terms[j])
                deviation = float(np.sqrt(self.spreads.variance[j]))
                step = deviation if family.kind in ("number", "product") else 1.0
                rows.append({"name": name, "part": True} | self._estimate(j, step))
        return rows

    def _estimate(self, j: int, step: float) -> dict[str, Any]:
        """Multiply a coefficient and its interval by a step of the term."""
        found: dict[str, float | None] = {"value": float(self.fit.weights[self.place, j]) * step}
        for end in ("lower", "upper"):
            value = self.known[end][j] if end in self.known else None
            found[end] = None if value is None else value * step
        return found

    def _placed(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Scale the rows to the width of the picture, and write their numbers."""
        keys = ("value", "lower", "upper")
        ends = [row[key] for row in rows for key in keys if row.get(key) is not None]
        ends += [sign * row["spread"] for row in rows for sign in (-1, 1) if "spread" in row]
        # An interval that is far wider than every effect is cut off.
        most = max((abs(row.get("value", row.get("spread", 0.0))) for row in rows), default=0.0)
        low, high = max(min(ends, default=0.0), -2 * most), min(max(ends, default=0.0), 2 * most)
        if not (high > low and math.isfinite(high - low)):
            return []

        def place(value: float) -> float:
            return round(100 * (min(max(value, low), high) - low) / (high - low), 1)

        for row in rows:
            row["zero"] = place(0.0)
            if "spread" in row:
                left, right = place(-row["spread"]), place(row["spread"])
                row["bar"] = (left, round(right - left, 1))
            if "value" in row:
                row["point"] = place(row["value"])
                if row["lower"] is not None and row["upper"] is not None:
                    left, right = place(row["lower"]), place(row["upper"])
                    row["interval"] = (left, round(right - left, 1))
            for key in ("part", "bar", "interval", "point", "more", "baselines"):
                row.setdefault(key, None)
            row["said"] = self._signed(row) if "value" in row else [self._size(row["spread"])]
        return rows

    @property
    def _is_logged(self) -> bool:
        functions = self.fit.target_functions
        return bool(functions) and functions[self.place] is not None

    def _size(self, spread: float) -> str:
        if not self._is_logged:
            return f"± {number(spread)}"
        factor = math.exp(min(spread, 700.0))
        return f"± {percent(factor - 1)}" if factor < 2 else f"× {number(factor)}"

    def _signed(self, row: Mapping[str, Any]) -> list[str]:
        """Write a difference and its interval; of a logarithm in percent or as a factor."""
        known = [row[key] for key in ("value", "lower", "upper") if row[key] is not None]
        if self._is_logged:
            factors = [math.exp(min(value, 700.0)) for value in known]
            texts = [_with_sign(percent(abs(factor - 1)), factor - 1) for factor in factors]
            if max(factors) >= 2:
                texts = [f"× {number(factor)}" for factor in factors]
        elif len(known) == 3:
            texts = list(map(_with_sign, with_ends(*known), known))
        else:
            texts = [_with_sign(number(abs(value)), value) for value in known]
        return texts if len(texts) < 3 else [texts[0], f"({texts[1]} to {texts[2]})"]


def _with_sign(text: str, value: float) -> str:
    return f"{'−' if value < 0 else '+' if value > 0 else ''}{text}"
