"""Which features and targets of a large model are shown: those that matter most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.package.graph import Graph

__all__ = ["Shown"]

MOST_FEATURES = 20  # that are all shown, in the table's order
MOST_TARGETS = 8
LINES = 40  # of coefficients of a model with more, together
LEAST_FEATURES = 8


@dataclass(frozen=True)
class Shown:
    """What is shown of a model.

    Attributes:
        standardized: W in deviations of the target per deviation of the feature, shape (k, d);
            of columns without a deviation not finite.
        targets: Places: all, or those that the model predicts worst.
        most: Features shown of each target.
    """

    standardized: NDArray[np.float64]
    targets: list[int]
    most: int

    @classmethod
    def of(cls, graph: Graph, manifest: Mapping[str, Any], *, everything: bool) -> Shown:
        """Return what to show of a package, or everything."""
        k, d = graph.weights.shape
        columns = manifest["columns"]
        deviation = [columns[name]["deviation"] for name in (*graph.features, *graph.targets)]
        scale = np.array(deviation, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            standardized = graph.weights.astype(np.float64) * scale[:d] / scale[d:, None]
        if everything or (d <= MOST_FEATURES and k <= MOST_TARGETS):
            return cls(standardized, list(range(k)), d)
        found = manifest["metrics"]
        scores = found["held_out"] or found["training"]
        r2 = [scores[target]["r2"] for target in graph.targets]
        worst = sorted(range(k), key=lambda j: -np.inf if r2[j] is None else r2[j])
        targets = list(range(k)) if k <= MOST_TARGETS else worst[:MOST_TARGETS]
        most = min(MOST_FEATURES, max(LEAST_FEATURES, LINES // len(targets)))
        return cls(standardized, targets, min(most, d))

    def features_of(self, target: int) -> list[int]:
        """Return the places of the features to show of a target, the largest first unless all."""
        return self._largest(np.abs(self.standardized[target]))

    def features(self) -> list[int]:
        """Return the places of those to show of the model: by the largest for any shown target."""
        return self._largest(np.abs(self.standardized[self.targets]).max(axis=0))

    def _largest(self, size: NDArray[np.float64]) -> list[int]:
        if self.most >= len(size):
            return list(range(len(size)))
        order = np.argsort(-np.nan_to_num(size, posinf=0.0), kind="stable")
        return [int(j) for j in order[: self.most]]
