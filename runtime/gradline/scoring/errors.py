"""Add up the errors of predictions, block by block.

The sum of squares about the mean is centred on each block's own mean, and blocks are merged by the
update of Chan, Golub and LeVeque (1983), so a large offset costs no digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.formatting import count

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """How well a model predicts one target.

    Attributes:
        rows: The rows that were scored.
        rmse: The root of the mean squared error; None below resolution or without a row.
        mae: The mean absolute error; None from moments or without a row.
        r2: 1 − Σe²/Σ(y − ȳ)², about the mean of the scored rows; None if they are all the same.
        bias: The mean of prediction − truth; None without a row.
        skipped: The rows that were not scored.
        scale: "units", or "log" or "log1p" if the logarithms were compared.
        below_resolution: The smallest RMSE that moments can tell from 0, if this one is smaller.
        without_truth: The skipped rows without a true value or a weight; the other skipped rows
            have no prediction. None from moments, which do not record the reason.
    """

    rows: int
    rmse: float | None
    mae: float | None
    r2: float | None
    bias: float | None
    skipped: int
    scale: str = "units"
    below_resolution: float | None = None
    without_truth: int | None = 0

    def why_skipped(self, target: str, *, several: bool = False) -> str:
        """Say how many rows were skipped, and why; `several` models share the rows."""
        said = f"{self.skipped:,} of {count(self.skipped + self.rows, 'row')} skipped"
        if self.without_truth is None:
            return said
        whose = " from all of the models" if several else ""
        reasons = [
            f"{rows:,} without {what}"
            for rows, what in (
                (self.without_truth, f"a value of {target}"),
                (self.skipped - self.without_truth, f"a prediction{whose}"),
            )
            if rows
        ]
        return f"{said}: {', '.join(reasons)}"


class Sums:
    """Weighted sums over the scored rows of one target."""

    def __init__(self, models: int) -> None:
        self.rows = self.skipped = self.without_truth = 0
        self.weight = 0.0
        self.origin: float | None = None  # of the centred sums: the first heaviest true value
        self.mean = self.squares = 0.0  # of the truth − origin: mean, and sum about the mean
        self.errors, self.sizes, self.error_squares = np.zeros((3, models))

    def add(self, truth: Array, answers: Array, weights: Array | None) -> None:
        """Add rows: the truth (n,), each model's answers (models, n) and the weights (n,)."""
        known = ~np.isnan(truth)
        if weights is not None:
            known &= ~np.isnan(weights)
        chosen = known & np.isfinite(answers).all(axis=0)
        self.skipped += int((~chosen).sum())
        self.without_truth += int((~known).sum())
        if not chosen.any():
            return
        y, w = truth[chosen], np.ones(int(chosen.sum())) if weights is None else weights[chosen]
        with np.errstate(over="ignore", invalid="ignore"):  # `scores` refuses what is not finite
            errors = answers[:, chosen] - y
            self.errors += errors @ w
            self.sizes += np.abs(errors) @ w
            self.error_squares += np.square(errors) @ w
            self._add_truth(y, w)
        self.rows += len(y)

    def _add_truth(self, y: Array, w: Array) -> None:
        weight = float(w.sum())
        if not weight:
            return
        if self.origin is None:  # of the heaviest row: one without a weight may lie far away
            self.origin = float(y[np.argmax(w)])
        steps = y - self.origin  # exact for values close to each other
        mean = float(steps @ w) / weight
        centred = steps - mean
        rest = float(centred @ w) / weight  # the mean's own rounding
        mean += rest
        squares = max(float(np.square(centred) @ w) - weight * rest * rest, 0.0)
        total = self.weight + weight
        step = mean - self.mean
        self.squares += squares + self.weight * (weight / total) * step * step
        self.mean += step * (weight / total)
        self.weight = total

    def scores(self, target: str) -> list[Score]:
        """Compute each model's score."""
        empty = Score(0, None, None, None, None, self.skipped, without_truth=self.without_truth)
        if not self.rows:
            return [empty] * len(self.errors)
        figures = (self.errors, self.sizes, self.error_squares)
        if not all(np.isfinite(one).all() for one in figures) or not math.isfinite(self.squares):
            what = f"the errors of {target!r} are too large to add up their squares"
            hint = "correct or remove the rows with the largest values"
            raise InputError(what, code="out-of-range", hint=hint)
        return [
            replace(
                empty,
                rows=self.rows,
                rmse=math.sqrt(squares / self.weight),
                mae=size / self.weight,
                r2=1 - squares / self.squares if self.squares else None,
                bias=error / self.weight,
            )
            for error, size, squares in zip(*(one.tolist() for one in figures), strict=True)
        ]
