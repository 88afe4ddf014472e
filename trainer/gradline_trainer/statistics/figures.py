"""Figures of each column over the training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gradline_trainer.result import Fit


def column_record(fit: Fit) -> dict[str, Any]:
    """Record each column's mean, deviation, minimum and maximum over the training rows."""
    moments = fit.moments
    deviation = np.sqrt(np.maximum(moments.squares / moments.weight, 0))
    known = not np.isnan(moments.minimum).any()
    return {
        name: {
            "mean": float(moments.mean[j]),
            "deviation": float(deviation[j]),
            "minimum": float(moments.minimum[j]) if known else None,
            "maximum": float(moments.maximum[j]) if known else None,
        }
        for j, name in enumerate([*fit.features, *fit.targets])
    }
