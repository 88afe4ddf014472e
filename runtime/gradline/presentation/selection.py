"""Select the features and targets of a large model that matter most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.package.graph import Graph

Array = NDArray[np.float64]
MOST_FEATURES = 20  # a model with no more shows all of them, in the table's order
MOST_TARGETS = 8
LINES = 40  # of coefficients of a larger model, over all targets
LEAST_FEATURES = 8
SHARE = 0.01  # of the residual deviation, that a printed equation may be off
LEAST_DEVIATION = 1e-6  # of the target's, as the residual's: an exact fit has none


def scales(columns: Mapping[str, Any], features: Sequence[str], targets: Sequence[str]) -> Array:
    """Compute the factors that standardize W, (k, d): feature deviation / target deviation."""
    across = np.array([columns[name]["deviation"] for name in features], dtype=np.float64)
    along = np.array([columns[name]["deviation"] for name in targets], dtype=np.float64)
    with np.errstate(all="ignore"):
        found: Array = across / along[:, None]
    return found


def standardized(
    weights: NDArray[Any],
    columns: Mapping[str, Any],
    features: Sequence[str],
    targets: Sequence[str],
) -> Array:
    """Express W (k, d) in target deviations per feature deviation; see `scales`."""
    with np.errstate(all="ignore"):
        found: Array = weights.astype(np.float64) * scales(columns, features, targets)
    return found


def tolerances(
    manifest: Mapping[str, Any], features: Sequence[str], targets: Sequence[str]
) -> Array:
    """Compute how much a printed coefficient may be off, shape (k, d + 1), the bias last.

    Within the training ranges, all of them together then change an answer by at most 1 % of the
    residual deviation.
    """
    columns, scores = manifest["columns"], manifest["metrics"]["training"]
    ends = [[columns[name][end] for end in ("minimum", "maximum")] for name in features]
    sizes = [max(abs(end) for end in pair) if None not in pair else np.inf for pair in ends]
    deviations = [scores[t].get("rmse_log", scores[t]["rmse"]) for t in targets]
    least = [LEAST_DEVIATION * columns[name]["deviation"] for name in targets]
    allowed = SHARE * np.maximum(np.array(deviations, np.float64), least) / (len(features) + 1)
    with np.errstate(divide="ignore"):
        found: Array = allowed[:, None] / np.array([*sizes, 1.0], np.float64)
    return np.where(np.isfinite(np.array([*sizes, 1.0])), found, np.inf)


def seven_digits(weights: NDArray[Any], bias: NDArray[Any]) -> Array:
    """Compute tolerances (k, d + 1) where nobody knows how large the features are."""
    both = np.column_stack([weights, bias]).astype(np.float64)
    found: Array = np.abs(both) * 1e-6
    return found


def worst_first(manifest: Mapping[str, Any], targets: Sequence[str]) -> list[int]:
    """Order the targets' indices by R² on held-out rows, if any; the worst, or constant, first."""
    found = manifest["metrics"]
    scores = found["held_out"] or found["training"]
    r2 = [scores[target]["r2"] for target in targets]
    return sorted(range(len(r2)), key=lambda j: -np.inf if r2[j] is None else r2[j])


@dataclass(frozen=True)
class Shown:
    """The part of a model that is shown."""

    standardized: Array  # (k, d); not finite for columns without deviation
    targets: list[int]  # all, or those that the model predicts worst
    most: int  # features shown for each target

    @classmethod
    def of(cls, graph: Graph, manifest: Mapping[str, Any], *, everything: bool) -> Shown:
        """Select what to show of a package."""
        k, d = graph.weights.shape
        scaled = standardized(graph.weights, manifest["columns"], graph.features, graph.targets)
        if everything or (d <= MOST_FEATURES and k <= MOST_TARGETS):
            return cls(scaled, list(range(k)), d)
        targets = cls.targets_of(manifest, graph.targets)
        most = min(MOST_FEATURES, max(LEAST_FEATURES, LINES // len(targets)))
        return cls(scaled, targets, min(most, d))

    @staticmethod
    def targets_of(
        manifest: Mapping[str, Any], targets: Sequence[str], most: int = MOST_TARGETS
    ) -> list[int]:
        """Select the indices of the targets: all, or those predicted worst, worst first."""
        if len(targets) <= most:
            return list(range(len(targets)))
        return worst_first(manifest, targets)[:most]

    def features_of(self, target: int) -> list[int]:
        """Select a target's features: all in order, or those that weigh most, largest first."""
        return self._largest(np.abs(self.standardized[target]))

    def features(self) -> list[int]:
        """Select the model's features by their largest weight for any shown target."""
        return self._largest(np.abs(self.standardized[self.targets]).max(axis=0))

    def _largest(self, size: Array) -> list[int]:
        if self.most >= len(size):
            return list(range(len(size)))
        order = np.argsort(-np.nan_to_num(size, posinf=0.0), kind="stable")
        return [int(j) for j in order[: self.most]]
