"""Split a prediction into the contributions of its features.

For a linear model the contributions w_j·(x_j − mean_j) are exact. If the features are independent,
they are its Shapley values (Štrumbelj and Kononenko, 2014).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline import markup
from gradline.columns.plan import Plan
from gradline.columns.targets import Functions
from gradline.errors import PackageError, needs_extra
from gradline.explain.groups import groups_of
from gradline.formatting import TERMS, and_more, count, equation_lines, label, number
from gradline.package.manifest import learned_elsewhere

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """The contributions to predictions, in the targets' units; factors for a logged target.

    Attributes:
        baseline: The prediction at the features' training means, shape (k,); 1 more for log1p.
        contributions: The part of each feature, shape (n, k, d). Together with the baseline they
            add up to the prediction, except for rounding. For a logged target, the baseline times
            all of them is the prediction, or 1 more than it for log1p.
        by_column: The part of each column of the table, shape (n, k, g): the sum over its features,
            or for a logged target the product. A product of columns has its own part.
        columns: The g names of the parts.
        targets: The k names.
    """

    baseline: Array
    contributions: Array
    by_column: Array
    columns: list[str]
    targets: list[str]

    @classmethod
    def of(
        cls, baseline: Array, contributions: Array, plan: Plan, targets: list[str]
    ) -> Explanation:
        """Add up the contributions of d features by the plan's columns."""
        groups = groups_of(plan)
        names = [group.name for group in groups]
        if [group.terms for group in groups] == [(j,) for j in range(len(plan.terms))]:
            by_column = contributions
        else:
            by_column = np.empty((*contributions.shape[:2], len(groups)))
            for j, group in enumerate(groups):
                by_column[:, :, j] = contributions[:, :, group.terms].sum(axis=2)
        return cls(baseline, contributions, by_column, names, targets)

    def in_factors(self, functions: Functions) -> Explanation:
        """Turn the contributions to the logarithms of logged targets into factors."""
        baseline = self.baseline.copy()
        parts, sums = self.contributions.copy(), self.by_column.copy()
        with np.errstate(over="ignore"):
            for j, function in enumerate(functions):
                if function is not None:
                    baseline[j] = np.exp(baseline[j]) * function.scale
                    parts[:, j], sums[:, j] = np.exp(parts[:, j]), np.exp(sums[:, j])
        return Explanation(baseline, parts, sums, self.columns, self.targets)

    def _lines(self) -> tuple[str, str, list[tuple[str, str]]]:
        """Write a title, the names of the columns, and each target's baseline."""
        n = len(self.contributions)
        title = (
            f"gradline.Explanation of {count(n, 'row')} and {count(len(self.targets), 'target')}"
        )
        columns = f"by {and_more([label(name) for name in self.columns])}"
        pairs = zip(self.targets[:TERMS], self.baseline.tolist(), strict=False)
        return (
            title,
            columns,
            [(label(name), f"{number(value)} at the training means") for name, value in pairs],
        )

    def __repr__(self) -> str:
        title, columns, baselines = self._lines()
        return "\n  ".join([title, columns, *equation_lines(baselines)])

    def _repr_html_(self) -> str:
        title, columns, baselines = self._lines()
        return markup.block(title, markup.paragraph(columns), markup.equations(baselines))

    def frame(self) -> pl.DataFrame:
        """Make a Polars frame of the parts, with one line for each row and target.

        Its columns are `row` (from 0), `target`, `baseline`, and the g parts. If a part is named
        "row", "target" or "baseline", our own column gets an underscore.

        Raises:
            MissingExtraError: If Polars is not installed.
        """
        with needs_extra():
            import polars
        n, k, g = self.by_column.shape
        own = {
            "row": np.repeat(np.arange(n), k),
            "target": self.targets * n,
            "baseline": np.tile(self.baseline, n),
        }
        parts = zip(self.columns, self.by_column.reshape(n * k, g).T, strict=True)
        return polars.DataFrame(
            [
                *(polars.Series(_free(name, self.columns), values) for name, values in own.items()),
                *(polars.Series(name, values) for name, values in parts),
            ]
        )


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


def by_effect(weights: NDArray[Any], manifest: Mapping[str, Any], plan: Plan) -> list[int]:
    """Sort the plan's columns by effect, largest first; return their positions.

    A feature's effect on a target is |W|·σ_feature/σ_target. A column's effect is the largest of
    its features on any target.
    """
    if "schema" not in manifest:  # a bare ONNX file
        raise _no_record()
    schema = manifest["schema"]
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
        raise _no_record() from error


def _no_record() -> PackageError:
    return PackageError(
        "there is no record of the columns that the model was trained on",
        code="no-record",
        hint="load the package, not the ONNX file alone",
    )
