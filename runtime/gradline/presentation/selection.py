"""Which features and targets of a large model are shown: those that matter most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.package.graph import Graph

__all__ = ["Shown", "scales", "standardized", "worst_first"]

MOST_FEATURES = 20  # that are all shown, in the table's order
MOST_TARGETS = 8
LINES = 40  # of coefficients of a model with more, together
LEAST_FEATURES = 8


def scales(
    columns: Mapping[str, Any], features: Sequence[str], targets: Sequence[str]
) -> NDArray[np.float64]:
    """Return the features' deviations by the targets', shape (k, d): W times it is standardized.

    Not finite where a target has none.

    Args:
        columns: With the deviation of each column, as the manifest has them.
        features: The d input names.
        targets: The k output names.
    """
    across = np.array([columns[name]["deviation"] for name in features], dtype=np.float64)
    along = np.array([columns[name]["deviation"] for name in targets], dtype=np.float64)
    with np.errstate(all="ignore"):
        found: NDArray[np.float64] = across / along[:, None]
    return found


def standardized(
    weights: NDArray[Any],
    columns: Mapping[str, Any],
    features: Sequence[str],
    targets: Sequence[str],
) -> NDArray[np.float64]:
    """Return W in deviations of the target per deviation of the feature, shape (k, d).

    Not finite where a target has none.

    Args:
        weights: W, shape (k, d).
        columns: As of `scales`.
        features: The d input names.
        targets: The k output names.
    """
    with np.errstate(all="ignore"):
        found: NDArray[np.float64] = weights.astype(np.float64) * scales(columns, features, targets)
    return found


def worst_first(manifest: Mapping[str, Any], targets: Sequence[str]) -> list[int]:
    """Return the places of the targets, the one that is predicted worst first.

    By R² on the held-out rows where there are some; a constant target has none and comes first.
    """
    found = manifest["metrics"]
    scores = found["held_out"] or found["training"]
    r2 = [scores[target]["r2"] for target in targets]
    return sorted(range(len(r2)), key=lambda j: -np.inf if r2[j] is None else r2[j])


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
        scaled = standardized(graph.weights, manifest["columns"], graph.features, graph.targets)
        if everything or (d <= MOST_FEATURES and k <= MOST_TARGETS):
            return cls(scaled, list(range(k)), d)
        targets = cls.targets_of(manifest, graph.targets)
        most = min(MOST_FEATURES, max(LEAST_FEATURES, LINES // len(targets)))
        return cls(scaled, targets, min(most, d))

    @staticmethod
    def targets_of(manifest: Mapping[str, Any], targets: Sequence[str]) -> list[int]:
        """Return the places of the targets to show: all, or those predicted worst, worst first."""
        if len(targets) <= MOST_TARGETS:
            return list(range(len(targets)))
        return worst_first(manifest, targets)[:MOST_TARGETS]

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
