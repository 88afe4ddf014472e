"""What the manifest says of a fit's statistics, where it has some and they are not too many."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gradline.errors import RefusedError
from gradline_trainer.fitting import Fit

__all__ = ["statistics_record"]

MOST_FEATURES = 300
MOST_COEFFICIENTS = 3000
LEFT_OUT = ("coefficient", "lower", "upper", "standardized")  # the graph and the rest tell them


def statistics_record(fit: Fit) -> dict[str, Any]:
    """Return the manifest's member `statistics`: each list by term, the features and the bias.

    What is not defined is None. Empty for a fit that has none (see `Fit.summary`), and for more
    features or coefficients than a person would look at.
    """
    if len(fit.features) > MOST_FEATURES or fit.weights.numel() > MOST_COEFFICIENTS:
        return {}
    try:
        summary = fit.summary()
    except RefusedError:
        return {}
    return {
        "statistics": {
            "model_dof": summary.model_dof,
            "residual_dof": summary.residual_dof,
            **({"robust": summary.robust} if summary.robust else {}),
            "terms": summary.terms,
            "vif": summary.vif,
            "targets": {
                target: {k: v for k, v in asdict(found).items() if k not in LEFT_OUT}
                for target, found in summary.targets.items()
            },
        }
    }
