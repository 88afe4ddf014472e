"""The root mean square residual of what the graph learns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.moments.moments import Moments
from gradline_trainer.result import Fit


def residual_deviations(fit: Fit) -> NDArray[np.float64]:
    """List each target's RMSE over the training rows, shape (k,).

    The metrics of a logged target are in its units. Its RMSE of z follows from the moments.
    """
    found = np.array([metrics.rmse for metrics in (fit.metrics["training"] or {}).values()])
    d, moments = len(fit.features), fit.moments
    for j, function in enumerate(getattr(fit, "target_functions", ())):
        if function is not None and isinstance(moments, Moments):
            step = np.zeros(len(moments.mean))
            step[:d], step[d + j] = -fit.weights[j].numpy(), 1.0
            variance = float(step @ moments.comoment @ step) / moments.weight
            mean = float(step @ moments.mean) - float(fit.bias[j])
            found[j] = math.hypot(mean, math.sqrt(max(variance, 0.0)))
    return found
