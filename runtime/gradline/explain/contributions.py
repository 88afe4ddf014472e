"""Why a prediction is what it is: each feature's part of it, beside the prediction at the means.

For a linear model the parts w_j·(x_j − mean_j) are exact, and are its Shapley values where features
are independent (Štrumbelj and Kononenko, 2014).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.encoding import Column
from gradline.errors import PackageError

__all__ = ["Explanation", "by_effect", "column_figures", "explain"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """The parts of predictions, in the targets' units, float64.

    Attributes:
        baseline: The prediction at the features' training means, shape (k,).
        contributions: Of each row, target and feature, shape (n, k, d). With the baseline they add
            up to the prediction, within the rounding of both.
    """

    baseline: Array
    contributions: Array


def explain(rows: NDArray[Any], weights: Array, bias: Array, means: Array) -> Explanation:
    """Return the parts of the predictions of rows, shape (n, d)."""
    steps = rows.astype(np.float64) - means
    return Explanation(weights @ means + bias, steps[:, None, :] * weights)


def by_effect(
    weights: NDArray[Any], manifest: Mapping[str, Any], columns: Sequence[Column]
) -> list[int]:
    """Return the places of the table's columns, the most telling first.

    A feature's effect is |W|·deviation of the feature / deviation of the target, the largest of all
    targets; a column's is the largest of its features.

    Args:
        weights: W, shape (k, d).
        manifest: Of the model.
        columns: The table's, where they are not the features themselves.

    Raises:
        PackageError: Where the manifest has no deviations.
    """
    schema = manifest.get("schema", {"features": [], "targets": []})
    of_features, of_targets = (
        column_figures(manifest, schema[names], "deviation") for names in ("features", "targets")
    )
    of_targets[of_targets == 0] = 1.0  # a target of one value, whose weights are 0
    with np.errstate(over="ignore"):
        effects = (np.abs(weights) * of_features / of_targets[:, None]).max(axis=0)
    if columns:
        starts = np.cumsum([0, *[len(column.features) for column in columns]])[:-1]
        effects = np.maximum.reduceat(effects, starts)
    return [int(place) for place in np.argsort(-effects, kind="stable")]


def column_figures(manifest: Mapping[str, Any], names: Sequence[str], figure: str) -> Array:
    """Return a figure ("mean", "deviation", "minimum", "maximum") of each named column.

    Raises:
        PackageError: Where the manifest has none, as that of a bare ONNX file.
    """
    try:
        found = [manifest["columns"][name][figure] for name in names]
        if None in found:
            raise PackageError(
                f"no {figure} of the columns is known: rows were taken out of the moments that the "
                "model was trained on",
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
