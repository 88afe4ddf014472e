"""What an earlier pass counts of a column: a category's levels, or a number's mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from gradline.errors import InputError
from gradline_trainer.rows.rows import Rows

__all__ = ["Tally"]


@dataclass
class Tally:
    """What the pass has seen of one column's training rows.

    Attributes:
        places: For a category, each text's number in the order of appearance.
        counts: The training rows that have each.
        sums, weights: For a number, one block's weighted sum, and its weight, after the other.
    """

    places: dict[str, int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def place_of(self, text: str) -> int:
        """Return the number of a text, a new one for a text not seen before."""
        return self.places.setdefault(text, len(self.places))

    def add(self, rows: Rows, j: int, kind: str) -> None:
        """Count the training rows of one block in its column j."""
        values = np.ascontiguousarray(rows.features[:, j])  # the order of a sum is its layout's
        if kind == "category":
            counts = np.bincount(values.astype(np.intp), minlength=len(self.places))
            before = np.array(self.counts + [0] * (len(counts) - len(self.counts)), np.int64)
            self.counts = (before + counts).tolist()
            return
        present = ~np.isnan(values)
        weights = np.ones(len(values)) if rows.weights is None else rows.weights
        with np.errstate(over="ignore"):  # the mean is checked
            self.sums.append(float(np.sum((values * weights)[present])))
        self.weights.append(float(np.sum(weights[present])))

    def add_all(self, other: Tally) -> None:
        """Count what was seen of later rows."""
        counts = other.counts + [0] * (len(other.places) - len(other.counts))
        for text, count in zip(other.places, counts, strict=True):
            place = self.place_of(text)
            self.counts += [0] * (place + 1 - len(self.counts))
            self.counts[place] += count
        self.sums += other.sums
        self.weights += other.weights

    def levels(self) -> dict[str, int]:
        """Return how many training rows have each level; levels that none has are left out."""
        return {t: n for t, n in zip(self.places, self.counts, strict=False) if n}

    def mean(self, name: str) -> float:
        """Return the weighted mean of the training rows' values in the column `name`.

        Raises:
            InputError: Where they have none.
        """
        weight = math.fsum(self.weights)
        if not weight:
            raise InputError(
                f"the column {name!r} has no value in the rows to train on: there is no mean to "
                "fill with",
                code="missing-value",
                hint=f"--exclude {name!r}",
            )
        total = math.fsum(self.sums) if all(map(math.isfinite, self.sums)) else math.inf
        if not math.isfinite(total / weight):
            raise InputError(
                f"the column {name!r} has infinite values, or values too large to add up",
                code="out-of-range",
                hint="mend or remove these rows, or divide the column first",
            )
        return total / weight
