"""How far from the optimum a run in exact arithmetic ended."""

from __future__ import annotations

import math
from dataclasses import replace

from gradline_trainer.descent.coordinates import Coordinates
from gradline_trainer.descent.diagnosis import Optimality, root_gap
from gradline_trainer.descent.problem import EPSILON
from gradline_trainer.exact.solution import ExactSolution


def at_optimum(exact: ExactSolution, least: float, coordinates: Coordinates) -> Optimality:
    """Describe weights that are all certified; a measured distance would be rounding noise.

    `least` is the loss at the exact solution.
    """
    smallest, largest = coordinates.extremes
    return Optimality(
        loss=least,
        gap=0.0,
        gradient_norm=0.0,
        epochs_to_go=0,
        rmse_at_optimum=math.sqrt(least),
        rmse_gap=0.0,
        weights_error=EPSILON * math.hypot(*exact.weights.ravel().tolist()),
        hessian_smallest=smallest,
        hessian_largest=largest,
    )


def with_least(found: Optimality, least: float | None) -> Optimality:
    """Replace float64's minimum of the loss by the exact one, if it is known."""
    if least is None or found.gap is None:
        return replace(found, rmse_at_optimum=None, rmse_gap=None, weights_error=None)
    apart = root_gap(found.loss, least, found.gap)
    return replace(found, rmse_at_optimum=math.sqrt(least), rmse_gap=apart, weights_error=None)
