"""Compare two models: their coefficients, and how far apart their predictions can be.

The difference of two linear models is a linear model, δ(x) = ΔW·x + Δb. Over rows with means μ and
standard deviations σ its mean square is (ΔW·μ + Δb)² + Var(ΔW·x). The deviation of a sum is at most
the sum of the deviations, so no correlation is needed:

    root mean square of δ ≤ √((ΔW·μ + Δb)² + (Σ|ΔW_j|·σ_j)²)

μ and σ come from the manifests and describe the training rows; the larger of the two bounds counts.
For a logged target, δ is the change of the logarithm of the prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.targets import learned_names
from gradline.errors import InputError, PackageError
from gradline.package.files import Package
from gradline.package.graph import Graph
from gradline.package.manifest import learned_elsewhere

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """The second model minus the first, over their k common targets and all d features."""

    targets: list[str]  # in the first model's order
    features: list[str]  # of either model, the first one's first
    weights: Array  # of both models, (2, k, d); 0 for a feature that a model lacks
    bias: Array  # (2, k)
    bound: Array | None  # of the root mean square change (k,), NaN where none is known; or None
    shares: Array | None  # |ΔW_j|·σ_j (k, d), for the table with the larger bound
    only_first: list[str]  # targets that the other model lacks
    only_second: list[str]
    learned: list[tuple[str, str]]  # what the graphs answer: a target, or its logarithm


def compare(first: Package, second: Package) -> Difference:
    """Compare the second model with the first."""
    graphs = first.graph, second.graph
    targets = [name for name in graphs[0].targets if name in graphs[1].targets]
    if not targets:
        raise InputError(
            f"the models have no target in common: {', '.join(graphs[0].targets[:8])} and "
            f"{', '.join(graphs[1].targets[:8])}",
            code="other-targets",
            hint="compare versions of one model",
        )
    features = list(dict.fromkeys([*graphs[0].features, *graphs[1].features]))
    weights = np.zeros((2, len(targets), len(features)))
    bias = np.zeros((2, len(targets)))
    for side, graph in enumerate(graphs):
        rows = [graph.targets.index(name) for name in targets]
        columns = [features.index(name) for name in graph.features]
        weights[side][:, columns] = graph.weights[rows]
        bias[side] = graph.bias[rows]
    step = bias[1] - bias[0] + _log_scale(graphs[1], targets) - _log_scale(graphs[0], targets)
    bound, shares = _bound(first, second, features, weights[1] - weights[0], step)
    learned = [learned_names(graph.targets, graph.functions) for graph in graphs]
    pairs = [
        (learned[0][graphs[0].targets.index(name)], learned[1][graphs[1].targets.index(name)])
        for name in targets
    ]
    if bound is not None:  # no bound on the change between a target and its logarithm
        bound[[mine != other for mine, other in pairs]] = np.nan
    left, right = ([n for n in graph.targets if n not in targets] for graph in graphs)
    return Difference(targets, features, weights, bias, bound, shares, left, right, pairs)


def has_ranges(manifest: Mapping[str, Any]) -> bool:
    """Check whether figures of the training rows are known, as `compare` needs for a bound."""
    return bool(manifest) and not learned_elsewhere(manifest)


def _log_scale(graph: Graph, targets: Sequence[str]) -> Array:
    """List the logarithms of the targets' scales, which change predictions like a bias."""
    functions = [graph.functions[graph.targets.index(name)] for name in targets]
    return np.log([1.0 if function is None else function.scale for function in functions])


def _bound(
    first: Package, second: Package, features: Sequence[str], weights: Array, bias: Array
) -> tuple[Array | None, Array | None]:
    """Compute the bound and the features' shares for changes of shape (k, d) and (k,)."""
    if not all(has_ranges(package.manifest) for package in (first, second)):
        return None, None
    bounds, shares = [], []
    for own, other in ((first, second), (second, first)):
        # For a feature that one table lacks, use the other table's figures.
        columns = {**other.manifest.get("columns", {}), **own.manifest.get("columns", {})}
        mean, deviation = (_figures(columns, features, key) for key in ("mean", "deviation"))
        shares.append(np.abs(weights) * deviation)
        bounds.append(np.hypot(weights @ mean + bias, shares[-1].sum(axis=1)))
    larger = bounds[1] > bounds[0]
    return np.maximum(*bounds), np.where(larger[:, None], shares[1], shares[0])


def _figures(columns: dict[str, Any], features: Sequence[str], key: str) -> Array:
    try:
        return np.array([float(columns[name][key]) for name in features])
    except (LookupError, TypeError, ValueError) as error:
        raise PackageError(
            f"a manifest.json has no {key} for a column ({error!r})", code="bad-manifest"
        ) from error
