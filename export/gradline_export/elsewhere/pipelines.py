"""Fold the fitted steps of a scikit-learn pipeline into terms, weights and a bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Folded:
    """A pipeline as terms of the table's columns.

    Attributes:
        plan: The table's columns, in its order, and the d terms.
        weights: W, shape (k, d).
        bias: b, shape (k,).
        unknown: The value of `unknown_category` with which the package answers as the pipeline does
            for a level that an encoder has not seen: "zero" if an encoder ignores it, "error" if
            all refuse it; None without a category.
    """

    plan: Plan
    weights: Array
    bias: Array
    unknown: Literal["error", "zero"] | None


def fold(steps: Sequence[tuple[str, Any]], model: Any, names: Sequence[str] | None) -> Folded:
    """Fold fitted steps and the linear model behind them; proved on the pipeline's predictions.

    Args:
        steps: The names and the fitted transformers before the model.
        model: The fitted linear model, with `coef_`, `intercept_` and `predict`.
        names: The columns that the first step takes; None for the names that it was fitted with,
            or x0, x1, ….

    Raises:
        InputError: For a step that cannot be folded, naming it ("pipeline-steps").
        RefusedError: If the folded model and the pipeline differ by more than rounding.
    """
    raise NotImplementedError
