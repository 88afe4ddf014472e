"""What the manifest says of leverage, so that a host can tell hidden extrapolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradline_trainer.fitting import Fit

__all__ = ["leverage_record"]

U = 2.0**-53
UP = 1e-8  # of the limit, which is rounded up: its last digits vary with the order of the rows


def leverage_record(fit: Fit, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the manifest's member `leverage`; see `gradline.explain.leverage`.

    Empty for wide tables and for more features than `gradline_trainer.statistics.whitening`
    measures, since the factor has a number for each two of them; and where the features' ranges
    are not known.

    With a ridge penalty α, the p coefficients count as the trace of the hat matrix, p − α·‖R‖².

    Args:
        fit: That was trained.
        dtype: The graph's, to which a training row is rounded before it is judged.
    """
    if fit.leverage is None or np.isnan(fit.moments.minimum).any():
        return {}
    whitening, d = fit.leverage.whitening, len(fit.features)
    active = whitening.active
    factor = np.zeros((d, d))
    factor[np.ix_(active, active)] = np.linalg.qr(whitening.factor, mode="r")
    if fit.leverage.largest is None:
        penalty = float(fit.options.ridge) * np.square(factor).sum()
        limit = 3 * (len(whitening.root) - penalty) / fit.moments.weight
        limit += _of_single_features(fit, active) + whitening.least
    else:
        # Rounding a row to the graph's dtype, and its leverage in float64, may add as much.
        most = np.maximum(np.abs(fit.moments.minimum), np.abs(fit.moments.maximum))[:d]
        unit = np.finfo(dtype).eps / 2 + 2 * (d + 4) * U
        off = unit * float(np.linalg.norm(np.abs(factor) @ most))
        far = np.sqrt(fit.leverage.largest - whitening.least)
        limit = whitening.least + (far + off) ** 2
    return {
        "leverage": {
            "limit": float(f"{limit * (1 + UP):.9g}"),
            "rule": "3p/n beyond a single feature" if fit.leverage.largest is None else "largest",
            "least": whitening.least,
            "factor": [factor[j, j:].tolist() for j in range(d)],
        }
    }


def _of_single_features(fit: Fit, active: list[int]) -> float:
    """Return the largest squared step to the end of a feature's range, by their sum over rows."""
    moments = fit.moments
    centre = moments.mean * fit.options.bias
    second = moments.squares + moments.weight * (moments.mean - centre) ** 2
    reach = np.maximum(moments.maximum - centre, centre - moments.minimum)
    share = (reach**2)[active] / (second[active] + float(fit.options.ridge))
    return float(share.max(initial=0.0))
