"""Why a prediction is what it is: each feature's part of it, beside the prediction at the means.

For a linear model the parts w_j·(x_j − mean_j) are exact, and are its Shapley values where features
are independent (Štrumbelj and Kononenko, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import PackageError

__all__ = ["Explanation", "column_figures", "explain"]

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


def column_figures(manifest: dict[str, Any], names: list[str], figure: str) -> Array:
    """Return a figure ("mean", "deviation", "minimum", "maximum") of each named column.

    Raises:
        PackageError: Where the manifest has none, as that of a bare ONNX file.
    """
    try:
        return np.array([float(manifest["columns"][name][figure]) for name in names])
    except (LookupError, TypeError, ValueError) as error:
        raise PackageError(
            "there is no record of the columns that the model was trained on",
            code="no-record",
            hint="load the package, not the ONNX file alone",
        ) from error
