"""How two models differ: their coefficients, and how far their predictions can lie apart.

The difference of two linear models is one too, δ(x) = ΔW·x + Δb. Over rows of means μ and standard
deviations σ its mean square is (ΔW·μ + Δb)² + Var(ΔW·x), and the deviation of a sum is at most the
sum of the deviations, so that no correlation needs to be known:

    root mean square of δ ≤ √((ΔW·μ + Δb)² + (Σ|ΔW_j|·σ_j)²)

The means and deviations are those of the rows that the models were trained on, as their manifests
have them; the larger of the two bounds is the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError, PackageError
from gradline.package.files import Package

__all__ = ["Difference", "compare"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """How two models of the same targets differ; the second less the first.

    Attributes:
        targets: The k targets that both have, in the first one's order.
        features: The features of either, the first one's first.
        weights: Both models' weights, shape (2, k, d); 0 where a model lacks the feature.
        bias: Both models' bias, shape (2, k).
        bound: On the root mean square of each target's change over the training rows of either
            model, shape (k,); None where a model has no manifest.
        shares: |ΔW_j|·σ_j of each target and feature, shape (k, d), of the table with the larger
            bound: how much of the bound the feature's spread brings. None like the bound.
        only_first, only_second: The targets that the other model lacks.
    """

    targets: list[str]
    features: list[str]
    weights: Array
    bias: Array
    bound: Array | None
    shares: Array | None
    only_first: list[str]
    only_second: list[str]


def compare(first: Package, second: Package) -> Difference:
    """Return how the second model differs from the first.

    Raises:
        InputError: Where they have no target in common.
        PackageError: For a manifest without its columns' means and deviations.
    """
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
    bound, shares = _bound(first, second, features, weights[1] - weights[0], bias[1] - bias[0])
    return Difference(
        targets,
        features,
        weights,
        bias,
        bound,
        shares,
        [name for name in graphs[0].targets if name not in targets],
        [name for name in graphs[1].targets if name not in targets],
    )


def _bound(
    first: Package, second: Package, features: Sequence[str], weights: Array, bias: Array
) -> tuple[Array | None, Array | None]:
    """Return the bound and the features' shares of it, for changes of shape (k, d) and (k,)."""
    if not first.manifest or not second.manifest:
        return None, None
    bounds, shares = [], []
    for own, other in ((first, second), (second, first)):
        # A feature that this table lacks is taken to be as it was in the other one.
        mean, deviation = _spread(
            {**other.manifest["columns"], **own.manifest["columns"]}, features
        )
        shares.append(np.abs(weights) * deviation)
        bounds.append(np.hypot(weights @ mean + bias, shares[-1].sum(axis=1)))
    larger = bounds[1] > bounds[0]
    return np.maximum(*bounds), np.where(larger[:, None], shares[1], shares[0])


def _spread(columns: dict[str, Any], features: Sequence[str]) -> tuple[Array, Array]:
    """Return the features' means and standard deviations, as manifests have them."""
    try:
        found = [[float(columns[f][key]) for f in features] for key in ("mean", "deviation")]
    except (LookupError, TypeError, ValueError) as error:
        raise PackageError(
            f"a manifest.json lacks what a package says of its columns ({error!r})",
            code="bad-manifest",
            hint="get the package again from where it was published",
        ) from error
    mean, deviation = np.array(found)
    return mean, deviation
