"""Split a prediction into the contributions of its features.

For a linear model the contributions w_j·(x_j − mean_j) are exact. If the features are independent,
they are its Shapley values (Štrumbelj and Kononenko, 2014).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.columns.targets import Functions
from gradline.errors import PackageError
from gradline.package.manifest import learned_elsewhere

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """The contributions to predictions, in the targets' units; factors for a logged target.

    Attributes:
        baseline: The prediction at the features' training means, shape (k,); 1 more for log1p.
        contributions: The part of each feature, shape (n, k, d). Together with the baseline they
            add up to the prediction, except for rounding. For a logged target, the baseline times
            all of them is the prediction, or 1 more than it for log1p.
    """

    baseline: Array
    contributions: Array

    def in_factors(self, functions: Functions) -> Explanation:
        """Turn the contributions to the logarithms of logged targets into factors."""
        baseline, contributions = self.baseline.copy(), self.contributions.copy()
        with np.errstate(over="ignore"):
            for j, function in enumerate(functions):
                if function is not None:
                    baseline[j] = np.exp(baseline[j]) * function.scale
                    contributions[:, j] = np.exp(contributions[:, j])
        return Explanation(baseline, contributions)


def by_effect(weights: NDArray[Any], manifest: Mapping[str, Any], plan: Plan) -> list[int]:
    """Sort the plan's columns by effect, largest first; return their positions.

    A feature's effect on a target is |W|·σ_feature/σ_target. A column's effect is the largest of
    its features on any target.
    """
    schema = manifest.get("schema", {"features": [], "targets": []})
    of_features, of_targets = (
        column_figures(manifest, schema[names], "deviation") for names in ("features", "targets")
    )
    of_targets[of_targets == 0] = 1.0  # a constant target has weights of 0
    with np.errstate(over="ignore"):
        effects = (np.abs(weights) * of_features / of_targets[:, None]).max(axis=0)
    places = {column.name: place for place, column in enumerate(plan.columns)}
    found = np.zeros(len(places))
    for term, effect in zip(plan.terms, effects.tolist(), strict=True):
        used = [places[factor.column] for factor in term]
        found[used] = np.maximum(found[used], effect)
    order: list[int] = np.argsort(-found, kind="stable").tolist()
    return order


def column_figures(manifest: Mapping[str, Any], names: Sequence[str], figure: str) -> Array:
    """Read a figure ("mean", "deviation", "minimum", "maximum") of each named column."""
    if learned_elsewhere(manifest):
        raise PackageError(
            f"the {figure} of the training rows is unknown: the model was learned elsewhere",
            code="no-record",
            hint="predict without --explain and --check, or train the model with gradline",
        )
    try:
        found = [manifest["columns"][name][figure] for name in names]
        if None in found:
            raise PackageError(
                f"the {figure} of the columns is unknown: the model was trained on moments from "
                "which rows were removed",
                code="no-record",
                hint="train from the table itself",
            )
        return np.array([float(value) for value in found])
    except (LookupError, TypeError, ValueError) as error:
        raise PackageError(
            "there is no record of the columns that the model was trained on",
            code="no-record",
            hint="load the package, not the ONNX file alone",
        ) from error
